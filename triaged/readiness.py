"""Whether this process can keep its word, and if not, why: what `/readyz` says. No names, no addresses."""

from collections.abc import Callable, Mapping
from typing import Protocol

from prometheus_client import Gauge

from itsm.errors import Transient
from store import process
from store.store import Store
from triaged import clock

PROOF_EVERY_SECONDS, PROOF_LIMIT_SECONDS = 15.0, 60.0
SILENT_SECONDS = 600.0


class Fetches(Protocol):
    """A worker that looks through a mailbox."""

    @property
    def silent_seconds(self) -> float:
        """How long ago it did so without an error."""


READY = Gauge("triaged_ready", "1 while the process can keep its word, as /readyz says, else 0.")


class Readiness:
    """Keeps when the store last proved that it can write."""

    def __init__(
        self,
        store: Store,
        *,
        closed_because: Callable[[], Transient | None],
        draining: Callable[[], bool],
        mailboxes: Mapping[str, Fetches] | None = None,
    ) -> None:
        """`closed_because` is the doors' own reason; `draining` says that the process ends."""
        self._store, self._closed_because, self._draining = store, closed_because, draining
        self._mailboxes = dict(mailboxes or {})
        self._written = clock.monotonic()
        READY.set_function(lambda: float(not self.reasons()))  # values in memory, no look at the store

    async def prove(self) -> None:
        """Write the heartbeat of this process; raises what the store raises."""
        await self._store.awrite(lambda tx: process.heartbeat(tx, self._store.lease))
        self._written = clock.monotonic()

    def reasons(self) -> list[str]:
        """Why this process is not ready; empty when it is."""
        found: list[str] = []
        if self._draining():
            found.append("draining")
        silent_seconds = clock.monotonic() - self._written
        if silent_seconds > PROOF_LIMIT_SECONDS:
            found.append(f"the store has not written for {silent_seconds:.0f} s")
        closed = self._closed_because()
        if closed is not None:
            found.append(str(closed))
        return found

    def degraded(self) -> list[str]:
        """What does not work and is no reason to send us no traffic: another process could not reach that mailbox either."""
        silent = {name: each.silent_seconds for name, each in self._mailboxes.items()}
        return [f"mailbox {name} was not fetched for {seconds:.0f} s" for name, seconds in silent.items() if seconds > SILENT_SECONDS]
