"""Leases: what only one process may do at a time, such as polling a mailbox (fault F14)."""

from datetime import timedelta

from sqlalchemy import delete, select, text, update

from itsm.errors import Transient
from store.desk_schema import lease
from store.instants import to_column
from store.transaction import Tx

ENDED = 0  # the `until` of a lease that was given back

# One statement, so that two who try at the same instant cannot both win; the fence tells one tenure from the next.
_TAKE = text(
    "INSERT INTO lease (desk_id, name, holder, until, fence) VALUES (:desk_id, :name, :holder, :until, 1) "
    "ON CONFLICT (desk_id, name) DO UPDATE SET holder = excluded.holder, until = excluded.until, "
    "fence = lease.fence + CASE WHEN lease.holder = excluded.holder THEN 0 ELSE 1 END "
    "WHERE lease.holder = excluded.holder OR lease.until <= :now"
)


def take(tx: Tx, name: str, *, holder: int, duration: timedelta) -> int | None:
    """Take the lease, or prolong it; returns its fence, None while another holds it. By the store's own time (`tx.lease_now`)."""
    values = {
        "desk_id": tx.desk_id,
        "name": name,
        "holder": holder,
        "until": to_column(tx.lease_now + duration),
        "now": to_column(tx.lease_now),
    }
    tx.connection.execute(_TAKE, values)
    query = select(lease.c.holder, lease.c.fence).where(lease.c.desk_id == tx.desk_id, lease.c.name == name)
    row = tx.connection.execute(query).one_or_none()
    return int(row.fence) if row is not None and row.holder == holder else None


def hold(tx: Tx, name: str, *, holder: int, fence: int, duration: timedelta) -> None:
    """Prolong the lease inside the commit that rests on it; raises Transient when it went to another meanwhile."""
    if take(tx, name, holder=holder, duration=duration) != fence:
        raise Transient(f"the lease {name} went to another process")


def release(tx: Tx, name: str, *, holder: int) -> None:
    """Give it back, so that the next one need not wait for its end. The row stays: were its fence begun anew, an old tenure would pass for one."""
    mine = update(lease).where(lease.c.desk_id == tx.desk_id, lease.c.name == name, lease.c.holder == holder)
    tx.connection.execute(mine.values(until=ENDED))


def release_all(tx: Tx) -> None:
    """Give all back, at the start of the only daemon of a data directory: their holders are dead."""
    tx.connection.execute(delete(lease).where(lease.c.desk_id == tx.desk_id))
