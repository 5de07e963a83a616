"""Gauges of state: refreshed from the store by timers, never counted at a scrape (design 8)."""

import structlog
from prometheus_client import Gauge

from itsm.notification import DeliveryState
from store import inbox, outbox, tickets, totals
from store.inbox import PENDING, QUARANTINED, Depth
from store.store import Store
from store.totals import Balance
from store.transaction import Tx
from triaged import __version__, clock

EVERY_SECONDS, TOTALS_EVERY_SECONDS = 5.0, 300.0

# stage: pending, quarantined
INBOX = Gauge("triaged_inbox_pending", "Envelopes that wait for triage, or for a person.", ["stage"])
INBOX_OLDEST = Gauge("triaged_inbox_oldest_seconds", "Age of the oldest of them.", ["stage"])
# state: queued, sending, dead, held
OUTBOX = Gauge("triaged_outbox_pending", "Mails that are not sent.", ["state"])
OUTBOX_OLDEST = Gauge("triaged_outbox_oldest_seconds", "Age of the oldest mail that waits to be sent.")
# type: incident, service_request; priority: P1 to P5; queue: the keys of the configured teams; state: new, in_progress, pending
OPEN = Gauge("triaged_records_open", "Open tickets.", ["type", "priority", "queue", "state"])
UNOWNED = Gauge("triaged_records_unowned", "Open tickets without a team.")
# law: envelopes, parts
LAW = Gauge("triaged_conservation_difference", "What the conservation laws miss: 0, or something was lost or counted twice.", ["law"])
STEP = Gauge("triaged_clock_step_seconds", "By how much the wall clock jumped ahead of the time that is used; 0 when it did not.")
FREE = Gauge("triaged_disk_free_bytes", "Free space for the data directory.")
WAL = Gauge("triaged_store_wal_bytes", "Size of SQLite's write-ahead log; it grows while somebody reads the database for long.")
BUILD = Gauge("triaged_build_info", "1, with the version as label.", ["version"])

log = structlog.get_logger("clock")

SHOWN = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.DEAD, DeliveryState.HELD)


class Gauges:
    """Refreshes the gauges from one store."""

    def __init__(self, store: Store) -> None:
        """Nothing is read yet."""
        self._store, self._step_seconds = store, 0.0
        BUILD.labels(__version__).set(1)

    async def refresh(self) -> None:
        """The cheap ones: depths, ages, open tickets, disk."""
        await self._store.aread(self._read)
        FREE.set(self._store.free_bytes())
        WAL.set(self._store.wal_bytes())
        self._look_at_the_clock()

    def _look_at_the_clock(self) -> None:
        step_seconds, before = clock.steady.step_seconds, self._step_seconds
        if bool(step_seconds) != bool(before):
            log.warning(
                "the wall clock jumped" if step_seconds else "the wall clock is followed again", seconds=round(step_seconds or before)
            )
        self._step_seconds = step_seconds
        STEP.set(step_seconds)

    async def refresh_totals(self) -> None:
        """The dear one: both conservation laws, over every row of the inbox."""
        balance = await self._store.aread(totals.balance)
        LAW.labels("envelopes").set(envelopes_missed(balance))
        LAW.labels("parts").set(parts_missed(balance))

    def _read(self, tx: Tx) -> None:
        for stage in (PENDING, QUARANTINED):
            depth = inbox.depth(tx, stage)
            INBOX.labels(stage).set(depth.count)
            INBOX_OLDEST.labels(stage).set(_age(tx, depth))
        counts = outbox.counts(tx)
        for state in SHOWN:
            OUTBOX.labels(state.value).set(counts.get(state.value, 0))
        oldest = outbox.oldest_queued(tx)
        OUTBOX_OLDEST.set(max(0.0, (tx.now - oldest).total_seconds()) if oldest else 0.0)
        unowned = 0
        OPEN.clear()
        for (type_, priority, team, state_), count in tickets.open_counts(tx).items():
            OPEN.labels(type_, f"P{priority}", team, state_).set(count)
            unowned += 0 if team else count
        UNOWNED.set(unowned)


def _age(tx: Tx, depth: Depth) -> float:
    return max(0.0, (tx.now - depth.oldest_at).total_seconds()) if depth.oldest_at else 0.0


def envelopes_missed(balance: Balance) -> int:
    """Accepted minus pending, done and quarantined."""
    return balance.accepted - balance.pending - balance.done - balance.quarantined


def parts_missed(balance: Balance) -> int:
    """Parts minus those with an outcome and those that wait for one."""
    return balance.parts - balance.parts_pending - sum(balance.outcomes.values())
