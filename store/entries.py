"""Words on tickets and the files that came with them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter

import msgspec
from sqlalchemy import bindparam, select, update

from itsm.signal import Attachment
from store.bulk import BulkInsert
from store.chunking import in_lists
from store.instants import from_column, to_column
from store.schema import attachment, entry
from store.transaction import Tx

MAX_ENTRIES = 500


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Something said on a ticket. `direction` inbound, outbound or desk; `visibility` public, internal or held."""

    id: int
    ticket_id: int
    direction: str
    visibility: str
    author: str
    author_name: str
    verified: bool
    kind: str
    subject: str = ""
    text: str = ""
    reply_text: str = ""
    note: str = ""
    message_id: str | None = None
    content_sha256: bytes | None = None
    inbox_id: int | None = None
    part_seq: int | None = None
    created_at: datetime
    trust: int = 0
    attachments: tuple[Attachment, ...] = ()


_COLUMNS = tuple(field for field in Entry.__struct_fields__ if field not in ("created_at", "attachments"))
_values = attrgetter(*_COLUMNS)
_insert = BulkInsert(entry, *_COLUMNS, "desk_id", "created_at")
_described = attrgetter(*Attachment.__struct_fields__)
_insert_attachments = BulkInsert(attachment, *Attachment.__struct_fields__, "desk_id", "entry_id", "seq")


def insert_many(tx: Tx, entries: Sequence[Entry]) -> None:
    """Insert entries and their attachments, one statement each."""
    _insert(tx, [(*_values(each), tx.desk_id, to_column(each.created_at)) for each in entries])
    files = [(*_described(file), tx.desk_id, each.id, seq) for each in entries for seq, file in enumerate(each.attachments)]
    _insert_attachments(tx, files)


_REVISE = (
    update(entry)
    .where(entry.c.desk_id == bindparam("b_desk"), entry.c.id == bindparam("b_id"))
    .values(visibility=bindparam("b_visibility"), verified=bindparam("b_verified"))
)


def revise_many(tx: Tx, revised: Sequence[tuple[int, str, bool]]) -> None:
    """Take in or drop entries that were held: (entry, visibility, verified)."""
    rows = [{"b_desk": tx.desk_id, "b_id": each, "b_visibility": seen, "b_verified": known} for each, seen, known in revised]
    if rows:
        tx.connection.execute(_REVISE, rows)


def of_ticket(tx: Tx, ticket_id: int, *, limit: int = MAX_ENTRIES) -> list[Entry]:
    """The entries of a ticket, oldest first, at most 500."""
    rows = tx.connection.execute(
        select(entry).where(entry.c.desk_id == tx.desk_id, entry.c.ticket_id == ticket_id).order_by(entry.c.id).limit(limit)
    ).all()
    files: dict[int, list[Attachment]] = {}
    for some in in_lists([row.id for row in rows]):
        query = select(attachment).where(attachment.c.desk_id == tx.desk_id, attachment.c.entry_id.in_(some))
        for file in tx.connection.execute(query.order_by(attachment.c.entry_id, attachment.c.seq)):
            fields = {field: getattr(file, field) for field in Attachment.__struct_fields__}
            files.setdefault(file.entry_id, []).append(Attachment(**fields))
    found = []
    for row in rows:
        fields = {field: getattr(row, field) for field in Entry.__struct_fields__ if field not in ("attachments", "created_at")}
        found.append(Entry(**fields, created_at=from_column(row.created_at), attachments=tuple(files.get(row.id, ()))))
    return found


def said(tx: Tx, ticket_ids: Iterable[int]) -> dict[int, tuple[Entry, ...]]:
    """What came in on each ticket, without files, oldest first: the newest 500 of all of them together."""
    found: dict[int, list[Entry]] = {}
    for some in in_lists(sorted(set(ticket_ids))):
        query = select(entry).where(entry.c.desk_id == tx.desk_id, entry.c.ticket_id.in_(some), entry.c.direction == "inbound")
        for row in reversed(tx.connection.execute(query.order_by(entry.c.id.desc()).limit(MAX_ENTRIES)).all()):
            fields = {field: getattr(row, field) for field in Entry.__struct_fields__ if field not in ("attachments", "created_at")}
            found.setdefault(row.ticket_id, []).append(Entry(**fields, created_at=from_column(row.created_at)))
    return {ticket_id: tuple(each) for ticket_id, each in found.items()}


def participants(tx: Tx, ticket_ids: Iterable[int]) -> dict[int, frozenset[str]]:
    """Canonical addresses whose words stand verified on each ticket."""
    found: dict[int, set[str]] = {}
    for some in in_lists(sorted(set(ticket_ids))):
        query = (
            select(entry.c.ticket_id, entry.c.author)
            .where(entry.c.desk_id == tx.desk_id, entry.c.ticket_id.in_(some), entry.c.verified)
            .distinct()
        )
        for row in tx.connection.execute(query):
            found.setdefault(row.ticket_id, set()).add(row.author)
    return {ticket_id: frozenset(authors) for ticket_id, authors in found.items()}
