"""An agent answers a notice by mail: commands at the top, words for the requester below them, all or nothing (itsm 4)."""

from datetime import datetime
from itertools import takewhile

import msgspec

from itsm.act import Act, Actor, ActorKind, Verb
from itsm.address import Address, canonical
from itsm.decision import AddEntry, ChangeTicket, Decision, Direction, Effect, Notify, OpenTicket, Reasons, SpendBudget, Visibility
from itsm.envelope import Outcome
from itsm.lifecycle import Illegal, legal_acts
from itsm.notification import Event
from itsm.service import Agent, Desk
from itsm.signal import Attachment, MailKind, UserMessage
from itsm.ticket import Ticket
from rules.acts import decide_act
from rules.authority import LEVEL, Authority
from rules.budget import notice_key
from rules.commands import Commands, Unreadable, acts_of, read, words_for
from rules.notice import TOO_MANY, reply_until
from rules.ruleset import Ruleset
from rules.snapshot import ActSnapshot, MailSnapshot

REPLY_LINE = "reply above this line"  # stands in every notice that can be answered
SMALL_INLINE_BYTES = 10_000  # an image in the text smaller than this is a logo in a signature
HELD_NOTE = "Held: it came to an agent's reply address, and does not act as them: "


def decide_agent_mail(
    message: UserMessage, ticket: Ticket, judged: Authority, snapshot: MailSnapshot, *, ruleset: Ruleset, desk: Desk, now: datetime
) -> Decision:
    """The decision for a mail to a reply address: done whole, refused whole with the legal acts, or held."""
    if message.kind is not MailKind.HUMAN:
        note = f"Automatic mail ({message.kind.value}) to an agent's reply address; changes nothing."
        entry = _entry(message, ticket, judged, Visibility.INTERNAL, message.text, note)
        return _decision(ticket, judged, ruleset, "machine_appended", note, (entry,))
    if judged.refused or judged.holder is None:
        return _held(message, ticket, judged, snapshot, ruleset, now)
    agent, commands = judged.holder, read(own_words(message))
    actor = Actor(kind=ActorKind.AGENT, name=agent.key, trust=LEVEL)
    acts = acts_of(commands, ticket.number, actor, desk)
    if isinstance(acts, Unreadable):
        return _refused(message, ticket, judged, agent, acts.reason, snapshot, ruleset, now)
    asked_status = any(line.word == "status" for line in commands.lines)
    wrong = _unsendable(message, acts, asked_status, ruleset)
    if wrong:
        return _refused(message, ticket, judged, agent, wrong, snapshot, ruleset, now)
    done = decide_acts(acts, ticket, snapshot=snapshot.near(ticket), ruleset=ruleset, desk=desk, now=now, message=message)
    if isinstance(done, Illegal):
        return _refused(message, ticket, judged, agent, done.reason, snapshot, ruleset, now)
    effects = (
        done
        if any(isinstance(each, AddEntry) and each.from_signal for each in done)
        else (*done, _quiet(message, ticket, judged, commands))
    )
    if commands.lines:
        facts = {"done": _told(commands), "refused": "", "state_now": _after(ticket, done).state.value.replace("_", " ")}
        effects = (*effects, *_result(message, _after(ticket, done), agent, facts, snapshot, ruleset, now))
    return _decision(ticket, judged, ruleset, "agent_mail", f"{agent.name} answered by mail.", effects)


def own_words(message: UserMessage) -> str:
    """The agent's own words, never those of our notice: what the parser left is cut at our line, and what leads to it goes too."""
    words = message.reply_text
    if REPLY_LINE not in words.casefold():
        return words.strip()
    kept = list(takewhile(lambda line: REPLY_LINE not in line.casefold(), words.split("\n")))
    while kept and (not kept[-1].strip() or kept[-1].lstrip().startswith(">")):
        kept.pop()
    if kept and (kept[-1].rstrip().endswith(":") or "@" in kept[-1]):  # "On Monday, Service Desk wrote:", or a block of header lines
        while kept and kept[-1].strip():
            kept.pop()
    return "\n".join(line for line in kept if not line.lstrip().startswith(">")).strip()


def sendable(message: UserMessage) -> tuple[Attachment, ...]:
    """The files of an agent's mail that go to the requester: all but small images in the text."""
    return tuple(each for each in message.attachments if not (each.inline and each.size_bytes < SMALL_INLINE_BYTES))


def _unsendable(message: UserMessage, acts: tuple[Act, ...], asked_status: bool, ruleset: Ruleset) -> str:
    """Why the mail as a whole cannot be done, "" when it can."""
    if not acts and not asked_status:
        return "there are no words of yours above the quoted text, and no command"
    limit = ruleset.settings.attachments_limit_bytes
    size_bytes = sum(each.size_bytes for each in sendable(message))
    if any(act.verb in (Verb.REPLY, Verb.RESOLVE) for act in acts) and size_bytes > limit:
        return f"its files are {size_bytes} bytes, and {limit} may go to the requester"
    return ""


def decide_acts(
    acts: tuple[Act, ...],
    ticket: Ticket,
    *,
    snapshot: ActSnapshot,
    ruleset: Ruleset,
    desk: Desk,
    now: datetime,
    message: UserMessage,
) -> tuple[Effect, ...] | Illegal:
    """The effects of several acts on one ticket in turn, or of none of them; each is judged as it would be from any channel.

    The words are those of `message`: its files go with what is sent.
    """
    effects: list[Effect] = []
    current = ticket
    for act in acts:
        decision = decide_act(act, current, ruleset=ruleset, desk=desk, now=now, snapshot=snapshot)
        if isinstance(decision, Illegal):
            return decision
        if any(isinstance(each, OpenTicket) for each in decision.effects) and any(isinstance(each, OpenTicket) for each in effects):
            return Illegal(reason="one mail splits off one ticket", legal_acts=legal_acts(ticket, act.actor.kind))
        effects += [_with_mail(each, act, current, message) for each in decision.effects]
        current = _after(current, decision.effects)
    return tuple(effects)


