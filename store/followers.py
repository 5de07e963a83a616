"""Who follows a ticket besides its requester, and who is left out of it for a while."""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, insert, select, tuple_

from itsm.person import Follower, FollowerKind
from store.chunking import in_lists
from store.instants import from_column_or_none, to_column, to_column_or_none
from store.people_schema import follower
from store.transaction import Tx

MAX_FOLLOWERS = 200  # of a ticket
Key = tuple[int, str, str]  # ticket, canonical address, kind


def of_tickets(tx: Tx, ticket_ids: Iterable[int]) -> dict[int, tuple[Follower, ...]]:
    """The followers of each ticket, those who came first before the others."""
    found: dict[int, list[Follower]] = {}
    for some in in_lists(sorted(set(ticket_ids))):
        query = select(follower).where(follower.c.desk_id == tx.desk_id, follower.c.ticket_id.in_(some))
        for row in tx.connection.execute(query.order_by(follower.c.ticket_id, follower.c.created_at, follower.c.address)):
            found.setdefault(row.ticket_id, []).append(
                Follower(
                    ticket_id=row.ticket_id,
                    address=row.address,
                    kind=FollowerKind(row.kind),
                    name=row.name,
                    until=from_column_or_none(row.until),
                    added_by=row.added_by,
                )
            )
    return {ticket_id: tuple(each) for ticket_id, each in found.items()}


def keep_many(tx: Tx, kept: Sequence[Follower], gone: Sequence[Key]) -> None:
    """Write followers over what there is, and remove others."""
    keys = [*gone, *((each.ticket_id, each.address, each.kind.value) for each in kept)]
    for some in in_lists(sorted(set(keys))):
        named = tuple_(follower.c.ticket_id, follower.c.address, follower.c.kind).in_(some)
        tx.connection.execute(delete(follower).where(follower.c.desk_id == tx.desk_id, named))
    rows = {
        (each.ticket_id, each.address, each.kind.value): {
            "desk_id": tx.desk_id,
            "ticket_id": each.ticket_id,
            "address": each.address,
            "kind": each.kind.value,
            "name": each.name,
            "until": to_column_or_none(each.until),
            "added_by": each.added_by,
            "created_at": to_column(tx.now),
        }
        for each in kept
    }
    if rows:
        tx.connection.execute(insert(follower), list(rows.values()))
