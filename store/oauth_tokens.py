"""Tokens of OAuth 2.0, one row a name: kept before they are used, a rotated refresh token with its access token (mail case 24)."""

from datetime import datetime

import msgspec
from sqlalchemy import select, text

from store.desk_schema import oauth_token
from store.instants import from_column, to_column
from store.transaction import Tx

_KEEP = text(
    "INSERT INTO oauth_token (desk_id, name, access_token, refresh_token, obtained_at, expires_at) "
    "VALUES (:desk_id, :name, :access_token, :refresh_token, :obtained_at, :expires_at) ON CONFLICT (desk_id, name) DO UPDATE SET "
    "access_token = excluded.access_token, refresh_token = excluded.refresh_token, obtained_at = excluded.obtained_at, "
    "expires_at = excluded.expires_at"
)


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An access token and, where the grant gives one, what the next is asked for with."""

    access_token: str
    refresh_token: str | None
    obtained_at: datetime
    expires_at: datetime


def find(tx: Tx, name: str) -> Token | None:
    """The token of that name."""
    row = tx.connection.execute(select(oauth_token).where(oauth_token.c.desk_id == tx.desk_id, oauth_token.c.name == name)).one_or_none()
    if row is None:
        return None
    return Token(
        access_token=row.access_token,
        refresh_token=row.refresh_token,
        obtained_at=from_column(row.obtained_at),
        expires_at=from_column(row.expires_at),
    )


def keep(tx: Tx, name: str, token: Token) -> None:
    """Keep it in the place of the one before."""
    values = {"access_token": token.access_token, "refresh_token": token.refresh_token, "obtained_at": to_column(token.obtained_at)}
    tx.connection.execute(_KEEP, {"desk_id": tx.desk_id, "name": name, "expires_at": to_column(token.expires_at), **values})
