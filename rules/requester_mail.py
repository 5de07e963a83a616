"""Commands of a requester on their own ticket: `#status` for anyone who writes from the known address, the others authenticated."""

from datetime import datetime

from itsm.act import Actor, ActorKind
from itsm.address import canonical
from itsm.decision import AddEntry, Decision, Direction, Effect, Notify, Reasons, Visibility
from itsm.envelope import Envelope, Outcome
from itsm.lifecycle import Illegal
from itsm.notification import Event
from itsm.service import Desk
from itsm.signal import UserMessage
from itsm.ticket import Ticket
from rules.agent_mail import decide_acts
from rules.answer import acknowledgement
from rules.authentication import TrustVerdict
from rules.commands import Commands, Unreadable, acts_of, allowed, read
from rules.ruleset import Ruleset, Verdict
from rules.snapshot import MailSnapshot


def requester_commands(
    message: UserMessage,
    ticket: Ticket,
    *,
    trusted: bool,
    verdict: Verdict,
    trust: TrustVerdict,
    ruleset: Ruleset,
    desk: Desk,
    now: datetime,
    envelope: Envelope,
    snapshot: MailSnapshot,
) -> Decision | None:
    """The decision for a requester's mail with commands at its top, or None: then it is a reply like any other.

    Nothing a requester writes is refused for its form: what is no command of theirs, or not legal, is words.
    """
    if message.sender is None or not snapshot.is_sender(ticket.requester, canonical(message.sender.address)):
        return None
    commands = read(message.reply_text)
    if not commands.lines or not allowed(commands, ActorKind.REQUESTER):
        return None
    effects: tuple[Effect, ...] = (_kept(message, ticket, commands, trust),)
    if any(line.word == "status" for line in commands.lines):
        if len(commands.lines) > 1 or commands.words:
            return None
        effects += _status(message, ticket, verdict, trust, ruleset, desk, now, envelope, snapshot)
        return _decision(ticket, "status_asked", "The requester asked for the status.", ruleset, trust, effects)
    if not trusted or trust.level < 1:
        return None
    actor = Actor(kind=ActorKind.REQUESTER, name=ticket.requester, trust=trust.level)
    acts = acts_of(commands, ticket.number, actor, desk)
    if isinstance(acts, Unreadable):
        return None
    done = decide_acts(acts, ticket, snapshot=snapshot.near(ticket), ruleset=ruleset, desk=desk, now=now, message=message)
    if isinstance(done, Illegal):
        return None
    kept = () if any(isinstance(each, AddEntry) and each.from_signal for each in done) else effects
    return _decision(ticket, "requester_commands", "The requester asked for it by mail.", ruleset, trust, (*done, *kept))


def _kept(message: UserMessage, ticket: Ticket, commands: Commands, trust: TrustVerdict) -> AddEntry:
    """The mail itself."""
    text = "\n".join(f"#{line.word} {line.rest}".strip() for line in commands.lines)
    return AddEntry(
        ticket_id=ticket.id,
        direction=Direction.INBOUND,
        visibility=Visibility.PUBLIC,
        author=ticket.requester,
        author_name=message.sender.name if message.sender else "",
        verified=trust.level >= 1,
        subject=message.subject,
        text=text,
        from_signal=True,
        note="Commands by mail.",
        trust=trust.level,
    )


def _status(
    message: UserMessage,
    ticket: Ticket,
    verdict: Verdict,
    trust: TrustVerdict,
    ruleset: Ruleset,
    desk: Desk,
    now: datetime,
    envelope: Envelope,
    snapshot: MailSnapshot,
) -> tuple[Effect, ...]:
    """The state of the ticket to the address we know, judged as any automatic answer is (RFC 3834)."""
    answer = acknowledgement(
        message,
        envelope,
        trust=trust.level,
        verdict=verdict,
        budgets_used=snapshot.budgets_used,
        settings=ruleset.settings,
        our_addresses=desk.own_addresses,
        now=now,
        commanded=True,
    )
    assert message.sender is not None, "the requester wrote it"
    notify = Notify(
        ticket_id=ticket.id,
        event=Event.STATUS,
        recipient=message.sender,
        facts={"requester_name": ticket.requester_name, "trusted": "yes" if trust.level >= 1 else ""},
        in_reply_to=message.message_id,
        references=(*message.references, *((message.message_id,) if message.message_id else ())),
        suppressed_because=None if answer.send else answer.because,
    )
    return (notify, *answer.spend)


def _decision(ticket: Ticket, code: str, sentence: str, ruleset: Ruleset, trust: TrustVerdict, effects: tuple[Effect, ...]) -> Decision:
    values = {"trust": trust.reason}
    reasons = Reasons(code=code, sentence=sentence, ruleset_sha256=ruleset.sha256, values=values, trust=trust.level)
    return Decision(outcome=Outcome.APPENDED, ticket_id=ticket.id, effects=effects, reasons=reasons)
