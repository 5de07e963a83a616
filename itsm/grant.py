"""What a reply address is good for: one person, one ticket, one role, until an instant, unless it was revoked (design 6)."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Role(StrEnum):
    """In which role the holder of a reply address may speak."""

    AGENT = "agent"


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """The row behind a reply token; `person` is the key of the agent it was written for."""

    id: int
    ticket_number: int
    person: str
    role: Role
    expires_at: datetime
    revoked_at: datetime | None = None


def lapsed(grant: Grant, now: datetime) -> str:
    """Why the grant gives nothing any more, "" while it does."""
    if grant.revoked_at is not None:
        return "this reply address was revoked"
    return "this reply address has expired" if now >= grant.expires_at else ""
