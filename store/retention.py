"""Removes what was kept long enough, by class and in small commits; what it removes it adds to the totals (design 2, 9)."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Column, ColumnElement, Table, and_, delete, or_, select, tuple_

from itsm.envelope import OUTCOME_OF_CODE
from itsm.notification import DeliveryState
from store import grants, totals
from store.api_schema import answer
from store.chunking import in_lists
from store.identifiers import lowest_at
from store.inbox import DONE
from store.instants import to_column
from store.schema import budget, idempotency, inbox, outbox, outbox_raw, part, raw, refused
from store.settings import Retention
from store.transaction import Tx

BATCH_ROWS = 500  # rows of a class a commit, a chunk of 256 KiB being a row
MAX_PARTS = 5000  # part rows a commit
GRANTS_KEPT = timedelta(days=30)  # past their end, so that whoever answers late is told why
BUDGETS_KEPT = timedelta(days=15)  # longer than two windows of any budget


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """How many were removed: raw mails, finished envelopes, bytes of sent mails, refused bodies, repeat keys, budgets, reply grants."""

    raw_mails: int = 0
    finished_rows: int = 0
    sent_bytes: int = 0
    refused: int = 0
    repeat_keys: int = 0
    budgets: int = 0
    grants: int = 0

    @property
    def total(self) -> int:
        """All together; 0 when nothing is left to remove."""
        return sum(getattr(self, name) for name in self.__struct_fields__)


def sweep(tx: Tx, retention: Retention, *, limit: int = BATCH_ROWS) -> Swept:
    """Remove one batch of every class; call again, in a transaction of its own, until `total` is 0."""

    def before(days: int) -> datetime:
        return tx.now - timedelta(days=days)

    return Swept(
        raw_mails=_raw_mails(tx, before(retention.raw_mail_days), limit),
        finished_rows=_finished_rows(tx, before(retention.finished_rows_days), limit),
        sent_bytes=_sent_bytes(tx, before(retention.sent_bytes_days), limit),
        refused=_refused(tx, before(retention.refused_days), limit),
        repeat_keys=_repeat_keys(tx, before(retention.repeat_keys_days), limit),
        budgets=_budgets(tx, tx.now - BUDGETS_KEPT, limit),
        grants=grants.remove_expired(tx, to_column(tx.now - GRANTS_KEPT), limit),
    )


def _raw_mails(tx: Tx, before: datetime, limit: int) -> int:
    finished = and_(inbox.c.state == DONE, inbox.c.done_at < to_column(before))
    ids = _owners_of_chunks(tx, raw, raw.c.inbox_id, inbox, finished, before, limit)
    _delete(tx, raw, raw.c.inbox_id, ids)
    return len(ids)


def _sent_bytes(tx: Tx, before: datetime, limit: int) -> int:
    sent = and_(outbox.c.state == DeliveryState.SENT.value, outbox.c.sent_at < to_column(before))
    given_up = and_(outbox.c.state == DeliveryState.SUPPRESSED.value, outbox.c.created_at < to_column(before))
    ids = _owners_of_chunks(tx, outbox_raw, outbox_raw.c.outbox_id, outbox, or_(sent, given_up), before, limit)
    _delete(tx, outbox_raw, outbox_raw.c.outbox_id, ids)
    return len(ids)


def _owners_of_chunks(
    tx: Tx, chunks: Table, owner: Column[int], owners: Table, over: ColumnElement[bool], before: datetime, limit: int
) -> list[int]:
    """Whose chunks may go, the oldest first and whole: what was over before an instant has an identifier from before it."""
    joined = chunks.join(owners, and_(owners.c.desk_id == chunks.c.desk_id, owners.c.id == owner))
    query = select(owner).select_from(joined).where(chunks.c.desk_id == tx.desk_id, owner < lowest_at(before), over)
    rows = tx.connection.execute(query.order_by(owner).limit(limit)).scalars().all()
    ids = sorted(set(rows))
    return ids[:-1] if len(rows) == limit and len(ids) > 1 else ids  # the last one may have more chunks than were seen


def _finished_rows(tx: Tx, before: datetime, limit: int) -> int:
    finished = and_(inbox.c.state == DONE, inbox.c.done_at < to_column(before), inbox.c.done_at.is_not(None))
    query = select(inbox.c.id, inbox.c.part_count, inbox.c.outcomes).where(inbox.c.desk_id == tx.desk_id, finished)
    ids: list[int] = []
    letters: Counter[str] = Counter()
    ordered = query.order_by(inbox.c.done_at).limit(limit).with_for_update(skip_locked=True)  # each counted once, by one replica
    for row in tx.connection.execute(ordered).all():
        if ids and letters.total() + row.part_count > MAX_PARTS:
            break
        ids.append(row.id)
        letters.update(row.outcomes)
    amounts = {totals.outcome_name(OUTCOME_OF_CODE[letter]): count for letter, count in letters.items()}
    totals.add(tx, amounts | {totals.ACCEPTED: len(ids), DONE: len(ids), totals.PARTS: letters.total()})
    _delete(tx, raw, raw.c.inbox_id, ids)
    _delete(tx, part, part.c.inbox_id, ids)
    _delete(tx, inbox, inbox.c.id, ids)
    return len(ids)


def _refused(tx: Tx, before: datetime, limit: int) -> int:
    old = (refused.c.desk_id == tx.desk_id, refused.c.id < lowest_at(before), refused.c.refused_at < to_column(before))
    ids = tx.connection.execute(select(refused.c.id).where(*old).order_by(refused.c.id).limit(limit)).scalars().all()
    _delete(tx, refused, refused.c.id, ids)
    return len(ids)


def _repeat_keys(tx: Tx, before: datetime, limit: int) -> int:
    keys = _delete_oldest(tx, idempotency, idempotency.c.created_at, (idempotency.c.door, idempotency.c.key_sha256), before, limit)
    return keys + _delete_oldest(tx, answer, answer.c.created_at, (answer.c.door, answer.c.key_sha256), before, limit)


def _budgets(tx: Tx, before: datetime, limit: int) -> int:
    return _delete_oldest(tx, budget, budget.c.window_start, (budget.c.key, budget.c.window_start), before, limit)


def _delete_oldest(tx: Tx, table: Table, age: Column[int], key: tuple[Column[str], Column[int]], before: datetime, limit: int) -> int:
    oldest = select(*key).where(table.c.desk_id == tx.desk_id, age < to_column(before)).order_by(age).limit(limit)
    return tx.connection.execute(delete(table).where(table.c.desk_id == tx.desk_id, tuple_(*key).in_(oldest))).rowcount


def _delete(tx: Tx, table: Table, column: Column[int], ids: Sequence[int]) -> None:
    for some in in_lists(ids):
        tx.connection.execute(delete(table).where(table.c.desk_id == tx.desk_id, column.in_(some)))
