"""Bodies a door answered with 4xx: kept 7 days, the newest 1,000 a source, so that a sender's mistake can be shown to him."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, delete, insert, select

from store.instants import from_column, to_column
from store.schema import CHUNK_BYTES, refused
from store.transaction import Tx

MAX_KEPT_A_SOURCE = 1000


class RefusedBody(msgspec.Struct, frozen=True, kw_only=True):
    """A refused body; `body` is its first 256 KiB, `size_bytes` the whole of it."""

    id: int
    source: str
    refused_at: datetime
    reason: str
    size_bytes: int
    body: bytes


def keep(tx: Tx, source: str, reason: str, body: bytes) -> int:
    """Keep a body; the oldest of its source gives way to it. Returns its id."""
    refused_id = tx.new_id()
    values = {
        "desk_id": tx.desk_id,
        "id": refused_id,
        "source": source,
        "refused_at": to_column(tx.now),
        "reason": reason[:1000],
        "size_bytes": len(body),
        "body": body[:CHUNK_BYTES],
    }
    tx.connection.execute(insert(refused).values(values))
    of_source = (refused.c.desk_id == tx.desk_id, refused.c.source == source)
    oldest = select(refused.c.id).where(*of_source).order_by(refused.c.id.desc()).offset(MAX_KEPT_A_SOURCE - 1).limit(1)
    last = tx.connection.execute(oldest).scalar_one_or_none()
    if last is not None:
        tx.connection.execute(delete(refused).where(*of_source, refused.c.id < last))
    return refused_id


def listed(tx: Tx, *, source: str | None = None, limit: int = 50) -> list[RefusedBody]:
    """The newest refused bodies, of one source or of all."""
    query = select(refused).where(refused.c.desk_id == tx.desk_id)
    if source is not None:
        query = query.where(refused.c.source == source)
    return [_body(row) for row in tx.connection.execute(query.order_by(refused.c.id.desc()).limit(limit))]


def find(tx: Tx, refused_id: int) -> RefusedBody | None:
    """One refused body, or None when it is gone."""
    row = tx.connection.execute(select(refused).where(refused.c.desk_id == tx.desk_id, refused.c.id == refused_id)).one_or_none()
    return _body(row) if row is not None else None


def _body(row: Row[Any]) -> RefusedBody:
    return RefusedBody(
        id=row.id,
        source=row.source,
        refused_at=from_column(row.refused_at),
        reason=row.reason,
        size_bytes=row.size_bytes,
        body=row.body,
    )
