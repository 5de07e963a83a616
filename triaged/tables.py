"""Tickets and totals as a person scans them and as a program reads them."""

from typing import Any

from itsm.ticket import Ticket, number_text
from store.totals import Balance
from triaged.output import table


def ticket_table(found: list[Ticket]) -> str:
    """Tickets one a line, as a person scans them."""
    headers = ("number", "state", "prio", "team", "from", "count", "opened", "subject")
    rows = [
        (
            number_text(each.type, each.number),
            each.state.value.replace("_", " "),
            f"P{each.priority}",
            each.team,
            each.requester or each.source,
            each.event_count or "",
            each.opened_at,
            each.subject,
        )
        for each in found
    ]
    return table(headers, rows)


def ticket_object(ticket: Ticket) -> dict[str, Any]:
    """A ticket as JSON: its fields, its number as people write it, its id as text."""
    fields = {name: getattr(ticket, name) for name in ticket.__struct_fields__}
    return fields | {"id": str(ticket.id), "number": number_text(ticket.type, ticket.number)}


def laws(balance: Balance) -> str:
    """Both laws as sums that a person can check."""
    outcomes = {name: count for name, count in balance.outcomes.items() if count}
    ended = " + ".join(f"{count} {name}" for name, count in outcomes.items()) or "0"
    waiting = f" + {balance.parts_pending} waiting" if balance.parts_pending else ""
    return (
        f"{_mark(balance.envelopes_hold)}  envelopes: {balance.accepted} accepted = {balance.pending} pending + {balance.done} done "
        f"+ {balance.quarantined} quarantined\n"
        f"{_mark(balance.parts_hold)}  parts:     {balance.parts} = {ended}{waiting}"
    )


def _mark(holds: bool) -> str:
    return "ok  " if holds else "FAIL"
