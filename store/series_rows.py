"""Rows of monitoring series: their instances and resolves are read back whole, never searched."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, select, update

from itsm.permission import EVERYTHING, Visible
from itsm.series import Instance, SeriesState
from store import visibility
from store.bulk import Bulk, BulkInsert
from store.chunking import in_lists
from store.exclusive import is_postgresql
from store.instants import from_column, to_column
from store.lookup import Lookup, among
from store.raced import Raced
from store.schema import series
from store.transaction import Tx


class SeriesRow(msgspec.Struct, frozen=True, kw_only=True):
    """A series as stored; `version` guards the write, `open` and `ticket_id` are what lists show."""

    state: SeriesState
    open: bool
    ticket_id: int | None
    version: int


class _Body(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    instances: tuple[Instance, ...]
    resolves: tuple[datetime, ...]


_decode = msgspec.msgpack.Decoder(_Body).decode
_encode = msgspec.msgpack.Encoder().encode


def key_of(series_key: str) -> bytes:
    """The key a series is found by within its source."""
    return hashlib.sha256(series_key.encode("utf-8", "surrogatepass")).digest()


def _read(row: Row[Any]) -> SeriesRow:
    body = _decode(row.state)
    state = SeriesState(
        id=row.id,
        source=row.source,
        series_key=row.series_key,
        title=row.title,
        instances=body.instances,
        resolves=body.resolves,
        content_sha256=row.content_sha256,
        event_count=row.event_count,
        last_seen_at=from_column(row.last_seen_at),
    )
    return SeriesRow(state=state, open=bool(row.open), ticket_id=row.ticket_id, version=row.version)


_by_keys = Lookup(
    select(series).where(series.c.desk_id == bindparam("desk_id"), series.c.source == bindparam("source"), among(series.c.key_sha256)),
    "source",
)
_versions = Lookup(select(series.c.id, series.c.version).where(series.c.desk_id == bindparam("desk_id"), among(series.c.id)))


def by_keys(tx: Tx, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], SeriesRow]:
    """Series by (source, series key); missing ones are left out. One statement per 500 keys of a source."""
    by_source: dict[str, set[bytes]] = {}
    for source, series_key in keys:
        by_source.setdefault(source, set()).add(key_of(series_key))
    found: dict[tuple[str, str], SeriesRow] = {}
    for source, digests in sorted(by_source.items()):
        found |= {(row.source, row.series_key): _read(row) for row in _by_keys(tx, digests, source)}
    return found


def by_ids(tx: Tx, ids: Iterable[int]) -> dict[int, SeriesRow]:
    """Series by id; missing ones are left out."""
    found: dict[int, SeriesRow] = {}
    for some in in_lists(sorted(set(ids))):
        query = select(series).where(series.c.desk_id == tx.desk_id, series.c.id.in_(some))
        found |= {row.id: _read(row) for row in tx.connection.execute(query)}
    return found


def versions(tx: Tx, ids: Iterable[int]) -> dict[int, int]:
    """The version of each series; missing ones are left out."""
    return {row.id: row.version for row in _versions(tx, ids)}


_WRITES = "series_writes"  # of a connection's memory


def stamp(tx: Tx) -> object:
    """Equal stamps of two transactions: no series was written between them that nobody follows. None where nothing tells (PostgreSQL).

    SQLite says whether another connection has committed; what this one writes is counted, whatever becomes of it.
    """
    if is_postgresql(tx.connection):
        return None
    others = tx.connection.exec_driver_sql("PRAGMA data_version").scalar()
    return (others, *tx.connection.info.setdefault(_WRITES, [object(), 0]))


def _count_write(tx: Tx) -> None:
    tx.connection.info.setdefault(_WRITES, [object(), 0])[1] += 1


_UPDATED = ("title", "state", "content_sha256", "event_count", "last_seen_at", "open", "ticket_id")
_insert = BulkInsert(series, *_UPDATED, "desk_id", "id", "source", "series_key", "key_sha256", "version")
_update = Bulk(
    update(series)
    .where(series.c.desk_id == bindparam("b_desk"), series.c.id == bindparam("b_id"), series.c.version == bindparam("b_seen"))
    .values({name: bindparam(name) for name in (*_UPDATED, "version")}),
    *(*_UPDATED, "version", "b_desk", "b_id", "b_seen"),
)


_ID_OF_CHANGED = itemgetter(len(_UPDATED) + 2)


def keep_many(tx: Tx, rows: Sequence[SeriesRow], *, followed: bool = False) -> None:
    """Insert series of version 0 and write the others over their version; raises Raced when one has moved on.

    `followed`: who holds stamps knows the versions that this write makes, so that the stamp stays.
    """
    if not rows:
        return
    if not followed:
        _count_write(tx)
    fresh, changed = [], []
    for row in rows:
        state = row.state
        values = (
            state.title,
            _encode(_Body(instances=state.instances, resolves=state.resolves)),
            state.content_sha256,
            state.event_count,
            to_column(state.last_seen_at or tx.now),
            row.open,
            row.ticket_id,
        )
        if row.version == 0:
            fresh.append((*values, tx.desk_id, state.id, state.source, state.series_key, key_of(state.series_key), 1))
        else:
            changed.append((*values, row.version + 1, tx.desk_id, state.id, row.version))
    changed.sort(key=_ID_OF_CHANGED)  # everybody locks in this order
    _insert(tx, fresh)
    if _update(tx, changed) != len(changed):
        raise Raced("a series was changed by somebody else at the same time")


def of_ticket(tx: Tx, ticket_id: int, *, limit: int = 200) -> list[SeriesRow]:
    """The series whose newest incident is this ticket, the newest first."""
    query = select(series).where(series.c.desk_id == tx.desk_id, series.c.ticket_id == ticket_id)
    return [_read(row) for row in tx.connection.execute(query.order_by(series.c.id.desc()).limit(limit))]


def open_by_source(
    tx: Tx, *, limit: int, source: str | None = None, visible: Visible = EVERYTHING, before_id: int | None = None
) -> list[SeriesRow]:
    """Open series, the newest first, at most `limit`. `before_id` continues a page."""
    if visible.organisations is not None:
        return []
    query = select(series).where(series.c.desk_id == tx.desk_id, series.c.open, *visibility.of_series(visible))
    if before_id is not None:
        query = query.where(series.c.id < before_id)
    if source is not None:
        query = query.where(series.c.source == source)
    return [_read(row) for row in tx.connection.execute(query.order_by(series.c.id.desc()).limit(limit))]
