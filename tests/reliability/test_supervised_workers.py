"""F71: a worker that dies, and a loop that is stuck: the process ends loudly, or its manager hears nothing and restarts it."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.reliability.lives import eventually
from triaged import notify, supervise
from triaged.supervise import LAG, Supervisor, Worker, WorkerEndedError

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])
STUCK_SECONDS = 1.0  # in place of thirty; the watchdog is to be fed twenty times in it


async def nothing() -> None:
    return None


def worker(name: str, run: Callable[[], Awaitable[None]], stop: Callable[[], None] = lambda: None) -> Worker:
    return Worker(name=name, run=run, stop=stop)


@WITH_AND_WITHOUT
@pytest.mark.parametrize("how", ["returns", "raises"])
def test_a_worker_that_dies_silently_ends_the_process_loudly(monkeypatch: pytest.MonkeyPatch, how: str, defended: bool) -> None:
    async def dies() -> None:
        if how == "raises":
            raise ZeroDivisionError

    async def unkept(self: Supervisor, each: Worker) -> None:
        asyncio.get_running_loop().create_task(each.run()).add_done_callback(lambda task: task.exception())

    if not defended:
        monkeypatch.setattr(Supervisor, "_keep", unkept)

    async def work() -> float:
        found = Supervisor(drain_seconds=1.0, on_reload=nothing)
        asyncio.get_running_loop().call_later(0.3, found.stop)
        await found.run([worker("triage", dies)], [])
        return 0.0

    if defended:
        with pytest.raises(ExceptionGroup) as raised:
            asyncio.run(work())
        assert raised.group_contains(WorkerEndedError if how == "returns" else ZeroDivisionError)
    else:
        asyncio.run(work())  # it went on for as long as it was let, without its worker


@WITH_AND_WITHOUT
def test_a_loop_that_is_stuck_does_not_feed_the_watchdog_and_its_lag_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    barks: list[float] = []
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "manager"))
    manager.settimeout(0.05)
    over = threading.Event()

    def listen() -> None:
        while not over.is_set():
            try:
                said = manager.recv(100)
            except TimeoutError:
                continue
            if said == b"WATCHDOG=1":
                barks.append(time.monotonic())

    listener = threading.Thread(target=listen)
    listener.start()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "manager"))
    monkeypatch.setenv("WATCHDOG_USEC", str(int(STUCK_SECONDS / 10 * 1_000_000)))
    monkeypatch.setattr(supervise, "LAG_EVERY_SECONDS", 0.01)
    stuck: list[float] = []

    async def from_a_thread() -> None:
        def feed() -> None:
            while not over.wait(STUCK_SECONDS / 20):
                notify.notify("WATCHDOG=1")

        threading.Thread(target=feed).start()

    if not defended:
        monkeypatch.setattr(supervise, "_feed_watchdog", from_a_thread)

    async def work() -> None:
        found = Supervisor(drain_seconds=1.0, on_reload=nothing)

        async def blocks() -> None:
            while len(barks) < 2:
                await asyncio.sleep(0.01)
            stuck.append(time.monotonic())
            time.sleep(STUCK_SECONDS)  # noqa: ASYNC251 -- the bug that is injected
            stuck.append(time.monotonic())
            lags.append(0.0)
            while max(lags) < STUCK_SECONDS / 2:
                await asyncio.sleep(0.005)
                lags.append(LAG._value.get())
            found.stop()

        await found.run([worker("blocks", blocks)], [])

    lags: list[float] = []
    try:
        asyncio.run(asyncio.wait_for(work(), 30))
        assert eventually(lambda: bool(barks))
    finally:
        over.set()
        listener.join()
        manager.close()
    meanwhile = [at for at in barks if stuck[0] + 0.2 < at < stuck[1] - 0.05]
    assert (meanwhile == []) is defended
