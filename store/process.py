"""Running processes: each leases a node number for its identifiers and beats while it lives (design 5)."""

from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, Table, delete, func, insert, select, text, update

from itsm.errors import Permanent, Transient
from itsm.identifier import MAX_NODE
from store.desk_schema import api_token, directory, process
from store.exclusive import exclusive
from store.instants import to_column
from store.schema import DESK_ID, entry, inbox, outbox, refused, series, ticket
from store.transaction import Tx

LEASE = timedelta(minutes=10)
HEARTBEAT_SECONDS = 60.0
_NUMBERED = (inbox, ticket, entry, outbox, series, refused, api_token, directory)  # tables whose `id` is issued

_RETURN = text(
    "INSERT INTO process (desk_id, node, process_id, description, started_at, heartbeat_at, last_id) "
    "VALUES (:desk_id, :node, :process_id, :description, :now, :now, :last_id) ON CONFLICT DO NOTHING"
)


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A node number, the id of this run, and the highest identifier the store knew then."""

    node: int
    process_id: int
    last_id: int
    description: str


def lease(connection: Connection, now: datetime, description: str, process_id: int) -> Lease:
    """Take a free node number in a transaction of its own; raises Transient when all 1,024 are in use."""
    with exclusive(connection):
        return _lease(connection, now, description, process_id)


def _lease(connection: Connection, now: datetime, description: str, process_id: int) -> Lease:
    last_id = max(0, *(_highest(connection, table) for table in _NUMBERED), _highest(connection, process, "last_id"))
    stale = process.c.heartbeat_at < to_column(now - LEASE)
    connection.execute(delete(process).where(process.c.desk_id == DESK_ID, stale))
    used = set(connection.execute(select(process.c.node).where(process.c.desk_id == DESK_ID)).scalars())
    node = next((each for each in range(MAX_NODE + 1) if each not in used), None)
    if node is None:
        raise Transient("every node number is in use: too many triaged processes run on this store")
    values = {
        "desk_id": DESK_ID,
        "node": node,
        "process_id": process_id,
        "description": description,
        "started_at": to_column(now),
        "heartbeat_at": to_column(now),
        "last_id": last_id,
    }
    connection.execute(insert(process).values(values))
    return Lease(node=node, process_id=process_id, last_id=last_id, description=description)


def _highest(connection: Connection, table: Table, column: str = "id") -> int:
    return connection.execute(select(func.max(table.c[column])).where(table.c.desk_id == DESK_ID)).scalar() or 0


def heartbeat(tx: Tx, held: Lease) -> None:
    """Say that this process lives, every minute; raises Permanent when its node number went to another while it stood still.

    A process that slept past its lease takes its number back if it is still free, and goes on.
    """
    mine = (process.c.desk_id == tx.desk_id, process.c.node == held.node, process.c.process_id == held.process_id)
    last_id = tx.new_id()
    values = {"heartbeat_at": to_column(tx.lease_now), "last_id": last_id}
    if tx.connection.execute(update(process).where(*mine).values(values)).rowcount == 1:
        return
    row = {
        "desk_id": tx.desk_id,
        "node": held.node,
        "process_id": held.process_id,
        "description": held.description,
        "now": to_column(tx.lease_now),
        "last_id": last_id,
    }
    if tx.connection.execute(_RETURN, row).rowcount != 1:
        raise Permanent(f"another process took node number {held.node} while this one stood still; start triaged again")


def release(connection: Connection, held: Lease) -> None:
    """Give the node number back."""
    mine = (process.c.desk_id == DESK_ID, process.c.node == held.node, process.c.process_id == held.process_id)
    connection.execute(delete(process).where(*mine))
