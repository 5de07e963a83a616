"""Envelopes whose body came before, octet for octet: a row that names the envelope which has the bytes, done when it is accepted (ADR-0016)."""

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Dialect, select

from itsm.envelope import Envelope, Outcome
from store.bulk import BulkInsert
from store.inbox import COLUMNS, DONE, PENDING, row_values
from store.instants import to_column
from store.schema import inbox
from store.transaction import Tx

_STATE = COLUMNS.index("state")
_insert = BulkInsert(inbox, *COLUMNS, "outcomes", "part_count", "done_at", "raw_of")


@lru_cache
def _waiting(dialect: Dialect, desk_id: int, limit: int) -> str:
    """The text of the query, made once: it is asked in every commit of a door that ends something."""
    query = select(inbox.c.id, inbox.c.format).where(inbox.c.desk_id == desk_id, inbox.c.state == PENDING).limit(limit)
    return str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def waiting(tx: Tx, limit: int) -> list[tuple[int, str]]:
    """Which envelopes wait for triage, with their formats, at most so many."""
    rows = tx.connection.exec_driver_sql(_waiting(tx.connection.dialect, tx.desk_id, limit)).all()
    return [(row.id, row.format) for row in rows]


def add_many(tx: Tx, arrived: Sequence[tuple[Envelope, int, int]], outcome: Outcome) -> None:
    """Accept envelopes of so many parts and end them at once, every part alike; their bytes are those of the envelope named third."""
    now = to_column(tx.now)
    rows = []
    for envelope, count, raw_of in arrived:
        values = list(row_values(tx, envelope))
        values[_STATE] = DONE
        rows.append((*values, outcome.code * count, count, now, raw_of))
    _insert(tx, rows)
