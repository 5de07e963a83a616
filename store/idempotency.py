"""Keys by which a door knows a repeat: the stored first answer, kept longer than the raw mail (design 4, sameness)."""

import hashlib

from sqlalchemy import insert, select

from itsm.errors import Conflict
from itsm.identifier import inbox_text
from store.instants import to_column
from store.schema import idempotency
from store.transaction import Tx


def digest_of(key: str) -> bytes:
    """What a key is found by."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def first_answer(tx: Tx, door: str, key: str, body_sha256: bytes) -> int | None:
    """The inbox id the first bytes under this key got, None when the key is new; raises Conflict (409) for other bytes."""
    query = select(idempotency.c.inbox_id, idempotency.c.body_sha256).where(
        idempotency.c.desk_id == tx.desk_id, idempotency.c.door == door, idempotency.c.key_sha256 == digest_of(key)
    )
    row = tx.connection.execute(query).one_or_none()
    if row is None:
        return None
    if row.body_sha256 != body_sha256:
        raise Conflict(f"this key was used before, with other content, for {inbox_text(row.inbox_id)}; send new content with a new key")
    return int(row.inbox_id)


def remember(tx: Tx, door: str, key: str, body_sha256: bytes, inbox_id: int) -> None:
    """Keep the answer, in the transaction that accepts the bytes."""
    values = {
        "desk_id": tx.desk_id,
        "door": door,
        "key_sha256": digest_of(key),
        "body_sha256": body_sha256,
        "inbox_id": inbox_id,
        "created_at": to_column(tx.now),
    }
    tx.connection.execute(insert(idempotency).values(values))
