"""Signing keys and API tokens. A token's secret is shown once; the store keeps its sha256."""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, func, insert, select, update

from itsm.errors import Conflict, Permanent
from store.desk_schema import api_token, signing_key
from store.history import append_many
from store.instants import (
    from_column,
    from_column_or_none,
    to_column,
    to_column_or_none,
)
from store.transaction import Tx

KEY_BYTES, TOKEN_BYTES = 32, 32
MAX_KEY_ID = 255
TOKEN_PREFIX = "trd_"  # noqa: S105 -- what every token begins with, so that secret scanners know one
SCOPES = (
    "alerts:read", "alerts:write", "silences:read", "silences:write", "messages:write", "tickets:read", "acts:write",
    "queue:read", "queue:write", "admin",
)  # fmt: skip
ACCESS_STREAM = "access"
NOBODYS_DIGEST = bytes(32)  # no sha256 anybody has the secret of


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret; `acts_as` is `agent:<key>`, `source:<key>` or `operator`."""

    id: int
    name: str
    scopes: tuple[str, ...]
    acts_as: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def may(self, scope: str) -> bool:
        """Whether the token has the scope; admin has every one."""
        return scope in self.scopes or "admin" in self.scopes


def signing_keys(tx: Tx) -> tuple[tuple[int, bytes], ...]:
    """Every signing key that may verify, the one to mint with first; makes the first at first start (in a write)."""
    query = select(signing_key).where(signing_key.c.desk_id == tx.desk_id, signing_key.c.retired_at.is_(None))
    rows = tx.connection.execute(query.order_by(signing_key.c.key_id.desc())).all()
    if rows:
        return tuple((row.key_id, row.secret) for row in rows)
    secret = tx.random_bytes(KEY_BYTES)
    tx.connection.execute(insert(signing_key).values(desk_id=tx.desk_id, key_id=1, secret=secret, created_at=to_column(tx.now)))
    append_many(tx, [(ACCESS_STREAM, "signing_key_made", "system", (1,), b"{}")])
    return ((1, secret),)


def rotate_signing_key(tx: Tx) -> int:
    """Add a key to mint with; older ones go on verifying. Returns its id; raises Conflict when all 255 are used."""
    last = tx.connection.execute(select(func.max(signing_key.c.key_id)).where(signing_key.c.desk_id == tx.desk_id)).scalar() or 0
    if last >= MAX_KEY_ID:
        raise Conflict("all 255 key ids are used")
    secret = tx.random_bytes(KEY_BYTES)
    tx.connection.execute(
        insert(signing_key).values(
            desk_id=tx.desk_id,
            key_id=last + 1,
            secret=secret,
            created_at=to_column(tx.now),
        )
    )
    append_many(tx, [(ACCESS_STREAM, "signing_key_made", "operator", (last + 1,), b"{}")])
    return int(last + 1)


def retire_signing_key(tx: Tx, key_id: int) -> None:
    """Let a key verify no more: reply addresses and Message-IDs of its time lead nowhere. Raises Permanent for the one that mints."""
    found = signing_keys(tx)
    if key_id not in {each for each, _ in found}:
        raise Permanent(f"there is no signing key {key_id} in use", status=404)
    if key_id == found[0][0]:
        raise Permanent(f"key {key_id} is the one that mints: make a new one first")
    where = (signing_key.c.desk_id == tx.desk_id, signing_key.c.key_id == key_id)
    tx.connection.execute(update(signing_key).where(*where).values(retired_at=to_column(tx.now)))
    append_many(tx, [(ACCESS_STREAM, "signing_key_retired", "operator", (key_id,), b"{}")])


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def create_token(
    tx: Tx,
    name: str,
    *,
    scopes: tuple[str, ...],
    acts_as: str,
    expires_at: datetime | None = None,
) -> str:
    """Make a token and return its secret, the only time it is seen.

    Raises Conflict when the name is taken, Permanent for a scope there is not.
    """
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise Permanent(f"there is no scope {unknown[0]!r}; there are {', '.join(SCOPES)}")
    taken = select(api_token.c.id).where(api_token.c.desk_id == tx.desk_id, api_token.c.name == name)
    if tx.connection.execute(taken).first() is not None:
        raise Conflict(f"there is a token named {name!r}; choose another name or revoke that one first")
    secret = TOKEN_PREFIX + base64.b32encode(tx.random_bytes(TOKEN_BYTES)).decode().rstrip("=").lower()
    token_id = tx.new_id()
    tx.connection.execute(
        insert(api_token).values(
            desk_id=tx.desk_id,
            id=token_id,
            name=name,
            secret_sha256=_digest(secret),
            scopes=msgspec.json.encode(scopes).decode(),
            acts_as=acts_as,
            created_at=to_column(tx.now),
            expires_at=to_column_or_none(expires_at),
        )
    )
    content = msgspec.json.encode({"name": name, "scopes": scopes, "acts_as": acts_as})
    append_many(tx, [(ACCESS_STREAM, "token_created", "operator", (token_id,), content)])
    return secret


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(
        id=row.id,
        name=row.name,
        scopes=msgspec.json.decode(row.scopes, type=tuple[str, ...]),
        acts_as=row.acts_as,
        created_at=from_column(row.created_at),
        expires_at=from_column_or_none(row.expires_at),
        revoked_at=from_column_or_none(row.revoked_at),
    )


def list_tokens(tx: Tx) -> list[ApiToken]:
    """Every token, newest first."""
    rows = tx.connection.execute(select(api_token).where(api_token.c.desk_id == tx.desk_id).order_by(api_token.c.id.desc()))
    return [_token(row) for row in rows]


def revoke_token(tx: Tx, name: str) -> bool:
    """End a token; False when there is none of that name that still works. Its name becomes free."""
    here = update(api_token).where(
        api_token.c.desk_id == tx.desk_id,
        api_token.c.name == name,
        api_token.c.revoked_at.is_(None),
    )
    found = (
        tx.connection.execute(
            here.values(
                revoked_at=to_column(tx.now),
                name=f"{name} (revoked {to_column(tx.now)})",
            )
        ).rowcount
        == 1
    )
    if found:
        append_many(
            tx,
            [
                (
                    ACCESS_STREAM,
                    "token_revoked",
                    "operator",
                    (),
                    msgspec.json.encode({"name": name}),
                )
            ],
        )
    return found


def note_denied(tx: Tx, token: ApiToken, actor: str, operation: str, why: str, *, times: int) -> None:
    """Write down in the access stream that a token was denied an act; `times` counts those since the last entry."""
    content = msgspec.json.encode({"token": token.name, "operation": operation, "why": why, "times": times})
    append_many(tx, [(ACCESS_STREAM, "act_denied", actor, (token.id,), content)])


def authenticate(tx: Tx, secret: str) -> ApiToken | None:
    """The token with this secret that is neither revoked nor expired.

    It is found by its hash, and the hash is compared in constant time, with one of nobody's where there is none: neither the
    answer's time nor the index tells how much of a guess was right (attack A53).
    """
    digest = _digest(secret)
    query = select(api_token).where(api_token.c.desk_id == tx.desk_id, api_token.c.secret_sha256 == digest)
    row = tx.connection.execute(query).one_or_none()
    same = hmac.compare_digest(row.secret_sha256 if row is not None else NOBODYS_DIGEST, digest)
    found = _token(row) if row is not None and same else None
    if found is None or found.revoked_at is not None or (found.expires_at is not None and found.expires_at <= tx.now):
        return None
    return found
