"""Rows of tickets, the counter their numbers come from, and the links between them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, insert, select, text, update

from itsm.permission import EVERYTHING, Visible
from itsm.ticket import State, Ticket, TicketType
from itsm.words import Term
from store import search, visibility
from store.bulk import Bulk, BulkInsert
from store.chunking import in_lists
from store.desk_schema import counter
from store.instants import from_column, from_column_or_none, to_column, to_column_or_none
from store.lookup import Query
from store.raced import Raced
from store.schema import link, ticket
from store.transaction import Tx

TICKET_NUMBER = "ticket"
FIRST_NUMBER = 1001
MAX_LISTED = 200
MAX_MERGES = 8  # in a row


# Literals in the words and order of the index of open tickets: only so the planner sees it.
_OPEN_STATES = (State.NEW.value, State.IN_PROGRESS.value, State.PENDING.value)
_IS_OPEN = ticket.c.state.in_(bindparam("open_states", _OPEN_STATES, expanding=True, literal_execute=True))


_IDENTITY = ("id", "number")  # what an update never changes
_CHANGING = (
    "type", "state", "subject", "impact", "urgency", "priority", "requester", "requester_name", "team", "assignee", "service", "tags",
    "source", "group_key", "severity", "event_count", "reopen_count", "pending_reason", "resolution_code", "suggested_for", "opened_at",
    "updated_at", "resolved_at", "closed_at", "impact_started_at", "impact_ended_at", "version", "trust", "entered_by", "merged_into", "state_before_merge",
    "organisation",
)  # fmt: skip


def _changing(value: Ticket) -> tuple[object, ...]:
    """In the order of _CHANGING."""
    return (
        value.type.value,
        value.state.value,
        value.subject,
        value.impact,
        value.urgency,
        value.priority,
        value.requester,
        value.requester_name,
        value.team,
        value.assignee,
        value.service,
        msgspec.json.encode(value.tags).decode(),
        value.source,
        value.group_key,
        value.severity,
        value.event_count,
        value.reopen_count,
        value.pending_reason,
        value.resolution_code,
        value.suggested_for,
        to_column(value.opened_at),
        to_column(value.updated_at),
        to_column_or_none(value.resolved_at),
        to_column_or_none(value.closed_at),
        to_column_or_none(value.impact_started_at),
        to_column_or_none(value.impact_ended_at),
        value.version,
        value.trust,
        value.entered_by,
        value.merged_into,
        value.state_before_merge,
        value.organisation,
    )


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
    if tx.numbers is not None:
        return tx.numbers.draw(count)
    return draw_from_counter(tx.connection, tx.desk_id, count)


_draw = Query(
    text(
        "INSERT INTO counter (desk_id, name, next) VALUES (:desk_id, :name, :first) "
        "ON CONFLICT (desk_id, name) DO UPDATE SET next = counter.next + :count RETURNING next"
    ),
    *("desk_id", "name", "first", "count"),
)


def draw_from_counter(connection: Connection, desk_id: int, count: int) -> range:
    """Move the counter's row on by `count`; on PostgreSQL it stays locked until the commit."""
    [(end,)] = _draw(connection, desk_id, TICKET_NUMBER, FIRST_NUMBER + count, count)
    return range(end - count, end)


def give_back_numbers(tx: Tx, unused: range) -> None:
    """Numbers that were drawn and not used, the last of a draw; where somebody drew after us they stay a gap."""
    if tx.numbers is not None:
        tx.numbers.give_back(unused)
        return
    last = (counter.c.desk_id == tx.desk_id, counter.c.name == TICKET_NUMBER, counter.c.next == unused.stop)
    tx.connection.execute(update(counter).where(*last).values(next=unused.start))


_insert = BulkInsert(ticket, "desk_id", *_IDENTITY, *_CHANGING)


def insert_many(tx: Tx, tickets: Sequence[Ticket]) -> None:
    """Insert new tickets in one statement."""
    _insert(tx, [(tx.desk_id, each.id, each.number, *_changing(each)) for each in tickets])


_update = Bulk(
    update(ticket)
    .where(ticket.c.desk_id == bindparam("b_desk"), ticket.c.id == bindparam("b_id"), ticket.c.version == bindparam("b_seen"))
    .values({name: bindparam(name) for name in _CHANGING}),
    *(*_CHANGING, "b_desk", "b_id", "b_seen"),
)


def _id_of(change: tuple[int, Ticket]) -> int:
    return change[1].id


def update_many(tx: Tx, tickets: Iterable[tuple[int, Ticket]]) -> None:
    """Write tickets over the version that was seen; raises Raced when one has moved on meanwhile."""
    rows = [(*_changing(value), tx.desk_id, value.id, seen) for seen, value in sorted(tickets, key=_id_of)]  # everybody locks in this order
    if _update(tx, rows) != len(rows):
        raise Raced("a ticket was changed by somebody else at the same time")


_count = Bulk(
    update(ticket)
    .where(ticket.c.desk_id == bindparam("b_desk"), ticket.c.id == bindparam("b_id"))
    .values(event_count=ticket.c.event_count + bindparam("b_more")),
    *("b_more", "b_desk", "b_id"),
)


def count_events(tx: Tx, more: Mapping[int, int]) -> None:
    """Add to the event counts of incidents. A count is no change of the ticket: its version stays."""
    _count(tx, [(count, tx.desk_id, ticket_id) for ticket_id, count in sorted(more.items())])


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


def survivors(tx: Tx, found: Mapping[int, Ticket]) -> dict[int, Ticket]:
    """The tickets that those in `found` were merged into, and those they were merged into in turn, by id; at most eight deep."""
    known = {each.number: each for each in found.values()}
    more: dict[int, Ticket] = {}
    for _ in range(MAX_MERGES):
        wanted = {each.merged_into for each in known.values() if each.merged_into is not None} - known.keys()
        if not wanted:
            break
        fresh = by_numbers(tx, (number for number in wanted if number is not None))
        known |= fresh
        more |= {each.id: each for each in fresh.values()}
    return more


def listed(
    tx: Tx,
    *,
    state: str | None = None,
    type_: str | None = None,
    requester: str | None = None,
    terms: Sequence[Term] | None = None,
    visible: Visible = EVERYTHING,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Ticket]:
    """Newest tickets first, at most 200; `state` may be `open` for every open state.

    `terms` must all stand in one entry, and none at all find nothing. `before_id` continues a page.
    """
    if terms is not None and not terms:
        return []
    query = select(ticket).where(ticket.c.desk_id == tx.desk_id, *visibility.of_tickets(visible))
    if state == "open":
        query = query.where(_IS_OPEN)
    elif state is not None:
        query = query.where(ticket.c.state == state)
    if type_ is not None:
        query = query.where(ticket.c.type == type_)
    if requester is not None:
        query = query.where(ticket.c.requester == requester)
    if terms is not None:
        query = query.where(search.found(tx, terms, visible))
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


def unlink_many(tx: Tx, links: Sequence[tuple[int, int, str]]) -> None:
    """Take links away (ticket, other, kind); one that is not there is no error."""
    for ticket_id, other_id, kind in sorted(set(links)):
        where = (link.c.desk_id == tx.desk_id, link.c.ticket_id == ticket_id, link.c.other_id == other_id, link.c.kind == kind)
        tx.connection.execute(delete(link).where(*where))


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
