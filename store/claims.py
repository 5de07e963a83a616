"""Claims of processes that are no more: given back when their heartbeat stops (PostgreSQL) or at start (SQLite) (design 4)."""

from datetime import timedelta

from sqlalchemy import ScalarSelect, Select, Table, literal, select, update

from itsm.notification import DeliveryState
from store.desk_schema import lease, process
from store.inbox import PENDING
from store.instants import to_column
from store.leases import ENDED
from store.schema import inbox, outbox
from store.transaction import Tx


def release_dead(tx: Tx, *, silent: timedelta) -> int:
    """Give back what processes hold that have not beaten for so long; returns how many envelopes, mails and leases.

    Envelopes are tried alone afterwards: they may be why the process died. A mail that is being sent stays until its own
    lease ends. A process that only stood still finds out by fence and outcome that it was given up.
    """
    envelopes = update(inbox).where(inbox.c.desk_id == tx.desk_id, inbox.c.id.in_(_orphans(tx, inbox, PENDING, silent)))
    mails = update(outbox).where(outbox.c.desk_id == tx.desk_id, outbox.c.id.in_(_orphans(tx, outbox, DeliveryState.QUEUED.value, silent)))
    count = tx.connection.execute(envelopes.values(claimed_by=None, alone=True)).rowcount
    count += tx.connection.execute(mails.values(claimed_by=None)).rowcount
    return count + _end_leases(tx, silent)


def _end_leases(tx: Tx, silent: timedelta) -> int:
    """A mailbox whose poller died is free at once: its lease would keep the others from it for minutes."""
    held = (lease.c.desk_id == tx.desk_id, lease.c.until > to_column(tx.lease_now), lease.c.holder.not_in(_living(tx, silent)))
    dead = select(lease.c.name).where(*held).with_for_update(skip_locked=True, of=lease)
    ended = update(lease).where(lease.c.desk_id == tx.desk_id, lease.c.name.in_(dead))
    return tx.connection.execute(ended.values(until=ENDED)).rowcount


def _orphans(tx: Tx, table: Table, state: str, silent: timedelta) -> Select[tuple[int]]:
    """What a dead process has claimed; a row that it still holds locked, standing still in a transaction, is left for later."""
    here = (table.c.desk_id == tx.desk_id, table.c.state == literal(state, literal_execute=True), table.c.claimed_by.is_not(None))
    return select(table.c.id).where(*here, table.c.claimed_by.not_in(_living(tx, silent))).with_for_update(skip_locked=True, of=table)


def _living(tx: Tx, silent: timedelta) -> ScalarSelect[int]:
    beats = process.c.heartbeat_at >= to_column(tx.lease_now - silent)
    return select(process.c.process_id).where(process.c.desk_id == tx.desk_id, beats).scalar_subquery()
