"""Keeps the workers of one process: what is transient is retried with back-off, a bug ends the process loudly, signals drain it."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog
import tenacity
from prometheus_client import Counter, Gauge

from itsm.errors import Transient
from triaged import clock, notify

RETRIES = Counter("triaged_worker_retries_total", "Transient failures after which a worker was started again.", ["worker"])
LAG = Gauge("triaged_loop_lag_seconds", "How late the event loop wakes up.")
LAG_EVERY_SECONDS = 0.5
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, CALM_SECONDS = 0.1, 30.0, 60.0

log = structlog.get_logger("supervise")


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A long-running task. `run` returns only after `stop` was called; `stop` asks it to finish what is at hand."""

    name: str
    run: Callable[[], Awaitable[None]]
    stop: Callable[[], None]


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """Something that lets work in; it is closed before the workers are stopped."""

    name: str
    close: Callable[[], Awaitable[None]]


class WorkerEndedError(Exception):
    """A worker returned although nobody had stopped it."""


class Supervisor:
    """The life of one process: `run` returns when it was drained, and raises what a worker died of."""

    def __init__(
        self, *, drain_seconds: float, on_reload: Callable[[], Awaitable[None]], monotonic: Callable[[], float] | None = None
    ) -> None:
        """`on_reload` is awaited at SIGHUP, one at a time; `monotonic` measures calm."""
        self._drain_seconds, self._on_reload, self._monotonic = drain_seconds, on_reload, monotonic
        self._stopping, self._reload = asyncio.Event(), asyncio.Event()

    @property
    def draining(self) -> bool:
        """Whether the process was told to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Drain and end."""
        self._stopping.set()

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT drain, a second one ends at once; SIGHUP reloads."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._on_end, each)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)

    def _on_end(self, which: signal.Signals) -> None:
        if self.draining:
            os._exit(128 + which)  # what was acknowledged is durable; nothing else is owed
        log.info("draining", signal=which.name)
        self._stopping.set()

    async def run(self, workers: Sequence[Worker], doors: Sequence[Door]) -> None:
        """Keep the workers until the process is told to end; raises an ExceptionGroup when one of them fails by a bug."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._keep(worker), name=worker.name) for worker in workers]
            others = [group.create_task(each) for each in (self._reloads(), _measure_lag(), _feed_watchdog())]
            notify.notify("READY=1")
            await self._stopping.wait()
            notify.notify("STOPPING=1")
            await self._drain(tasks, workers, doors)
            for task in others:
                task.cancel()

    async def _drain(self, tasks: Sequence["asyncio.Task[None]"], workers: Sequence[Worker], doors: Sequence[Door]) -> None:
        """Close the doors, let the workers finish, cut off what takes longer than the drain."""
        try:
            async with asyncio.timeout(self._drain_seconds):
                for door in doors:
                    await door.close()
        except TimeoutError:
            log.warning("doors took too long to close")
        for worker in workers:
            worker.stop()
        _, late = await asyncio.wait(tasks, timeout=self._drain_seconds)
        for task in late:
            log.warning("worker cut off", worker=task.get_name())
            task.cancel()
        log.info("drained", late=len(late))

    async def _keep(self, worker: Worker) -> None:
        """Run a worker; after a transient failure wait and run it again, anything else ends the process."""

        async def once() -> None:
            await worker.run()  # whatever kind of callable it is, tenacity sees a coroutine function

        pause = _Pause(self._monotonic)
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(Transient),
            wait=pause,
            stop=lambda _: self.draining,
            sleep=self._sleep,
            before_sleep=lambda state: _note(worker, state),
            retry_error_callback=lambda _: None,
        )
        await retrying(once)
        if not self.draining:
            raise WorkerEndedError(f"the worker {worker.name} ended although nobody stopped it")

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not longer than until the drain begins."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _reloads(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            notify.reloading()
            await self._on_reload()
            notify.notify("READY=1")


class _Pause:
    """Exponential back-off with jitter that starts anew after a calm minute."""

    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        self._monotonic = monotonic
        self._failures, self._last = 0, -CALM_SECONDS

    def __call__(self, _state: tenacity.RetryCallState) -> float:
        now = self._monotonic() if self._monotonic is not None else clock.monotonic()
        self._failures = 1 if now - self._last > CALM_SECONDS else self._failures + 1
        self._last = now
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * (1 << min(self._failures, 10)))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 -- jitter, not a secret


def _note(worker: Worker, state: tenacity.RetryCallState) -> None:
    RETRIES.labels(worker.name).inc()
    error = state.outcome.exception() if state.outcome else None
    log.warning("worker retried", worker=worker.name, attempt=state.attempt_number, error=str(error))


async def _measure_lag() -> None:
    while True:
        before = clock.monotonic()
        await asyncio.sleep(LAG_EVERY_SECONDS)
        LAG.set(max(0.0, clock.monotonic() - before - LAG_EVERY_SECONDS))


async def _feed_watchdog() -> None:
    """From the loop itself: a loop that is stuck does not bark, and the manager restarts us."""
    every_seconds = notify.watchdog_seconds()
    while every_seconds is not None:
        notify.notify("WATCHDOG=1")
        await asyncio.sleep(every_seconds)


def periodic(name: str, every_seconds: float, work: Callable[[], Awaitable[None]]) -> Worker:
    """A worker that does something at once and then again and again."""
    stopping = asyncio.Event()

    async def run() -> None:
        while not stopping.is_set():
            await work()
            try:
                async with asyncio.timeout(every_seconds):
                    await stopping.wait()
            except TimeoutError:
                continue

    return Worker(name=name, run=run, stop=stopping.set)
