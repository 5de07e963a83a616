"""An event loop whose clock is a number: nothing waits, one callback is one step, and one seed decides the order."""

import asyncio
import heapq
from collections.abc import Callable
from random import Random
from typing import Any


class Crash(KeyboardInterrupt):
    """The process dies here: no `except Exception` and no task stops it on its way out of the loop."""


class Stuck(Exception):
    """Nothing is ready and nothing is scheduled: a wake-up was lost for good."""


class Listener:
    """A listening socket without a socket; while it is open `connect` makes the protocol of a new connection."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        """Open."""
        self.connect = connect
        self.open = True
        self.sockets = (self,)

    def getsockname(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", 25

    def close(self) -> None:
        """Take no more connections."""
        self.open = False


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs one callback at a time; when none is ready, time jumps to the next that is scheduled.

    What would run in a thread runs here, between two callbacks, and is as long on its way as it says by `takes`.
    """

    def __init__(self, chance: Random, now: float) -> None:
        """`chance` spreads the latencies; `now` is where monotonic time begins, in seconds."""
        super().__init__()
        self._chance, self._now = chance, now
        self._slow = 0.0
        self.steps = 0
        self.crash_after: int | None = None  # steps from now
        self.after_step: Callable[[], None] = lambda: None

    def time(self) -> float:
        """Virtual monotonic seconds."""
        return self._now

    def leap(self, seconds: float) -> None:
        """Let time pass in one go, as for a machine that slept: everything that came due meanwhile runs once, late."""
        self._now += max(0.0, seconds)

    def takes(self, seconds: float) -> None:
        """The blocking call that runs now takes so long."""
        self._slow += seconds

    def latency(self) -> float:
        """A few microseconds to milliseconds."""
        return 10 ** self._chance.uniform(-5.0, -2.0)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        """What `asyncio.to_thread` stands on: it begins a moment later and ends when it says."""
        future = self.create_future()

        def begin() -> None:
            self._slow = 0.0
            result, error = None, None
            try:
                result = func(*args)
            except Exception as raised:  # the caller's, as from a thread
                error = raised
            self.call_later(self._slow + self.latency(), end, result, error)

        def end(result: Any, error: Exception | None) -> None:
            if not future.done():
                future.set_result(result) if error is None else future.set_exception(error)

        self.call_later(self.latency(), begin)
        return future

    async def create_server(self, protocol_factory: Any, *args: Any, **kwargs: Any) -> Any:
        """A listener in memory: clients of the simulation call the factory themselves."""
        return Listener(protocol_factory)

    def _run_once(self) -> None:
        scheduled, ready = self._scheduled, self._ready
        while scheduled and scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(scheduled)._scheduled = False
        if not ready and not self._stopping:
            if not scheduled:
                raise Stuck("nothing is ready and nothing is scheduled")
            self._now = max(self._now, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self._now:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            ready.append(handle)
        if not ready:
            return
        if self.crash_after is not None:
            self.crash_after -= 1
            if self.crash_after < 0:
                self.crash_after = None
                raise Crash("between two awaits")
        handle = ready.popleft()
        if handle._cancelled:
            return
        self.steps += 1
        handle._run()
        self.after_step()

    def _write_to_self(self) -> None:
        """Nobody waits in a select."""

    def _process_events(self, event_list: Any) -> None:
        """There are none."""
