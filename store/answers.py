"""What the API answered under an Idempotency-Key: a repeat gets the first answer and does nothing again (design 4, sameness)."""

import hashlib

from sqlalchemy import insert, select

from itsm.errors import Conflict
from store.api_schema import answer
from store.instants import to_column
from store.transaction import Tx


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def first(tx: Tx, door: str, key: str, request_sha256: bytes) -> bytes | None:
    """The body that the first request under this key got, None when the key is new; raises Conflict (409) for another request."""
    query = select(answer.c.body, answer.c.request_sha256).where(
        answer.c.desk_id == tx.desk_id, answer.c.door == door, answer.c.key_sha256 == _digest(key)
    )
    row = tx.connection.execute(query).one_or_none()
    if row is None:
        return None
    if row.request_sha256 != request_sha256:
        raise Conflict("this Idempotency-Key was used before, for another request; send a new request with a new key")
    return bytes(row.body)


def remember(tx: Tx, door: str, key: str, request_sha256: bytes, body: bytes) -> None:
    """Keep the answer, in the transaction that did what was asked."""
    values = {
        "desk_id": tx.desk_id, "door": door, "key_sha256": _digest(key), "request_sha256": request_sha256, "body": body,
        "created_at": to_column(tx.now),
    }  # fmt: skip
    tx.connection.execute(insert(answer).values(values))
