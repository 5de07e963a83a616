"""Rows of tickets, the counter their numbers come from, and the links between them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, insert, select, update

from itsm.errors import Conflict
from itsm.ticket import State, Ticket, TicketType
from store.chunking import in_lists
from store.instants import from_column, from_column_or_none, to_column, to_column_or_none
from store.schema import counter, link, ticket
from store.transaction import Tx

TICKET_NUMBER = "ticket"
FIRST_NUMBER = 1001
NUMBER_BLOCK = 1
MAX_LISTED = 200


# Literals in the words and order of the index of open tickets: only so the planner sees it.
_OPEN_STATES = (State.NEW.value, State.IN_PROGRESS.value, State.PENDING.value)
_IS_OPEN = ticket.c.state.in_(bindparam("open_states", _OPEN_STATES, expanding=True, literal_execute=True))


def _row(value: Ticket, desk_id: int) -> dict[str, object]:
    row: dict[str, object] = {field: getattr(value, field) for field in value.__struct_fields__}
    row |= {
        "desk_id": desk_id,
        "type": value.type.value,
        "state": value.state.value,
        "tags": msgspec.json.encode(value.tags).decode(),
        "opened_at": to_column(value.opened_at),
        "updated_at": to_column(value.updated_at),
    }
    for field in ("resolved_at", "closed_at", "impact_started_at", "impact_ended_at"):
        row[field] = to_column_or_none(getattr(value, field))
    return row


def _ticket(row: Row[Any]) -> Ticket:
    fields = dict(row._mapping)
    del fields["desk_id"]
    for field in ("opened_at", "updated_at"):
        fields[field] = from_column(fields[field])
    for field in ("resolved_at", "closed_at", "impact_started_at", "impact_ended_at"):
        fields[field] = from_column_or_none(fields[field])
    tags = msgspec.json.decode(fields.pop("tags"), type=tuple[str, ...])
    return Ticket(**{**fields, "type": TicketType(fields["type"]), "state": State(fields["state"]), "tags": tags})


def draw_numbers(tx: Tx, count: int) -> range:
    """The next `count` ticket numbers, one counter for all types; a rolled-back transaction leaves a gap at most."""
    where = (counter.c.desk_id == tx.desk_id, counter.c.name == TICKET_NUMBER)
    found = tx.connection.execute(select(counter.c.next).where(*where)).scalar_one_or_none()
    if found is None:
        found = FIRST_NUMBER
        tx.connection.execute(insert(counter).values(desk_id=tx.desk_id, name=TICKET_NUMBER, next=found))
    tx.connection.execute(update(counter).where(*where).values(next=found + count))
    return range(found, found + count)


def insert_many(tx: Tx, tickets: Sequence[Ticket]) -> None:
    """Insert new tickets in one statement."""
    if tickets:
        tx.connection.execute(insert(ticket), [_row(each, tx.desk_id) for each in tickets])


_UPDATE = (
    update(ticket)
    .where(ticket.c.desk_id == bindparam("b_desk"), ticket.c.id == bindparam("b_id"), ticket.c.version == bindparam("b_seen"))
    .values({column.name: bindparam(column.name) for column in ticket.columns if column.name not in ("desk_id", "id", "number")})
)


def update_many(tx: Tx, tickets: Iterable[tuple[int, Ticket]]) -> None:
    """Write tickets over the version that was seen; raises Conflict when one has moved on meanwhile."""
    rows = []
    for seen, value in tickets:
        row = _row(value, tx.desk_id)
        del row["desk_id"], row["id"], row["number"]
        rows.append(row | {"b_desk": tx.desk_id, "b_id": value.id, "b_seen": seen})
    if rows and tx.connection.execute(_UPDATE, rows).rowcount != len(rows):
        raise Conflict("a ticket was changed by somebody else at the same time")


_COUNT = (
    update(ticket)
    .where(ticket.c.desk_id == bindparam("b_desk"), ticket.c.id == bindparam("b_id"))
    .values(event_count=ticket.c.event_count + bindparam("b_more"))
)


def count_events(tx: Tx, more: Mapping[int, int]) -> None:
    """Add to the event counts of incidents. A count is no change of the ticket: its version stays."""
    rows = [{"b_desk": tx.desk_id, "b_id": ticket_id, "b_more": count} for ticket_id, count in more.items()]
    if rows:
        tx.connection.execute(_COUNT, rows)


def by_ids(tx: Tx, ids: Iterable[int]) -> dict[int, Ticket]:
    """Tickets by id; missing ones are left out."""
    found: dict[int, Ticket] = {}
    for some in in_lists(sorted(set(ids))):
        rows = tx.connection.execute(select(ticket).where(ticket.c.desk_id == tx.desk_id, ticket.c.id.in_(some)))
        found |= {row.id: _ticket(row) for row in rows}
    return found


def by_numbers(tx: Tx, numbers: Iterable[int]) -> dict[int, Ticket]:
    """Tickets by number; missing ones are left out."""
    found: dict[int, Ticket] = {}
    for some in in_lists(sorted(set(numbers))):
        rows = tx.connection.execute(select(ticket).where(ticket.c.desk_id == tx.desk_id, ticket.c.number.in_(some)))
        found |= {row.number: _ticket(row) for row in rows}
    return found


def listed(
    tx: Tx,
    *,
    state: str | None = None,
    type_: str | None = None,
    requester: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Ticket]:
    """Newest tickets first, at most 200; `state` may be `open` for every open state. `before_id` continues a page."""
    query = select(ticket).where(ticket.c.desk_id == tx.desk_id)
    if state == "open":
        query = query.where(_IS_OPEN)
    elif state is not None:
        query = query.where(ticket.c.state == state)
    if type_ is not None:
        query = query.where(ticket.c.type == type_)
    if requester is not None:
        query = query.where(ticket.c.requester == requester)
    if before_id is not None:
        query = query.where(ticket.c.id < before_id)
    return [_ticket(row) for row in tx.connection.execute(query.order_by(ticket.c.id.desc()).limit(min(limit, MAX_LISTED)))]


def link_many(tx: Tx, links: Sequence[tuple[int, int, str]]) -> None:
    """Link tickets (ticket, other, kind); a link that exists stays as it is."""
    present: set[tuple[int, int, str]] = set()
    for some in in_lists(sorted({ticket_id for ticket_id, _, _ in links})):
        rows = tx.connection.execute(
            select(link.c.ticket_id, link.c.other_id, link.c.kind).where(link.c.desk_id == tx.desk_id, link.c.ticket_id.in_(some))
        )
        present |= {(row.ticket_id, row.other_id, row.kind) for row in rows}
    fresh = sorted(set(links) - present)
    if fresh:
        now = to_column(tx.now)
        rows_ = [{"desk_id": tx.desk_id, "ticket_id": a, "other_id": b, "kind": kind, "created_at": now} for a, b, kind in fresh]
        tx.connection.execute(insert(link), rows_)


def links_of(tx: Tx, ticket_id: int) -> list[tuple[int, str]]:
    """(other ticket id, kind) of every link from or to the ticket; a link to it has its kind with `of:` before it."""
    out = tx.connection.execute(select(link.c.other_id, link.c.kind).where(link.c.desk_id == tx.desk_id, link.c.ticket_id == ticket_id))
    into = tx.connection.execute(select(link.c.ticket_id, link.c.kind).where(link.c.desk_id == tx.desk_id, link.c.other_id == ticket_id))
    return [(row.other_id, row.kind) for row in out] + [(row.ticket_id, f"of:{row.kind}") for row in into]


def open_counts(tx: Tx) -> dict[tuple[str, int, str, str], int]:
    """Open tickets by (type, priority, team, state), for the gauges."""
    counts: dict[tuple[str, int, str, str], int] = {}
    query = select(ticket.c.type, ticket.c.priority, ticket.c.team, ticket.c.state).where(ticket.c.desk_id == tx.desk_id, _IS_OPEN)
    for row in tx.connection.execute(query):
        key = (row.type, row.priority, row.team, row.state)
        counts[key] = counts.get(key, 0) + 1
    return counts
