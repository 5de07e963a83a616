"""Addresses that mail of ours came back from for good (mail 63): marked by a delivery report, lifted by a mail from there."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import bindparam, delete, select

from store import lookup
from store.bulk import BulkInsert
from store.chunking import in_lists
from store.instants import from_column, to_column
from store.lookup import Lookup
from store.people_schema import undeliverable
from store.transaction import Tx


class Undeliverable(msgspec.Struct, frozen=True, kw_only=True):
    """A canonical address, the row of the outbox that came back, what the report said, and since when."""

    address: str
    outbox_id: int
    reason: str
    since: datetime


_insert = BulkInsert(undeliverable, "desk_id", "address", "outbox_id", "reason", "since", on_conflict="(desk_id, address) DO NOTHING")


_marked = Lookup(select(undeliverable).where(undeliverable.c.desk_id == bindparam("desk_id"), lookup.among(undeliverable.c.address)))


def among(tx: Tx, addresses: Iterable[str]) -> dict[str, Undeliverable]:
    """Those of the canonical addresses that are marked."""
    return {
        row.address: Undeliverable(address=row.address, outbox_id=row.outbox_id, reason=row.reason, since=from_column(row.since))
        for row in _marked(tx, addresses)
    }


def mark_many(tx: Tx, marks: Sequence[Undeliverable]) -> None:
    """Mark addresses; one that is marked keeps its first mark."""
    _insert(tx, [(tx.desk_id, each.address, each.outbox_id, each.reason, to_column(each.since)) for each in marks])


def lift_many(tx: Tx, addresses: Iterable[str]) -> None:
    """Take the marks away; an address without one is no error."""
    for some in in_lists(sorted(set(addresses))):
        tx.connection.execute(delete(undeliverable).where(undeliverable.c.desk_id == tx.desk_id, undeliverable.c.address.in_(some)))
