"""How far each folder of a mailbox was fetched, what had to be passed, and what was there before us."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Row, delete, func, select, text

from store.chunking import in_lists
from store.desk_schema import mailbox_cursor, mailbox_skipped
from store.idempotency import digest_of
from store.instants import from_column, from_column_or_none, to_column
from store.schema import idempotency
from store.threads import MailSeen, remember_many, seen_before
from store.transaction import Tx

OVERSIZE, EMPTY, REFUSED, CRASHED = "oversize", "empty", "refused", "crashed"  # why a mail was passed
RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
MAX_LISTED = 500
MAX_DETAIL = 300

_MOVE = text(
    "INSERT INTO mailbox_cursor (desk_id, mailbox, folder, uid_validity, uid, history_uid, begun_at, updated_at) "
    "VALUES (:desk_id, :mailbox, :folder, :uid_validity, :uid, :history_uid, :begun_at, :now) ON CONFLICT (desk_id, mailbox, folder) DO UPDATE SET "
    "uid_validity = excluded.uid_validity, uid = excluded.uid, history_uid = excluded.history_uid, begun_at = excluded.begun_at, "
    "updated_at = excluded.updated_at"
)
_SKIP = text(
    "INSERT INTO mailbox_skipped "
    "(desk_id, mailbox, folder, uid_validity, uid, reason, detail, size_bytes, attempts, skipped_at, retry_at) VALUES "
    "(:desk_id, :mailbox, :folder, :uid_validity, :uid, :reason, :detail, :size_bytes, :attempts, :now, :retry_at) "
    "ON CONFLICT (desk_id, mailbox, folder, uid_validity, uid) DO UPDATE SET reason = excluded.reason, detail = excluded.detail, "
    "attempts = excluded.attempts, retry_at = excluded.retry_at"
)


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of this UIDVALIDITY up to `uid` is settled.

    Up to `history_uid`, what the server received before `begun_at` is history to us: no ticket, no notice.
    """

    uid_validity: int
    uid: int
    history_uid: int
    begun_at: datetime


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that could not be fetched. `retry_at` None: given up, or it waits for a higher limit."""

    mailbox: str
    folder: str
    uid_validity: int
    uid: int
    reason: str
    detail: str
    size_bytes: int
    attempts: int = 0
    skipped_at: datetime | None = None
    retry_at: datetime | None = None


def cursor(tx: Tx, mailbox: str, folder: str) -> Cursor | None:
    """How far this folder is, None before the first connect."""
    table = mailbox_cursor.c
    query = select(table.uid_validity, table.uid, table.history_uid, table.begun_at).where(
        table.desk_id == tx.desk_id, table.mailbox == mailbox, table.folder == folder
    )
    row = tx.connection.execute(query).one_or_none()
    if row is None:
        return None
    return Cursor(uid_validity=row.uid_validity, uid=row.uid, history_uid=row.history_uid, begun_at=from_column(row.begun_at))


def move_cursor(tx: Tx, mailbox: str, folder: str, to: Cursor) -> None:
    """Write the checkpoint, in the transaction that settles the mail."""
    values: dict[str, object] = {"desk_id": tx.desk_id, "mailbox": mailbox, "folder": folder}
    values |= {"uid_validity": to.uid_validity, "uid": to.uid, "history_uid": to.history_uid}
    tx.connection.execute(_MOVE, values | {"begun_at": to_column(to.begun_at), "now": to_column(tx.now)})


def skip(tx: Tx, skipped: Skipped) -> None:
    """Record a mail that is passed, with its next try; an oversize one waits for a higher limit."""
    again = skipped.reason != OVERSIZE and skipped.attempts < len(RETRY_AFTER)
    values: dict[str, object] = {name: getattr(skipped, name) for name in skipped.__struct_fields__}
    values |= {
        "desk_id": tx.desk_id,
        "detail": skipped.detail[:MAX_DETAIL],
        "attempts": skipped.attempts + 1,
        "now": to_column(tx.now),
        "retry_at": to_column(tx.now + RETRY_AFTER[skipped.attempts]) if again else None,
    }
    tx.connection.execute(_SKIP, values)


def attempts(tx: Tx, mailbox: str, folder: str, uid_validity: int, uid: int) -> int:
    """How often this mail was passed before."""
    table = mailbox_skipped.c
    mine = (table.desk_id == tx.desk_id, table.mailbox == mailbox, table.folder == folder)
    query = select(table.attempts).where(*mine, table.uid_validity == uid_validity, table.uid == uid)
    return tx.connection.execute(query).scalar() or 0


def forget_skipped(tx: Tx, mailbox: str, folder: str, uid_validity: int, uid: int) -> None:
    """It was fetched after all, or it is gone from the server."""
    table = mailbox_skipped.c
    mine = (table.desk_id == tx.desk_id, table.mailbox == mailbox, table.folder == folder)
    tx.connection.execute(delete(mailbox_skipped).where(*mine, table.uid_validity == uid_validity, table.uid == uid))


def due_again(tx: Tx, mailbox: str, folder: str, uid_validity: int, *, size_limit_bytes: int) -> list[Skipped]:
    """Skipped mails whose next try is due, and those that were too large and fit by now."""
    table = mailbox_skipped.c
    mine = (table.desk_id == tx.desk_id, table.mailbox == mailbox, table.folder == folder, table.uid_validity == uid_validity)
    fits = (table.reason == OVERSIZE) & (table.size_bytes <= size_limit_bytes)
    query = select(mailbox_skipped).where(*mine, fits | (table.retry_at <= to_column(tx.now))).order_by(table.uid).limit(MAX_LISTED)
    return [_skipped(row) for row in tx.connection.execute(query)]


def skipped(tx: Tx, *, limit: int = MAX_LISTED) -> list[Skipped]:
    """What was passed, the newest first."""
    query = select(mailbox_skipped).where(mailbox_skipped.c.desk_id == tx.desk_id)
    return [_skipped(row) for row in tx.connection.execute(query.order_by(mailbox_skipped.c.skipped_at.desc()).limit(limit))]


def skipped_counts(tx: Tx) -> dict[str, int]:
    """How many are passed, by mailbox."""
    query = select(mailbox_skipped.c.mailbox, func.count()).where(mailbox_skipped.c.desk_id == tx.desk_id)
    return {row[0]: int(row[1]) for row in tx.connection.execute(query.group_by(mailbox_skipped.c.mailbox))}


def skipped_uids(tx: Tx, mailbox: str, folder: str, uid_validity: int) -> set[int]:
    """The UIDs of a folder that are passed."""
    table = mailbox_skipped.c
    mine = (table.desk_id == tx.desk_id, table.mailbox == mailbox, table.folder == folder)
    return set(tx.connection.execute(select(table.uid).where(*mine, table.uid_validity == uid_validity)).scalars())


def stored(tx: Tx, door: str, keys: Mapping[int, str]) -> set[int]:
    """The UIDs whose key this door has an answer for."""
    by_digest = {digest_of(key): uid for uid, key in keys.items()}
    found: set[int] = set()
    for some in in_lists(sorted(by_digest)):
        query = select(idempotency.c.key_sha256).where(
            idempotency.c.desk_id == tx.desk_id, idempotency.c.door == door, idempotency.c.key_sha256.in_(some)
        )
        found |= {by_digest[each] for each in tx.connection.execute(query).scalars()}
    return found


def remember_history(tx: Tx, older: Sequence[MailSeen]) -> int:
    """Keep mails that were there before us, for sameness and threading; those that are known stay as they are. Returns how many."""
    known = seen_before(tx, (each.key_sha256 for each in older))
    fresh = {each.key_sha256: each for each in older if each.key_sha256 not in known}
    remember_many(tx, list(fresh.values()))
    return len(fresh)


def _skipped(row: Row[Any]) -> Skipped:
    fields = {name: getattr(row, name) for name in Skipped.__struct_fields__ if name not in ("skipped_at", "retry_at")}
    return Skipped(**fields, skipped_at=from_column(row.skipped_at), retry_at=from_column_or_none(row.retry_at))
