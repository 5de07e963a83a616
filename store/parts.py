"""Rows of parts with their outcome and, erasable, their reasons: what `explain` and the API read."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, select

from itsm.decision import Reasons
from itsm.envelope import Outcome
from store.bulk import BulkInsert
from store.instants import from_column, to_column
from store.schema import part
from store.transaction import Tx

NewPart = tuple[int, int, str, Outcome, int | None, Reasons]  # inbox id, seq, kind, outcome, ticket id, reasons


class PartRow(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a part; `reasons` is None once erased."""

    inbox_id: int
    seq: int
    kind: str
    outcome: Outcome
    ticket_id: int | None
    decided_at: datetime
    reasons: Reasons | None


_insert = BulkInsert(part, "desk_id", "inbox_id", "seq", "kind", "outcome", "ticket_id", "decided_at", "reasons")
_encode = msgspec.json.Encoder().encode


def insert_many(tx: Tx, rows: Iterable[NewPart]) -> None:
    """Insert the rows in one statement."""
    now = to_column(tx.now)
    values = [
        (tx.desk_id, inbox_id, seq, kind, outcome.value, ticket_id, now, _encode(reasons).decode())
        for inbox_id, seq, kind, outcome, ticket_id, reasons in rows
    ]
    _insert(tx, values)


def _found(tx: Tx, condition: ColumnElement[bool], *, limit: int) -> list[PartRow]:
    query = select(part).where(part.c.desk_id == tx.desk_id, condition).order_by(part.c.inbox_id, part.c.seq).limit(limit)
    return [
        PartRow(
            inbox_id=row.inbox_id,
            seq=row.seq,
            kind=row.kind,
            outcome=Outcome(row.outcome),
            ticket_id=row.ticket_id,
            decided_at=from_column(row.decided_at),
            reasons=msgspec.json.decode(row.reasons, type=Reasons) if row.reasons else None,
        )
        for row in tx.connection.execute(query)
    ]


def of_inbox(tx: Tx, inbox_id: int, *, limit: int = 200) -> Sequence[PartRow]:
    """The parts of an envelope that had an effect, in order."""
    return _found(tx, part.c.inbox_id == inbox_id, limit=limit)


def of_ticket(tx: Tx, ticket_id: int, *, limit: int = 200) -> Sequence[PartRow]:
    """The parts that touched a ticket, oldest first."""
    return _found(tx, part.c.ticket_id == ticket_id, limit=limit)
