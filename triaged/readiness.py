"""Whether this process can keep its word, and if not, why: what `/readyz` says. No names, no addresses."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog
from prometheus_client import Gauge

from itsm.errors import Transient
from store import claims, process
from store.store import Store
from triaged import clock

log = structlog.get_logger("readiness")
PROOF_EVERY_SECONDS, PROOF_LIMIT_SECONDS = 15.0, 60.0
SILENT_SECONDS = 600.0


READY = Gauge("triaged_ready", "1 while the process can keep its word, as /readyz says, else 0.")


class Readiness:
    """Keeps when the store last proved that it can write."""

    def __init__(
        self,
        store: Store,
        *,
        closed_because: Callable[[], Transient | None],
        draining: Callable[[], bool],
        silent_seconds: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        """`closed_because` is the doors' own reason; `draining` says that the process ends.

        `silent_seconds` says of each mailbox that is fetched here how long ago it was looked through.
        """
        self._store, self._closed_because, self._draining = store, closed_because, draining
        self._silent_seconds = silent_seconds
        self._written = clock.monotonic()
        READY.set_function(lambda: float(not self.reasons()))  # values in memory, no look at the store
        postgres = store.settings.postgres
        self._claim_seconds = float(postgres.claim_seconds) if postgres is not None else None

    @property
    def every_seconds(self) -> float:
        """How often to beat: at least four times before others take us for dead."""
        return PROOF_EVERY_SECONDS if self._claim_seconds is None else min(PROOF_EVERY_SECONDS, self._claim_seconds / 4)

    async def prove(self) -> None:
        """Write the heartbeat of this process, and give back what dead ones held; raises what the store raises."""
        await self._store.awrite(lambda tx: process.heartbeat(tx, self._store.lease))
        silent_seconds, self._written = clock.monotonic() - self._written, clock.monotonic()
        # When we ourselves could not beat for so long the database was away, and the others were not dead.
        if self._claim_seconds is not None and silent_seconds <= self._claim_seconds:
            silent = timedelta(seconds=self._claim_seconds)
            released = await self._store.awrite(lambda tx: claims.release_dead(tx, silent=silent))
            if released:
                log.warning("claims of a dead process given back", count=released)

    def reasons(self) -> list[str]:
        """Why this process is not ready; empty when it is."""
        found: list[str] = []
        if self._draining():
            found.append("draining")
        if self._store.away:
            found.append("the database does not answer")
        silent_seconds = clock.monotonic() - self._written
        if silent_seconds > PROOF_LIMIT_SECONDS:
            found.append(f"the store has not written for {silent_seconds:.0f} s")
        closed = self._closed_because()
        if closed is not None:
            found.append(str(closed))
        return found

    def degraded(self) -> list[str]:
        """What does not work and is no reason to send us no traffic: another process could not reach that mailbox either."""
        silent = self._silent_seconds().items()
        return [f"mailbox {name} was not fetched for {seconds:.0f} s" for name, seconds in silent if seconds > SILENT_SECONDS]
