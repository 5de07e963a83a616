"""How a mail finds its ticket: every Message-ID that came in or went out (design 4, sameness; design 6)."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter

import msgspec
from sqlalchemy import bindparam, select

from store.bulk import BulkInsert
from store.chunking import in_lists
from store.instants import from_column, to_column
from store.lookup import Lookup, among
from store.schema import inbox, mail_seen, mail_thread, outbox
from store.transaction import Tx


def key_of(message_id: str) -> bytes:
    """The key a Message-ID (no angle brackets) is found by."""
    return hashlib.sha256(message_id.encode("utf-8", "surrogatepass")).digest()


def fallback_key_of(fallback_sha256: bytes) -> bytes:
    """The key a mail without Message-ID is found by."""
    return hashlib.sha256(b"fallback:" + fallback_sha256).digest()


def thread_key_of(message_id: str, topic: str) -> bytes:
    """The key that answers to a mail nobody here saw are found by: its Message-ID and what they are about."""
    return key_of(f"{message_id}\0{topic}")


class MailSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that came in before, under its key; `author` is the canonical From, `ticket_id` where it went."""

    key_sha256: bytes
    inbox_id: int
    content_sha256: bytes
    participants_sha256: bytes
    ticket_id: int | None
    author: str
    received_at: datetime


class MailSent(msgspec.Struct, frozen=True, kw_only=True):
    """A mail of ours that is referenced: its row of the outbox, its canonical recipient, its ticket."""

    outbox_id: int
    message_id: str
    recipient: str
    ticket_id: int


class MailThread(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that opened a ticket, under the key of a mail that it references and nobody here saw."""

    key_sha256: bytes
    inbox_id: int
    ticket_id: int


_COLUMNS = tuple(field for field in MailSeen.__struct_fields__ if field != "received_at")
_values = attrgetter(*_COLUMNS)
_insert = BulkInsert(mail_seen, *_COLUMNS, "desk_id", "received_at")


def remember_many(tx: Tx, seen: Sequence[MailSeen]) -> None:
    """Keep mails for sameness and threading, in one statement."""
    _insert(tx, [(*_values(each), tx.desk_id, to_column(each.received_at)) for each in seen])


_seen = Lookup(
    select(mail_seen).where(mail_seen.c.desk_id == bindparam("desk_id"), among(mail_seen.c.key_sha256)).order_by(mail_seen.c.inbox_id)
)


def seen_before(tx: Tx, keys: Iterable[bytes]) -> dict[bytes, list[MailSeen]]:
    """Mails seen under these keys, oldest first."""
    found: dict[bytes, list[MailSeen]] = {}
    for row in _seen(tx, keys):
        fields = {field: getattr(row, field) for field in MailSeen.__struct_fields__ if field != "received_at"}
        found.setdefault(row.key_sha256, []).append(MailSeen(**fields, received_at=from_column(row.received_at)))
    return found


_thread_values = attrgetter(*MailThread.__struct_fields__)
_insert_threads = BulkInsert(mail_thread, *MailThread.__struct_fields__, "desk_id")


def keep_threads(tx: Tx, threads: Sequence[MailThread]) -> None:
    """Keep what mails reference, in one statement."""
    _insert_threads(tx, [(*_thread_values(each), tx.desk_id) for each in threads])


_threads = Lookup(
    select(mail_thread)
    .where(mail_thread.c.desk_id == bindparam("desk_id"), among(mail_thread.c.key_sha256))
    .order_by(mail_thread.c.inbox_id)
)


def threads_of(tx: Tx, keys: Iterable[bytes]) -> dict[bytes, list[MailThread]]:
    """Mails that opened tickets under these keys, oldest first."""
    found: dict[bytes, list[MailThread]] = {}
    for row in _threads(tx, keys):
        fields = {field: getattr(row, field) for field in MailThread.__struct_fields__}
        found.setdefault(row.key_sha256, []).append(MailThread(**fields))
    return found


def sent_before(tx: Tx, keys: Iterable[bytes]) -> dict[bytes, MailSent]:
    """Mails of ours with these Message-ID keys."""
    found: dict[bytes, MailSent] = {}
    columns = (outbox.c.id, outbox.c.message_id, outbox.c.message_id_sha256, outbox.c.recipient, outbox.c.ticket_id)
    for some in in_lists(sorted(set(keys))):
        query = select(*columns).where(outbox.c.desk_id == tx.desk_id, outbox.c.message_id_sha256.in_(some))
        for row in tx.connection.execute(query):
            found[row.message_id_sha256] = MailSent(
                outbox_id=row.id, message_id=row.message_id, recipient=row.recipient, ticket_id=row.ticket_id
            )
    return found


def sent_by_ids(tx: Tx, ids: Iterable[int]) -> dict[int, MailSent]:
    """Mails of ours by the id of their row, for a delivery report that names one by its VERP token."""
    found: dict[int, MailSent] = {}
    columns = (outbox.c.id, outbox.c.message_id, outbox.c.recipient, outbox.c.ticket_id)
    for some in in_lists(sorted(set(ids))):
        for row in tx.connection.execute(select(*columns).where(outbox.c.desk_id == tx.desk_id, outbox.c.id.in_(some))):
            found[row.id] = MailSent(outbox_id=row.id, message_id=row.message_id, recipient=row.recipient, ticket_id=row.ticket_id)
    return found


def pending_in_inbox(tx: Tx, keys: Iterable[bytes]) -> set[bytes]:
    """Those of the Message-ID keys whose mail is accepted but not yet triaged."""
    found: set[bytes] = set()
    for some in in_lists(sorted(set(keys))):
        query = select(inbox.c.message_id_sha256).where(
            inbox.c.desk_id == tx.desk_id, inbox.c.message_id_sha256.in_(some), inbox.c.state == "pending"
        )
        found |= set(tx.connection.execute(query).scalars())
    return found
