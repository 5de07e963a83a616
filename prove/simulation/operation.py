"""What whoever operates the daemon relies on: that a gauge shows what needs a person (I6), and that nothing in memory grows with the load (I9)."""

import asyncio
from collections.abc import Callable

from prometheus_client import REGISTRY

from notifier.worker import RELAY_UP
from prove.simulation.checks import Checker, demand
from prove.simulation.life import BATCH, Life
from prove.simulation.loop import VirtualLoop
from prove.simulation.relay import ScriptedRelay
from store.engine import MORE_READERS, READERS
from triaged.gauges import INBOX, OUTBOX

WITHIN_SECONDS = 120.0  # reference goal: an alarm's series is right two minutes after the thing itself
AT_ONCE_SECONDS = 0.1
TASKS = 60  # the daemon's own: workers, doors, submissions; a client's flight comes on top
SCHEDULED = 200
CONNECTIONS = READERS + MORE_READERS + 3  # readers, the writer, a lease, and one that is being replaced


def shown(name: str, **labels: str) -> float:
    """What a scrape would read."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Operation:
    """Looked at between two callbacks; `begin` with every life."""

    def __init__(self, checker: Checker, relay: ScriptedRelay) -> None:
        """Nothing needs anybody."""
        self._checker, self._relay = checker, relay
        self._since: dict[str, float] = {}
        # what must be seen: whether it is so, whether its series says so; both ways, where the second is the exact count
        self._alarms: dict[str, tuple[Callable[[], bool], Callable[[], bool]]] = {
            "TriagedQuarantine": (self._quarantined, lambda: shown("triaged_inbox_pending", stage="quarantined") > 0),
            "no TriagedQuarantine": (lambda: not self._quarantined(), lambda: shown("triaged_inbox_pending", stage="quarantined") == 0),
            "TriagedDeadLetters": (self._dead, lambda: shown("triaged_outbox_pending", state="dead") > 0),
            "TriagedRelayDown": (lambda: relay.turned_away, lambda: shown("triaged_outbox_relay_up") == 0),
            "no TriagedRelayDown": (lambda: not relay.down and not relay.trouble, lambda: shown("triaged_outbox_relay_up") == 1),
        }

    def _quarantined(self) -> bool:
        return self._checker.states["quarantined"] > 0

    def _dead(self) -> bool:
        return self._checker.dead > 0

    def begin(self) -> None:
        """A new process has to look first: what the lives before it showed, of this seed or of another, went with them."""
        self._since.clear()
        RELAY_UP.set(0)
        INBOX.clear()
        OUTBOX.clear()

    def leapt(self, now: float) -> None:
        """The machine slept: what should have looked meanwhile looks at once."""
        self._since = {name: max(since, now - WITHIN_SECONDS + AT_ONCE_SECONDS) for name, since in self._since.items()}

    def look(self, life: Life, loop: VirtualLoop, flights: int) -> None:
        """Demand both."""
        if life.supervisor.draining:
            return
        self._demand_alarms(loop.time())
        self._demand_bounds(life, loop, flights)

    def _demand_alarms(self, now: float) -> None:
        for name, (holds, seen) in self._alarms.items():
            if not holds() or seen():
                self._since.pop(name, None)
                continue
            since = self._since.setdefault(name, now)
            demand(now - since <= WITHIN_SECONDS, "I6 nobody would be told", name, f"for {now - since:.0f} s")

    def _demand_bounds(self, life: Life, loop: VirtualLoop, flights: int) -> None:
        process = life.store.process_id
        claimed = [each for each in self._checker.unsettled if self._checker.rows[each]["claimed_by"] == process]
        demand(len(claimed) <= BATCH, "I9 more mails in memory than configured", len(claimed))
        tasks = len(asyncio.all_tasks(loop))
        demand(tasks <= TASKS + flights, "I9 tasks pile up", tasks, "with", flights, "clients")
        scheduled = sum(not each.cancelled() for each in loop._scheduled)
        demand(scheduled <= SCHEDULED + 2 * flights, "I9 what is scheduled piles up", scheduled)
        demand(life.opened() <= CONNECTIONS, "I9 connections pile up", life.opened())
