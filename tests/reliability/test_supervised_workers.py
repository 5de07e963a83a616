"""F71: a worker that dies, and a loop that is stuck: the process ends loudly, or its manager hears nothing and restarts it."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

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


class Manager:
    """A service manager: it writes down when the watchdog was fed."""

    def __init__(self, path: Path) -> None:
        self.fed: list[float] = []
        self.over = threading.Event()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(0.05)
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self) -> None:
        while not self.over.is_set():
            try:
                if self.socket.recv(100) == b"WATCHDOG=1":
                    self.fed.append(time.monotonic())
            except TimeoutError:
                continue

    def close(self) -> None:
        self.over.set()
        self.thread.join()
        self.socket.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 -- the manager is a thread, which sets no event of the loop
            await asyncio.sleep(0.005)


@WITH_AND_WITHOUT
def test_a_loop_that_is_stuck_does_not_feed_the_watchdog_and_its_lag_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    manager = Manager(tmp_path / "manager")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "manager"))
    monkeypatch.setenv("WATCHDOG_USEC", str(int(STUCK_SECONDS / 10 * 1_000_000)))
    monkeypatch.setattr(supervise, "LAG_EVERY_SECONDS", 0.01)

    async def from_a_thread() -> None:
        def feed() -> None:
            while not manager.over.wait(STUCK_SECONDS / 20):
                notify.notify("WATCHDOG=1")

        threading.Thread(target=feed).start()

    if not defended:
        monkeypatch.setattr(supervise, "_feed_watchdog", from_a_thread)
    stuck: list[float] = []

    async def work() -> None:
        found = Supervisor(drain_seconds=1.0, on_reload=nothing)

        async def blocks() -> None:
            await until(lambda: len(manager.fed) >= 2)
            stuck.append(time.monotonic())
            time.sleep(STUCK_SECONDS)  # noqa: ASYNC251 -- the bug that is injected
            stuck.append(time.monotonic())
            await until(lambda: LAG._value.get() >= STUCK_SECONDS / 2)
            found.stop()

        await found.run([worker("blocks", blocks)], [])

    try:
        asyncio.run(work())
    finally:
        manager.close()
    meanwhile = [at for at in manager.fed if stuck[0] + 0.2 < at < stuck[1] - 0.05]
    assert (meanwhile == []) is defended
