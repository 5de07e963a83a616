"""Walks the hash chains of the history and says where they are broken (design 5)."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, cast, literal, select

from store.history import GENESIS, commitment_of, link_hash
from store.schema import history, history_content, history_head, ticket
from store.transaction import Tx

ROWS_AT_ONCE = 1000


def broken_links(tx: Tx) -> Iterator[str]:
    """What is wrong, one sentence each, in order of stream: edits, gaps, truncation, lost heads, lost streams.

    Reads every entry once, in bounded memory. Whoever can rewrite a stream from some entry on to its end, its head
    with it, is not found out here: only a copy of the head kept elsewhere, a backup, can tell.
    """
    heads = _Heads(_head_rows(tx))
    for stream, entries in groupby(_entry_rows(tx), key=lambda row: str(row.stream)):
        for lost in heads.before(stream):
            yield f"history {lost}: every entry is missing"
        seq, digest = 0, GENESIS
        for row in entries:
            yield from _link(tx, row, seq, digest)
            seq, digest = row.seq, row.hash if isinstance(row.hash, bytes) else b""  # SQLite keeps any type in any column
        yield from _end(stream, seq, digest, heads.of(stream))
    for lost in heads.before(None):
        yield f"history {lost}: every entry is missing"
    yield from _without_history(tx)


def _link(tx: Tx, row: Row[Any], seq: int, previous: bytes) -> Iterator[str]:
    """Compare one entry with the one before it, which was number `seq`."""
    if row.seq != seq + 1:
        yield f"history {row.stream}: entry {seq + 1} is missing"
    else:
        expected = link_hash(previous, tx.desk_id, row.stream, row.seq, row.at, row.kind, row.actor, row.ids, row.commitment)
        if expected != row.hash:
            yield f"history {row.stream}: entry {row.seq} was changed"
    if not _is_committed(row):
        yield f"history {row.stream}: the content of entry {row.seq} was changed"


def _is_committed(row: Row[Any]) -> bool:
    """Whether the content is what the chain holds the commitment of; erased content is no fault."""
    if row.content is None:
        return True
    both_bytes = isinstance(row.content, bytes) and isinstance(row.salt, bytes)
    return both_bytes and commitment_of(row.salt, row.content) == row.commitment


def _end(stream: str, seq: int, digest: bytes, head: Row[Any] | None) -> Iterator[str]:
    """Compare the last entry of a stream with its head."""
    if head is None:
        yield f"history {stream}: its head is missing"
    elif head.seq != seq:
        yield f"history {stream}: its head names entry {head.seq}, the last entry is {seq}"
    elif head.hash != digest:
        yield f"history {stream}: its head does not match the last entry"


class _Heads:
    """The heads in order of stream, walked beside the entries."""

    def __init__(self, rows: Iterable[Row[Any]]) -> None:
        self._rows = iter(rows)
        self._next = next(self._rows, None)

    def before(self, stream: str | None) -> Iterator[str]:
        """The streams of heads that come before this one; of all that are left when None."""
        while self._next is not None and (stream is None or self._next.stream < stream):
            yield self._next.stream
            self._next = next(self._rows, None)

    def of(self, stream: str) -> Row[Any] | None:
        """The head of this stream, if it has one; the walk goes on behind it."""
        if self._next is None or self._next.stream != stream:
            return None
        found, self._next = self._next, next(self._rows, None)
        return found


def _entry_rows(tx: Tx) -> Iterable[Row[Any]]:
    same = (
        (history_content.c.desk_id == history.c.desk_id)
        & (history_content.c.stream == history.c.stream)
        & (history_content.c.seq == history.c.seq)
    )
    query = select(history, history_content.c.salt, history_content.c.content).select_from(history.outerjoin(history_content, same))
    ordered = query.where(history.c.desk_id == tx.desk_id).order_by(history.c.stream, history.c.seq)
    return tx.connection.execute(ordered.execution_options(yield_per=ROWS_AT_ONCE))


def _head_rows(tx: Tx) -> Iterable[Row[Any]]:
    query = select(history_head).where(history_head.c.desk_id == tx.desk_id).order_by(history_head.c.stream)
    return tx.connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE))


def _without_history(tx: Tx) -> Iterator[str]:
    """Tickets whose stream is gone, head and all: opening a ticket writes its first entry."""
    head = select(history_head.c.seq).where(history_head.c.desk_id == ticket.c.desk_id, history_head.c.stream == _stream_of_ticket())
    query = select(ticket.c.id).where(ticket.c.desk_id == tx.desk_id, ~head.exists()).order_by(ticket.c.id)
    for ticket_id in tx.connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)).scalars():
        yield f"history ticket:{ticket_id}: the whole stream is missing"


def _stream_of_ticket() -> ColumnElement[str]:
    return literal("ticket:").concat(cast(ticket.c.id, Text))
