"""The timers worker: handles what has come due, late ones in order, once each (design 4)."""

import asyncio
from collections.abc import Callable

import structlog
from prometheus_client import Histogram

from casework.context import Casework
from casework.handle import tick
from itsm.errors import Conflict
from store import timers
from store.store import Store

LIMIT = 100
MAX_WAIT_SECONDS = 5.0
MIN_WAIT_SECONDS = 0.05

DUE_LAG = Histogram("triaged_timers_due_lag_seconds", "How late timers were handled.", buckets=(0.1, 1, 5, 15, 60, 600, 3600, 86400))

log = structlog.get_logger("timers")


class Timers:
    """Waits for the earliest timer, at most five seconds at a time, and handles what is due."""

    def __init__(self, store: Store, *, casework: Callable[[], Casework], on_outgoing: Callable[[], None]) -> None:
        """`on_outgoing` is called after a commit that may have queued a notification."""
        self._store, self._casework, self._on_outgoing = store, casework, on_outgoing
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End after the transaction at hand."""
        self._stopped.set()

    async def run(self) -> None:
        """Work until stopped."""
        while not self._stopped.is_set():
            wait = await self.once()
            try:
                async with asyncio.timeout(wait):
                    await self._stopped.wait()
            except TimeoutError:
                continue

    async def once(self) -> float:
        """Handle what is due; returns the seconds until the next look."""
        due = await self._store.aread(timers.next_due)
        now = self._store.clock()
        if due is None or due > now:
            return MAX_WAIT_SECONDS if due is None else min(MAX_WAIT_SECONDS, (due - now).total_seconds() + MIN_WAIT_SECONDS)
        DUE_LAG.observe((now - due).total_seconds())
        casework = self._casework()
        try:
            count = await self._store.awrite(lambda tx: tick(tx, casework, limit=LIMIT), step="triage")
        except Conflict:
            return MIN_WAIT_SECONDS
        log.info("timers handled", count=count)
        self._on_outgoing()
        return MIN_WAIT_SECONDS
