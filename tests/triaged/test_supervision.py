"""The supervisor: transient failures are retried, a bug ends the process, a stop drains it."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from itsm.errors import Transient
from triaged import notify, supervise
from triaged.supervise import RETRIES, Door, Supervisor, Worker, WorkerEndedError, periodic


async def nothing() -> None:
    return None


def supervisor(on_reload: Callable[[], Awaitable[None]] = nothing, drain_seconds: float = 5.0) -> Supervisor:
    return Supervisor(drain_seconds=drain_seconds, on_reload=on_reload)


def worker(run: Callable[[], Awaitable[None]], stop: Callable[[], None] = lambda: None, name: str = "test") -> Worker:
    return Worker(name=name, run=run, stop=stop)


def test_a_transient_failure_is_retried_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "FIRST_WAIT_SECONDS", 0.001)
    before = RETRIES.labels("flaky")._value.get()

    async def work() -> int:
        kept, attempts = supervisor(), 0

        async def run() -> None:
            nonlocal attempts
            attempts += 1
            if attempts < 4:
                raise Transient("not now")
            kept.stop()

        await kept.run([worker(run, name="flaky")], [])
        return attempts

    assert asyncio.run(work()) == 4
    assert RETRIES.labels("flaky")._value.get() == before + 3


def test_a_bug_ends_every_worker() -> None:
    async def work() -> None:
        stopped = asyncio.Event()

        async def buggy() -> None:
            raise ZeroDivisionError

        await supervisor().run([worker(buggy), worker(lambda: wait(stopped))], [])

    with pytest.raises(ExceptionGroup) as found:
        asyncio.run(work())
    assert found.group_contains(ZeroDivisionError)


async def wait(event: asyncio.Event) -> None:
    await event.wait()


def test_a_worker_that_ends_by_itself_is_a_bug() -> None:
    with pytest.raises(ExceptionGroup) as found:
        asyncio.run(supervisor().run([worker(nothing)], []))
    assert found.group_contains(WorkerEndedError)


def test_a_stop_closes_the_doors_first_and_lets_workers_finish() -> None:
    told: list[str] = []

    async def work() -> None:
        kept, stopping = supervisor(), asyncio.Event()

        async def run() -> None:
            await stopping.wait()
            told.append("worker ended")

        def stop() -> None:
            told.append("worker stopped")
            stopping.set()

        async def close() -> None:
            told.append("door closed")

        asyncio.get_running_loop().call_later(0.02, kept.stop)
        await kept.run([worker(run, stop)], [Door(name="door", close=close)])
        assert kept.draining

    asyncio.run(work())
    assert told == ["door closed", "worker stopped", "worker ended"]


def test_what_takes_longer_than_the_drain_is_cut_off() -> None:
    async def work() -> str:
        kept, ended = supervisor(drain_seconds=0.05), ""

        async def run() -> None:
            nonlocal ended
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ended = "cut off"
                raise

        asyncio.get_running_loop().call_soon(kept.stop)
        await kept.run([worker(run)], [Door(name="slow", close=lambda: asyncio.sleep(60))])
        return ended

    assert asyncio.run(work()) == "cut off"


def test_a_stop_ends_a_worker_that_waits_to_be_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "FIRST_WAIT_SECONDS", 1_000.0)

    async def work() -> None:
        kept = supervisor()

        async def run() -> None:
            asyncio.get_running_loop().call_soon(kept.stop)
            raise Transient("for ever")

        await kept.run([worker(run)], [])

    asyncio.run(work())


def test_signals_drain_and_reload(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reloaded: list[int] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "manager"))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "manager"))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")

        async def work() -> None:
            kept, stopping = supervisor(on_reload), asyncio.Event()
            kept.handle_signals()
            asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGHUP)
            await kept.run([worker(lambda: wait(stopping), stopping.set)], [])

        async def on_reload() -> None:
            reloaded.append(1)
            os.kill(os.getpid(), signal.SIGTERM)

        asyncio.run(work())
        told = [manager.recv(100).decode().split("\n")[0] for _ in range(5)]
    assert reloaded == [1]
    assert sorted(told) == ["READY=1", "READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1"]


def test_a_second_signal_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)

    async def work() -> None:
        kept = supervisor()
        kept._on_end(signal.SIGTERM)
        kept._on_end(signal.SIGTERM)

    asyncio.run(work())
    assert codes == [128 + signal.SIGTERM]


def test_periodic_work_is_done_again_and_again_until_stopped() -> None:
    async def work() -> int:
        count = 0

        async def once() -> None:
            nonlocal count
            count += 1
            if count == 3:
                each.stop()

        each = periodic("each", 0.001, once)
        await each.run()
        return count

    assert asyncio.run(work()) == 3


def test_without_a_service_manager_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "0")
    assert notify.notify("READY=1") is False
    assert notify.watchdog_seconds() is None
    monkeypatch.setenv("NOTIFY_SOCKET", "@nobody-listens-here")
    assert notify.notify("READY=1") is False
    assert notify.reloading() is False


def test_back_off_grows_and_starts_anew_after_a_calm_time(monkeypatch: pytest.MonkeyPatch) -> None:
    instant = 1_000.0
    monkeypatch.setattr(supervise.clock, "monotonic", lambda: instant)
    pause = supervise._Pause()
    waits = [pause(None) for _ in range(12)]  # type: ignore[arg-type]  # the state is not looked at
    assert waits[-1] > waits[0]
    assert max(waits) <= supervise.LONGEST_WAIT_SECONDS
    instant += supervise.CALM_SECONDS + 1
    assert pause(None) <= 2 * supervise.FIRST_WAIT_SECONDS  # type: ignore[arg-type]  # the same
