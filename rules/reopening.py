"""A resolved ticket: when it closes by itself, until when it can be reopened, and what the requester's words wake."""

from datetime import datetime, timedelta

import msgspec

from itsm.decision import ChangeTicket, ClearTimer, Effect, SetTimer
from itsm.ticket import FINAL_STATES, State, Ticket
from rules.follow_up_policy import policy_of
from rules.settings import RulesSettings

AUTO_CLOSE = "auto_close"


def auto_close(ticket_id: int, team: str, settings: RulesSettings, now: datetime) -> SetTimer:
    """The timer that closes a resolved ticket of a team."""
    due = now + timedelta(days=policy_of(team, settings).close_after_days)
    return SetTimer(subject_kind="ticket", subject_id=ticket_id, kind=AUTO_CLOSE, due_at=due)


def stays_open(ticket_id: int) -> ClearTimer:
    """The end of that timer."""
    return ClearTimer(subject_kind="ticket", subject_id=ticket_id, kind=AUTO_CLOSE)


def too_late(ticket: Ticket, settings: RulesSettings, now: datetime) -> bool:
    """Whether the ticket can no longer be reopened: it is final, or was resolved before the window (itsm 3.2)."""
    if ticket.state in FINAL_STATES:
        return True
    return ticket.resolved_at is not None and now - ticket.resolved_at > timedelta(days=policy_of(ticket.team, settings).reopen_days)


def wake(ticket: Ticket, actor: str, now: datetime) -> tuple[Effect, ...]:
    """The requester's words reopen what is resolved, resume what waits for the customer, and leave the rest as it is."""
    if ticket.state is State.RESOLVED:
        after = msgspec.structs.replace(
            ticket, state=State.IN_PROGRESS, resolved_at=None, resolution_code="", reopen_count=ticket.reopen_count + 1, updated_at=now
        )
        return ChangeTicket(before=ticket, after=after, verb="reopen", actor=actor), stays_open(ticket.id)
    if ticket.state is State.PENDING and ticket.pending_reason == "customer":
        after = msgspec.structs.replace(ticket, state=State.IN_PROGRESS, pending_reason="", updated_at=now)
        return (ChangeTicket(before=ticket, after=after, verb="resume", actor=actor),)
    return ()
