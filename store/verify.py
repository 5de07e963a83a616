"""Checks a store from outside: both conservation laws, every hash chain, every reference, and the file itself (design 2, 5)."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Row, Select, Table, and_, func, or_, select

from itsm.envelope import OUTCOME_OF_CODE, PENDING_CODE
from itsm.identifier import inbox_text
from itsm.notification import DeliveryState
from store import chain, totals
from store.exclusive import is_postgresql
from store.inbox import DONE, PENDING, QUARANTINED
from store.schema import attachment, entry, inbox, outbox, outbox_raw, part, raw, series, ticket
from store.transaction import Tx

ROWS_AT_ONCE = 1000
MAX_FILE_FINDINGS = 100
_INVALID_INDEXES = (
    "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indrelid "
    "WHERE relnamespace = current_schema()::regnamespace AND NOT (indisvalid AND indisready)"
)


def findings(tx: Tx) -> Iterator[str]:
    """Everything that is wrong, one plain sentence each with its ids, as it is found; nothing when all is well.

    Reads the whole store once, in one consistent view and bounded memory, and changes nothing.
    """
    yield from _file(tx)
    yield from _laws(tx)
    yield from _envelopes(tx)
    yield from _bytes(tx)
    yield from _parts(tx)
    yield from _references(tx)
    yield from chain.broken_links(tx)


def _file(tx: Tx) -> Iterator[str]:
    if is_postgresql(tx.connection):
        for name in tx.connection.exec_driver_sql(_INVALID_INDEXES).scalars():
            yield f"the index {name} is not valid: REINDEX it"
        return
    for (said,) in tx.connection.exec_driver_sql(f"PRAGMA integrity_check({MAX_FILE_FINDINGS})"):
        if said != "ok":
            yield f"the database file is damaged: {said}"
    for table, row_id, parent, _ in tx.connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"{table} row {row_id} names a {parent} that is not there"


def _laws(tx: Tx) -> Iterator[str]:
    found = totals.balance(tx)
    if not found.envelopes_hold:
        yield (
            f"accepted {found.accepted} is not pending {found.pending} + done {found.done} + quarantined {found.quarantined}: "
            "envelopes were lost or counted twice"
        )
    if not found.parts_hold:
        ended = sum(found.outcomes.values())
        yield f"parts {found.parts} is not outcomes {ended} + waiting {found.parts_pending}: parts were lost or counted twice"


def _rows(tx: Tx, query: Select[Any]) -> Iterator[Row[Any]]:
    yield from tx.connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE))


def _envelopes(tx: Tx) -> Iterator[str]:
    """Envelopes whose state and letters do not agree."""
    waits = inbox.c.outcomes.contains(PENDING_CODE, autoescape=True)
    wrong = or_(
        inbox.c.state.not_in((PENDING, DONE, QUARANTINED)),
        func.length(inbox.c.outcomes) != inbox.c.part_count,
        and_(inbox.c.state == DONE, or_(waits, inbox.c.part_count == 0, inbox.c.done_at.is_(None))),
        and_(inbox.c.state == PENDING, inbox.c.part_count > 0, ~waits),
        and_(inbox.c.state != DONE, inbox.c.done_at.is_not(None)),
    )
    query = select(inbox.c.id, inbox.c.state, inbox.c.part_count, inbox.c.outcomes).where(inbox.c.desk_id == tx.desk_id, wrong)
    for row in _rows(tx, query.order_by(inbox.c.id)):
        yield f"{inbox_text(row.id)}: state {row.state}, {row.part_count} parts and outcomes {row.outcomes[:80]!r} do not agree"


def _bytes(tx: Tx) -> Iterator[str]:
    """Raw mail that is missing where it is still needed, or not as long as it was; rendered mail likewise."""
    stored = (
        select(func.sum(func.length(raw.c.chunk))).where(raw.c.desk_id == inbox.c.desk_id, raw.c.inbox_id == inbox.c.id).scalar_subquery()
    )
    query = select(inbox.c.id, inbox.c.state, inbox.c.size_bytes, stored.label("stored_bytes")).where(inbox.c.desk_id == tx.desk_id)
    for row in _rows(tx, query.order_by(inbox.c.id)):
        if row.stored_bytes is None and row.state != DONE:
            yield f"{inbox_text(row.id)}: its bytes are missing"
        elif row.stored_bytes is not None and row.stored_bytes != row.size_bytes:
            yield f"{inbox_text(row.id)}: {row.stored_bytes} of its {row.size_bytes} bytes are there"
    first = inbox.alias()
    whole = and_(first.c.desk_id == inbox.c.desk_id, first.c.id == inbox.c.raw_of)
    other = select(inbox.c.id, inbox.c.raw_of).join(first, whole).where(inbox.c.desk_id == tx.desk_id)
    for row in _rows(tx, other.where(first.c.size_bytes != inbox.c.size_bytes).order_by(inbox.c.id)):
        yield f"{inbox_text(row.id)}: it is said to repeat {inbox_text(row.raw_of)}, which has another size"
    rendered = select(outbox_raw.c.outbox_id).where(outbox_raw.c.desk_id == outbox.c.desk_id, outbox_raw.c.outbox_id == outbox.c.id)
    unsettled = outbox.c.state.in_((DeliveryState.QUEUED.value, DeliveryState.SENDING.value))
    bare = select(outbox.c.id).where(outbox.c.desk_id == tx.desk_id, unsettled, outbox.c.reverse_path.is_not(None), ~rendered.exists())
    for row in _rows(tx, bare.order_by(outbox.c.id)):
        yield f"notification {row.id}: it was rendered and its bytes are missing"


def _parts(tx: Tx) -> Iterator[str]:
    """Parts whose row and letter do not agree."""
    joined = part.outerjoin(inbox, and_(inbox.c.desk_id == part.c.desk_id, inbox.c.id == part.c.inbox_id))
    query = select(part.c.inbox_id, part.c.seq, part.c.outcome, func.substr(inbox.c.outcomes, part.c.seq + 1, 1).label("letter"))
    for row in _rows(tx, query.select_from(joined).where(part.c.desk_id == tx.desk_id).order_by(part.c.inbox_id, part.c.seq)):
        place = f"{inbox_text(row.inbox_id)} part {row.seq}"
        if row.letter is None:
            yield f"{place}: its envelope is missing"
        elif row.letter not in OUTCOME_OF_CODE or OUTCOME_OF_CODE[row.letter].value != row.outcome:
            yield f"{place}: its row says {row.outcome}, its envelope says {row.letter or 'nothing'}"


_NAMED: tuple[tuple[Table, Column[int], Table, Column[int]], ...] = (
    (raw, raw.c.inbox_id, inbox, inbox.c.id),
    (part, part.c.ticket_id, ticket, ticket.c.id),
    (attachment, attachment.c.entry_id, entry, entry.c.id),
    (outbox, outbox.c.ticket_id, ticket, ticket.c.id),
    (outbox_raw, outbox_raw.c.outbox_id, outbox, outbox.c.id),
    (series, series.c.ticket_id, ticket, ticket.c.id),
)


def _references(tx: Tx) -> Iterator[str]:
    """Rows that name a row that is not there, where no foreign key says so."""
    for table, column, target, key in _NAMED:
        there = select(key).where(target.c.desk_id == tx.desk_id, key == column)
        query = select(column.label("named")).distinct().where(table.c.desk_id == tx.desk_id, column.is_not(None), ~there.exists())
        for row in _rows(tx, query):
            yield f"{table.name} names {target.name} {row.named}, which is not there"
