"""Timers: one row per (subject, kind, threshold); setting again replaces the due time and raises the generation."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, select, text

from itsm.signal import TimerDue
from store.bulk import Bulk
from store.chunking import in_lists
from store.instants import from_column, to_column
from store.schema import timer
from store.transaction import Tx

Key = tuple[str, int, str, int]  # subject kind, subject id, kind, threshold

_SET = text(
    "INSERT INTO timer (desk_id, subject_kind, subject_id, kind, threshold, due_at, generation) "
    "VALUES (:desk_id, :subject_kind, :subject_id, :kind, :threshold, :due_at, 1) "
    "ON CONFLICT (desk_id, subject_kind, subject_id, kind, threshold) "
    "DO UPDATE SET due_at = excluded.due_at, generation = timer.generation + 1"
)

_NAMED = ("desk_id", "subject_kind", "subject_id", "kind", "threshold")  # the primary key
_set = Bulk(_SET, *_NAMED, "due_at")
_clear = Bulk(delete(timer).where(*(timer.c[name] == bindparam(name) for name in _NAMED)), *_NAMED)


def set_many(tx: Tx, timers: Sequence[tuple[Key, datetime]]) -> None:
    """Set timers to their due times."""
    _set(tx, [(tx.desk_id, *key, to_column(due_at)) for key, due_at in timers])


def clear_many(tx: Tx, keys: Sequence[Key]) -> None:
    """Remove timers; those that are not there are no error."""
    _clear(tx, [(tx.desk_id, *key) for key in keys])


def due(tx: Tx, limit: int) -> list[TimerDue]:
    """Timers whose time has come, earliest first."""
    query = select(timer).where(timer.c.desk_id == tx.desk_id, timer.c.due_at <= to_column(tx.now)).order_by(timer.c.due_at).limit(limit)
    query = query.with_for_update(skip_locked=True)  # on PostgreSQL: what another replica handles is not ours
    return [_timer(row) for row in tx.connection.execute(query)]


def of_tickets(tx: Tx, ticket_ids: Sequence[int]) -> list[TimerDue]:
    """The timers that are set on tickets, earliest first."""
    query = select(timer).where(timer.c.desk_id == tx.desk_id, timer.c.subject_kind == "ticket")
    found = [_timer(row) for some in in_lists(ticket_ids) for row in tx.connection.execute(query.where(timer.c.subject_id.in_(some)))]
    return sorted(found, key=lambda each: each.due_at)


def _timer(row: Row[Any]) -> TimerDue:
    names = ("subject_kind", "subject_id", "kind", "threshold", "generation")
    return TimerDue(due_at=from_column(row.due_at), **{name: getattr(row, name) for name in names})


def generations(tx: Tx, keys: Sequence[Key]) -> dict[Key, int]:
    """The stored generation of each timer, those that were cleared left out; one statement a kind of subject, however many timers."""
    wanted = set(keys)
    columns = (timer.c.subject_kind, timer.c.subject_id, timer.c.kind, timer.c.threshold, timer.c.generation)
    found: dict[Key, int] = {}
    for subject_kind in sorted({key[0] for key in wanted}):
        for some in in_lists(sorted({key[1] for key in wanted if key[0] == subject_kind})):
            query = select(*columns).where(
                timer.c.desk_id == tx.desk_id, timer.c.subject_kind == subject_kind, timer.c.subject_id.in_(some)
            )
            rows = (tuple(row) for row in tx.connection.execute(query))
            found |= {row[:4]: row[4] for row in rows if row[:4] in wanted}
    return found


def next_due(tx: Tx) -> datetime | None:
    """When the earliest timer is due, or None."""
    row = tx.connection.execute(
        select(timer.c.due_at).where(timer.c.desk_id == tx.desk_id).order_by(timer.c.due_at).limit(1)
    ).scalar_one_or_none()
    return None if row is None else from_column(row)
