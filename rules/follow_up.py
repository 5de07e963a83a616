"""What a mail does to the ticket it answers: who may append in the open, reopen, or only leave a held note."""

from datetime import datetime

import msgspec

from itsm.address import Address, canonical
from itsm.decision import AddEntry, Decision, Direction, Effect, LinkTickets, Reasons, Visibility
from itsm.envelope import Envelope, Outcome
from itsm.notification import Event
from itsm.service import Desk
from itsm.signal import MailKind, UserMessage
from itsm.ticket import State, Ticket
from rules.authentication import TrustVerdict
from rules.authority import agent_of
from rules.budget import reopen_key
from rules.follow_up_policy import policy_of
from rules.notice import tell_team
from rules.opening import open_for_mail
from rules.reopening import too_late, wake
from rules.requester_mail import requester_commands
from rules.ruleset import Ruleset, Verdict
from rules.settings import RulesSettings
from rules.snapshot import MailSnapshot
from rules.thanks import only_thanks
from rules.threading import Match

HELD = "held: the sender is not on this ticket, or nobody authenticated the mail"
NOT_BY_THAT_ADDRESS = "held: an agent answers by the reply address of their own notice, not by the address of the desk"
AFTER_WINDOW = "held: it came after the time in which the ticket can be reopened"
REOPENED = "reopened by a reply"
TOO_OFTEN = "The ticket was reopened too often today; it stays resolved, and an agent may reopen it."


def follow_up(
    message: UserMessage,
    found: Match,
    *,
    verdict: Verdict,
    trust: TrustVerdict,
    ruleset: Ruleset,
    desk: Desk,
    now: datetime,
    envelope: Envelope,
    snapshot: MailSnapshot,
) -> Decision:
    """The decision for a mail that leads to a ticket.

    Machine mail is appended and changes nothing. A stranger's mail is held, and the team is told. A participant's mail
    appends; it reopens a resolved ticket within the window and opens a new, linked ticket after it.
    """
    ticket = found.ticket
    assert ticket is not None, "a match has a ticket"
    settings, used, near = ruleset.settings, snapshot.budgets_used, snapshot.near(ticket).followers
    if message.kind is not MailKind.HUMAN:
        note = f"Automatic mail ({message.kind.value}); changes nothing."
        return _appended(message, ticket, Visibility.INTERNAL, "machine_appended", note, found, trust, verdict, ruleset, ())
    asked = requester_commands(
        message, ticket, trusted=found.trusted, verdict=verdict, trust=trust, ruleset=ruleset, desk=desk, now=now, envelope=envelope,
        snapshot=snapshot,
    )  # fmt: skip
    if asked is not None:
        return asked
    held = _held_because(message, ticket, found, snapshot, desk, settings, now)
    if held:
        note = "From somebody who is not on this ticket; waits for an agent." if held is HELD else held
        told = tell_team(
            message, ticket, Event.TEAM_REPLY, reason=held, desk=desk, settings=settings, budgets_used=used, now=now, followers=near,
            doubted=not found.trusted,
        )  # fmt: skip
        return _appended(message, ticket, Visibility.HELD, "held_for_agent", note, found, trust, verdict, ruleset, told)
    if too_late(ticket, settings, now):
        decision = open_for_mail(
            message, envelope, snapshot, verdict=verdict, trust=trust, ruleset=ruleset, desk=desk, now=now, suggested_id=None
        )
        assert decision.ticket_id is not None, "it opens a ticket"
        link = LinkTickets(ticket_id=decision.ticket_id, other_id=ticket.id, kind="follows")
        return msgspec.structs.replace(decision, effects=(*decision.effects, link))
    reopened, again = ticket.state is State.RESOLVED, reopen_key(ticket.id, settings, now)
    if reopened and only_thanks(message):
        note = "Says thanks and no more; changes nothing."
        return _appended(message, ticket, Visibility.PUBLIC, "thanks", note, found, trust, verdict, ruleset, ())
    told = tell_team(
        message, ticket, Event.TEAM_REPLY, reason=REOPENED if reopened else "", desk=desk, settings=settings, budgets_used=used, now=now,
        followers=near,
    )  # fmt: skip
    if reopened and again.used_up(used):
        return _appended(message, ticket, Visibility.PUBLIC, "reopened_too_often", TOO_OFTEN, found, trust, verdict, ruleset, told)
    spent = (again.spend(),) if reopened else ()
    effects = (*wake(ticket, canonical(message.sender.address) if message.sender else "", now), *spent, *told)
    code = "reopened_by_reply" if reopened else "appended_by_reply"
    return _appended(message, ticket, Visibility.PUBLIC, code, "", found, trust, verdict, ruleset, effects)


def _held_because(
    message: UserMessage, ticket: Ticket, found: Match, snapshot: MailSnapshot, desk: Desk, settings: RulesSettings, now: datetime
) -> str:
    """Why the mail is held, "" when its words count: an agent's do only by their reply address, or on a ticket of their own."""
    if not found.trusted:
        return HELD
    if policy_of(ticket.team, settings).held_after and too_late(ticket, settings, now):
        return AFTER_WINDOW
    sender = message.sender.address if message.sender else ""
    return NOT_BY_THAT_ADDRESS if agent_of(desk, sender) is not None and not snapshot.is_sender(ticket.requester, canonical(sender)) else ""


def _appended(
    message: UserMessage,
    ticket: Ticket,
    visibility: Visibility,
    code: str,
    note: str,
    found: Match,
    trust: TrustVerdict,
    verdict: Verdict,
    ruleset: Ruleset,
    effects: tuple[Effect, ...],
) -> Decision:
    sender = message.sender or Address(address="")
    entry = AddEntry(
        ticket_id=ticket.id,
        direction=Direction.INBOUND,
        visibility=visibility,
        author=canonical(sender.address),
        author_name=sender.name,
        verified=visibility is Visibility.PUBLIC,
        subject=message.subject,
        text=message.text,
        from_signal=True,
        note=note,
        trust=trust.level,
    )
    reasons = Reasons(
        code=code,
        sentence=f"It answers this ticket ({found.strength.value}).",
        ruleset_sha256=ruleset.sha256,
        rules=verdict.rules,
        values=verdict.values | {"reference": found.message_id or "", "candidates": "; ".join(found.candidates), "trust": trust.reason},
        near_misses=verdict.near_misses,
        trust=trust.level,
    )
    return Decision(outcome=Outcome.APPENDED, ticket_id=ticket.id, effects=(entry, *effects), reasons=reasons)
