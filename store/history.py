"""Append-only history: a hash-chained stream a ticket, and one each for configuration, directory and access (design 5).

`hash = sha256(previous || msgpack [chain version, desk, stream, seq, instant, kind, actor, ids, commitment])`. The content
and its salt stand beside the chain and can be erased without breaking it: the chain holds only their commitment.
"""

import hashlib
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

import msgspec
from sqlalchemy import select

from store.bulk import BulkInsert
from store.chunking import in_lists
from store.instants import from_column, to_column
from store.schema import history, history_content, history_head
from store.transaction import Tx

CHAIN_VERSION = 1
SALT_BYTES = 16
GENESIS = b"\0" * 32

NewEntry = tuple[str, str, str, tuple[int, ...], bytes]  # stream, kind, actor, ids, content


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a stream; `content` is None once erased."""

    stream: str
    seq: int
    at: datetime
    kind: str
    actor: str
    ids: tuple[int, ...]
    content: bytes | None


def commitment_of(salt: bytes, content: bytes) -> bytes:
    """What the chain holds of the content."""
    return hashlib.sha256(salt + content).digest()


def link_hash(
    previous: bytes,
    desk_id: int,
    stream: str,
    seq: int,
    at: int,
    kind: str,
    actor: str,
    ids: str,
    commitment: bytes,
) -> bytes:
    """The hash of one entry over the hash before it."""
    body = msgspec.msgpack.encode([CHAIN_VERSION, desk_id, stream, seq, at, kind, actor, ids, commitment])
    return hashlib.sha256(previous + body).digest()


_insert_entries = BulkInsert(history, "desk_id", "stream", "seq", "at", "kind", "actor", "ids", "commitment", "hash")
_insert_contents = BulkInsert(history_content, "desk_id", "stream", "seq", "salt", "content")
_move_heads = BulkInsert(
    history_head,
    *("desk_id", "stream", "seq", "hash"),
    on_conflict="(desk_id, stream) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
)


def append_many(tx: Tx, entries: Sequence[NewEntry], *, begun: AbstractSet[str] = frozenset()) -> None:
    """Append entries to their streams, in the order given, in a fixed number of statements.

    `begun` are streams that begin in this transaction: they have no head to look for.
    """
    if not entries:
        return
    heads = _heads(tx, {stream for stream, *_ in entries} - begun)
    salts = tx.random_bytes(SALT_BYTES * len(entries))
    rows, contents = [], []
    at = to_column(tx.now)
    for place, (stream, kind, actor, ids, content) in enumerate(entries):
        seq, previous = heads.get(stream, (0, GENESIS))
        seq += 1
        salt = salts[SALT_BYTES * place : SALT_BYTES * (place + 1)]
        commitment = commitment_of(salt, content)
        named = msgspec.json.encode(ids).decode()
        digest = link_hash(previous, tx.desk_id, stream, seq, at, kind, actor, named, commitment)
        heads[stream] = (seq, digest)
        rows.append((tx.desk_id, stream, seq, at, kind, actor, named, commitment, digest))
        contents.append((tx.desk_id, stream, seq, salt, content))
    _insert_entries(tx, rows)
    _insert_contents(tx, contents)
    _move_heads(tx, [(tx.desk_id, stream, seq, digest) for stream, (seq, digest) in sorted(heads.items())])


def _heads(tx: Tx, streams: Iterable[str]) -> dict[str, tuple[int, bytes]]:
    found: dict[str, tuple[int, bytes]] = {}
    for some in in_lists(sorted(streams)):
        query = select(history_head).where(history_head.c.desk_id == tx.desk_id, history_head.c.stream.in_(some))
        found |= {row.stream: (row.seq, row.hash) for row in tx.connection.execute(query)}
    return found


def of_stream(tx: Tx, stream: str, *, limit: int = 500) -> list[HistoryEntry]:
    """The entries of a stream, oldest first."""
    joined = history.outerjoin(
        history_content,
        (history_content.c.desk_id == history.c.desk_id)
        & (history_content.c.stream == history.c.stream)
        & (history_content.c.seq == history.c.seq),
    )
    query = (
        select(history, history_content.c.content).select_from(joined).where(history.c.desk_id == tx.desk_id, history.c.stream == stream)
    )
    return [
        HistoryEntry(
            stream=row.stream,
            seq=row.seq,
            at=from_column(row.at),
            kind=row.kind,
            actor=row.actor,
            ids=msgspec.json.decode(row.ids, type=tuple[int, ...]),
            content=row.content,
        )
        for row in tx.connection.execute(query.order_by(history.c.seq).limit(limit))
    ]