def _after(ticket: Ticket, effects: tuple[Effect, ...]) -> Ticket:
    """The ticket when these are done."""
    changes = [each.after for each in effects if isinstance(each, ChangeTicket) and each.before.id == ticket.id]
    return changes[-1] if changes else ticket


def _with_mail(effect: Effect, act: Act, ticket: Ticket, message: UserMessage) -> Effect:
    """An effect of an act that came by mail: the entry is that mail, and files go to whom its words go."""
    if isinstance(effect, AddEntry) and effect.ticket_id == ticket.id and act.verb in (Verb.REPLY, Verb.RESOLVE, Verb.NOTE):
        return msgspec.structs.replace(effect, from_signal=True, new_words=effect.text, subject=message.subject, trust=act.actor.trust)
    if isinstance(effect, Notify) and effect.event in (Event.REPLY, Event.RESOLVED) and act.text:
        return msgspec.structs.replace(effect, files=sendable(message))
    return effect


def _quiet(message: UserMessage, ticket: Ticket, judged: Authority, commands: Commands) -> AddEntry:
    """The mail itself, kept on the desk, where its commands had no words with them."""
    return _entry(message, ticket, judged, Visibility.INTERNAL, _told(commands), "Commands by mail.")


def _told(commands: Commands) -> str:
    return "\n".join(f"#{line.word} {line.rest}".strip() for line in commands.lines)


def _entry(message: UserMessage, ticket: Ticket, judged: Authority, visibility: Visibility, text: str, note: str) -> AddEntry:
    sender = message.sender or Address(address="")
    acting = judged.holder if judged.trust.level >= LEVEL else None
    return AddEntry(
        ticket_id=ticket.id,
        direction=Direction.INBOUND if acting is None else Direction.DESK,
        visibility=visibility,
        author=f"agent:{acting.key}" if acting else canonical(sender.address),
        author_name=acting.name if acting else sender.name,
        verified=False,
        subject=message.subject,
        text=text,
        from_signal=True,
        new_words=text,
        note=note,
        trust=judged.trust.level,
    )


def _held(message: UserMessage, ticket: Ticket, judged: Authority, snapshot: MailSnapshot, ruleset: Ruleset, now: datetime) -> Decision:
    """Kept where it can be seen, without any effect, and the agent whose address was used is told."""
    entry = _entry(message, ticket, judged, Visibility.HELD, message.text, f"{HELD_NOTE}{judged.refused}.")
    told: tuple[Effect, ...] = ()
    if judged.holder is not None:
        facts = {"done": "", "refused": judged.refused, "held": "yes"}
        told = _result(message, ticket, judged.holder, facts, snapshot, ruleset, now)
    return _decision(ticket, judged, ruleset, "held_for_agent", f"{judged.refused}.", (entry, *told))


def _refused(
    message: UserMessage,
    ticket: Ticket,
    judged: Authority,
    agent: Agent,
    reason: str,
    snapshot: MailSnapshot,
    ruleset: Ruleset,
    now: datetime,
) -> Decision:
    """Nothing of the mail is done; it stays on the desk, and the agent hears why and what would be legal."""
    entry = _entry(message, ticket, judged, Visibility.INTERNAL, own_words(message), f"Refused, nothing was done: {reason}.")
    facts = {"done": "", "refused": reason, "held": ""}
    told = _result(message, ticket, agent, facts, snapshot, ruleset, now)
    return _decision(ticket, judged, ruleset, "agent_mail_refused", f"{reason}.", (entry, *told))


def _result(
    message: UserMessage, ticket: Ticket, agent: Agent, facts: dict[str, str], snapshot: MailSnapshot, ruleset: Ruleset, now: datetime
) -> tuple[Effect, ...]:
    """The answer to the agent's own address, whoever wrote; within the budget of the sender, so that it ends any loop."""
    key = notice_key(message.sender.address if message.sender else "", ruleset.settings, now)
    suppressed = TOO_MANY if snapshot.budgets_used.get((key.key, key.window_start), 0) >= key.limit else None
    legal = legal_acts(ticket, ActorKind.AGENT)
    more = ("#take", "#status") if Verb.ASSIGN in legal else ("#status",)
    notify = Notify(
        ticket_id=ticket.id,
        event=Event.COMMAND_RESULT,
        recipient=Address(name=agent.name, address=agent.address),
        facts={"trusted": "yes", "answerable": "yes", "legal": ", ".join((*more, *words_for(legal))), **facts},
        in_reply_to=message.message_id,
        references=(*message.references, *((message.message_id,) if message.message_id else ())),
        suppressed_because=suppressed,
        reply_as=agent.key,
        reply_until=reply_until(ruleset.settings, now),
    )
    return (notify,) if suppressed else (notify, SpendBudget(key=key.key, window_start=key.window_start, limit=key.limit))


def _decision(ticket: Ticket, judged: Authority, ruleset: Ruleset, code: str, sentence: str, effects: tuple[Effect, ...]) -> Decision:
    reasons = Reasons(
        code=code,
        sentence=sentence,
        ruleset_sha256=ruleset.sha256,
        values={"trust": judged.trust.reason, "holder": judged.holder.key if judged.holder else ""},
        trust=judged.trust.level,
    )
    return Decision(outcome=Outcome.APPENDED, ticket_id=ticket.id, effects=effects, reasons=reasons)
