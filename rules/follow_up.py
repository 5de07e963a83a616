"""What a mail does to the ticket it answers: who may append in the open, reopen, or only leave a held note."""

from datetime import datetime, timedelta

import msgspec

from itsm.address import Address, canonical
from itsm.decision import AddEntry, ChangeTicket, ClearTimer, Decision, Direction, Effect, LinkTickets, Notify, Reasons, Visibility
from itsm.envelope import Envelope, Outcome
from itsm.notification import Event
from itsm.service import Desk
from itsm.signal import MailKind, UserMessage
from itsm.ticket import FINAL_STATES, State, Ticket
from rules.audience import team_recipient
from rules.authentication import TrustVerdict
from rules.opening import open_for_mail
from rules.ruleset import Ruleset, Verdict
from rules.snapshot import MailSnapshot
from rules.threading import Match

AUTO_CLOSE = "auto_close"


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

    Machine mail is appended and changes nothing. A stranger's mail is held. A participant's mail appends; it reopens a
    resolved ticket within the window and opens a new, linked ticket after it.
    """
    ticket = found.ticket
    assert ticket is not None, "a match has a ticket"
    if message.kind is not MailKind.HUMAN:
        note = f"Automatic mail ({message.kind.value}); changes nothing."
        return _appended(message, ticket, Visibility.INTERNAL, "machine_appended", note, found, trust, verdict, ruleset, ())
    if not found.trusted:
        note = "From somebody who is not on this ticket; waits for an agent."
        return _appended(message, ticket, Visibility.HELD, "held_for_agent", note, found, trust, verdict, ruleset, ())
    if _too_late(ticket, ruleset, now):
        decision = open_for_mail(
            message, envelope, snapshot, verdict=verdict, trust=trust, ruleset=ruleset, desk=desk, now=now, suggested_id=None
        )
        assert decision.ticket_id is not None, "it opens a ticket"
        link = LinkTickets(ticket_id=decision.ticket_id, other_id=ticket.id, kind="follows")
        return msgspec.structs.replace(decision, effects=(*decision.effects, link))
    changed = _state_after(ticket, message, now)
    effects = (*changed, _tell_team(ticket, message, desk, reopened=ticket.state is State.RESOLVED))
    code = "reopened_by_reply" if ticket.state is State.RESOLVED else "appended_by_reply"
    return _appended(message, ticket, Visibility.PUBLIC, code, "", found, trust, verdict, ruleset, effects)


def _too_late(ticket: Ticket, ruleset: Ruleset, now: datetime) -> bool:
    if ticket.state in FINAL_STATES:
        return True
    return ticket.resolved_at is not None and now - ticket.resolved_at > timedelta(days=ruleset.settings.reopen_days)


def _state_after(ticket: Ticket, message: UserMessage, now: datetime) -> tuple[Effect, ...]:
    """A reply reopens what is resolved and wakes what waits for the customer."""
    actor = canonical(message.sender.address) if message.sender else ""
    if ticket.state is State.RESOLVED:
        after = msgspec.structs.replace(
            ticket, state=State.IN_PROGRESS, resolved_at=None, resolution_code="", reopen_count=ticket.reopen_count + 1, updated_at=now
        )
        return (
            ChangeTicket(before=ticket, after=after, verb="reopen", actor=actor),
            ClearTimer(subject_kind="ticket", subject_id=ticket.id, kind=AUTO_CLOSE),
        )
    if ticket.state is State.PENDING and ticket.pending_reason == "customer":
        after = msgspec.structs.replace(ticket, state=State.IN_PROGRESS, pending_reason="", updated_at=now)
        return (ChangeTicket(before=ticket, after=after, verb="resume", actor=actor),)
    return ()


def _tell_team(ticket: Ticket, message: UserMessage, desk: Desk, *, reopened: bool) -> Notify:
    recipient, suppressed = team_recipient(desk, ticket)
    facts = {
        "words": message.reply_text or message.text,
        "requester_name": message.sender.name if message.sender else "",
        "reason": "reopened by a reply" if reopened else "",
    }
    return Notify(
        ticket_id=ticket.id,
        event=Event.TEAM_REPLY,
        recipient=recipient,
        facts=facts,
        in_reply_to=message.message_id,
        references=(*message.references, *((message.message_id,) if message.message_id else ())),
        suppressed_because=suppressed,
    )


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
        verified=found.trusted and message.kind is MailKind.HUMAN,
        subject=message.subject,
        text=message.text,
        from_signal=True,
        note=note,
    )
    reasons = Reasons(
        code=code,
        sentence=f"It answers this ticket ({found.strength.value}).",
        ruleset_sha256=ruleset.sha256,
        rules=verdict.rules,
        values=verdict.values | {"reference": found.message_id or ""},
        near_misses=verdict.near_misses,
        trust=trust.level,
    )
    return Decision(outcome=Outcome.APPENDED, ticket_id=ticket.id, effects=(entry, *effects), reasons=reasons)
