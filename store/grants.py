"""What reply addresses are good for: a row a grant, its number in the token, so that it can expire and be revoked (design 6)."""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, insert, select, update

from itsm.grant import Grant, Role
from store.chunking import in_lists
from store.counters import draw
from store.history import append_many
from store.instants import from_column, from_column_or_none, to_column
from store.people_schema import reply_grant
from store.transaction import Tx

COUNTER = "reply_grant"
ACCESS_STREAM = "access"


def draw_ids(tx: Tx, count: int) -> range:
    """Numbers for new grants; five octets hold enough for a thousand a second over thirty years."""
    return draw(tx, COUNTER, count, first=1)


def insert_many(tx: Tx, grants: Sequence[Grant]) -> None:
    """Insert new grants in one statement."""
    rows = [
        {
            "desk_id": tx.desk_id,
            "id": each.id,
            "ticket_number": each.ticket_number,
            "person": each.person,
            "role": each.role.value,
            "created_at": to_column(tx.now),
            "expires_at": to_column(each.expires_at),
        }
        for each in grants
    ]
    if rows:
        tx.connection.execute(insert(reply_grant), rows)


def by_ids(tx: Tx, ids: Iterable[int]) -> dict[int, Grant]:
    """Grants by id; missing ones are left out."""
    found: dict[int, Grant] = {}
    for some in in_lists(sorted(set(ids))):
        for row in tx.connection.execute(select(reply_grant).where(reply_grant.c.desk_id == tx.desk_id, reply_grant.c.id.in_(some))):
            found[row.id] = Grant(
                id=row.id,
                ticket_number=row.ticket_number,
                person=row.person,
                role=Role(row.role),
                expires_at=from_column(row.expires_at),
                revoked_at=from_column_or_none(row.revoked_at),
            )
    return found


def revoke(tx: Tx, person: str, *, ticket_number: int | None = None) -> int:
    """Revoke every grant of a person, or those for one ticket; returns how many, and writes it down in the history of access."""
    where = [reply_grant.c.desk_id == tx.desk_id, reply_grant.c.person == person, reply_grant.c.revoked_at.is_(None)]
    if ticket_number is not None:
        where.append(reply_grant.c.ticket_number == ticket_number)
    count = tx.connection.execute(update(reply_grant).where(*where).values(revoked_at=to_column(tx.now))).rowcount
    if count:
        named = (ticket_number,) if ticket_number is not None else ()
        append_many(tx, [(ACCESS_STREAM, "reply_addresses_revoked", "operator", named, b"{}")])
    return count


def remove_expired(tx: Tx, before: int, limit: int) -> int:
    """Remove grants that ended before an instant (a column's value); returns how many."""
    old = select(reply_grant.c.id).where(reply_grant.c.desk_id == tx.desk_id, reply_grant.c.expires_at < before).limit(limit)
    ids = list(tx.connection.execute(old).scalars())
    for some in in_lists(ids):
        tx.connection.execute(delete(reply_grant).where(reply_grant.c.desk_id == tx.desk_id, reply_grant.c.id.in_(some)))
    return len(ids)
