"""Child processes: crash, hang, huge answers, and no orphans."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from itsm.errors import Transient
from triaged.child import Request, answer, frame
from triaged.children import ChildPool

FUNCTIONS = """
import os, signal, time

def upper(item):
    if item == b"raise":
        raise ValueError("words of a stranger")
    if item == b"die":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == b"hang":
        time.sleep(60)
    if item == b"huge":
        return b"x" * 4_000_000
    if item == b"print":
        print("in the way of the frames")
    if item == b"pid":
        return str(os.getpid()).encode()
    return item.upper()
"""


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    (tmp_path / "pure_functions_of_the_test.py").write_text(FUNCTIONS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return {"upper": "pure_functions_of_the_test:upper"}


@asynccontextmanager
async def pool_of(
    functions: dict[str, str], size: int = 1, *, deadline_seconds: float = 30.0, max_answer_bytes: int = 1_000_000
) -> AsyncIterator[ChildPool]:
    pool = ChildPool(size, deadline_seconds=deadline_seconds, max_answer_bytes=max_answer_bytes, functions=functions)
    try:
        yield pool
    finally:
        await pool.close()


def run(functions: dict[str, str], *batches: list[bytes], **limits: float) -> list[list[bytes | None]]:
    async def work() -> list[list[bytes | None]]:
        async with pool_of(functions, **limits) as pool:  # type: ignore[arg-type]  # limits are passed through
            return [await pool.run_batch("upper", batch) for batch in batches]

    return asyncio.run(work())


def test_a_batch_is_answered_in_order(functions: dict[str, str]) -> None:
    assert run(functions, [b"a", b"b"], [], [b"c"]) == [[b"A", b"B"], [], [b"C"]]


def test_an_item_that_raises_spoils_no_other(functions: dict[str, str]) -> None:
    assert run(functions, [b"a", b"raise", b"b"]) == [[b"A", None, b"B"]]


def test_what_a_function_prints_does_not_break_the_frames(functions: dict[str, str]) -> None:
    assert run(functions, [b"print"], [b"a"]) == [[b"PRINT"], [b"A"]]


def test_a_child_that_dies_is_replaced(functions: dict[str, str]) -> None:
    assert run(functions, [b"a", b"die"], [b"b"]) == [[None, None], [b"B"]]


def test_a_child_that_hangs_is_killed_at_the_deadline(functions: dict[str, str]) -> None:
    assert run(functions, [b"hang"], [b"b"], deadline_seconds=0.3) == [[None], [b"B"]]


def test_an_answer_that_is_too_large_is_not_read(functions: dict[str, str]) -> None:
    assert run(functions, [b"huge"], [b"b"]) == [[None], [b"B"]]


def test_a_child_is_killed_while_its_answer_fills_the_pipe(functions: dict[str, str]) -> None:
    async def work() -> bool:
        async with pool_of(functions) as pool:
            child = await pool._take()
            assert child is not None
            child._stdin.write(frame(msgspec.msgpack.encode(Request(function="upper", items=(b"huge",), deadline_seconds=30.0))))
            while not child._stdout._paused:  # type: ignore[attr-defined]  # noqa: ASYNC110 -- asyncio stops reading what nobody takes
                await asyncio.sleep(0.01)
            async with asyncio.timeout(30):
                await child.kill()
            pool._idle.put_nowait(child)
            return child.alive

    assert not asyncio.run(work())


def test_a_child_killed_between_batches_is_replaced(functions: dict[str, str]) -> None:
    async def work() -> list[bytes | None]:
        async with pool_of(functions) as pool:
            await pool.start()
            [pid] = await pool.run_batch("upper", [b"pid"])
            assert pid is not None
            os.kill(int(pid), signal.SIGKILL)
            await asyncio.sleep(0.1)
            return await pool.run_batch("upper", [b"a"])

    assert asyncio.run(work()) in ([b"A"], [None])


def test_several_children_work_side_by_side(functions: dict[str, str]) -> None:
    async def work() -> set[bytes | None]:
        async with pool_of(functions, size=2) as pool:
            await pool.start()
            slow = asyncio.create_task(pool.run_batch("upper", [b"hang"]))
            await asyncio.sleep(0.05)
            found = await pool.run_batch("upper", [b"a"])
            slow.cancel()
            await asyncio.gather(slow, return_exceptions=True)
            return set(found)

    assert asyncio.run(work()) == {b"A"}


def test_a_cancelled_batch_never_answers_the_next_one(functions: dict[str, str]) -> None:
    async def work() -> list[bytes | None]:
        async with pool_of(functions) as pool:
            await pool.start()
            first = asyncio.create_task(pool.run_batch("upper", [b"hang"]))
            await asyncio.sleep(0.05)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            return await pool.run_batch("upper", [b"next"])

    assert asyncio.run(work()) == [b"NEXT"]


def test_a_child_that_cannot_start_is_transient() -> None:
    async def work() -> None:
        async with pool_of({"upper": "no_such_module_anywhere:upper"}) as pool:
            with pytest.raises(Transient):
                await pool.start()

    asyncio.run(work())


def test_a_child_that_does_not_hear_is_killed_when_the_pool_closes(functions: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triaged.children.CLOSE_SECONDS", 0.1)

    async def work() -> int:
        pool = ChildPool(1, functions=functions)
        await pool.start()
        [pid] = await pool.run_batch("upper", [b"pid"])
        assert pid is not None
        os.kill(int(pid), signal.SIGSTOP)
        await pool.close()
        return int(pid)

    pid = asyncio.run(work())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_no_child_survives_a_parent_that_is_killed(functions: dict[str, str], tmp_path: Path) -> None:
    source = textwrap.dedent(f"""
        import asyncio
        from triaged.children import ChildPool
        async def main():
            pool = ChildPool(1, deadline_seconds=0.5, functions={functions!r})
            await pool.start()
            print((await pool.run_batch("upper", [b"pid"]))[0].decode(), flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(Path(__file__).parents[2])))}
    parent = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    with parent, parent.stdout:
        pid = int(parent.stdout.readline())
        parent.kill()
    assert _ends(pid)


def _ends(pid: int) -> bool:
    for _ in range(1_200):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().split(") ")[1].startswith("Z"):
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_an_error_is_told_by_its_kind_and_never_in_its_words() -> None:
    def fails(item: bytes) -> bytes:
        raise ValueError(item.decode())

    found = answer(Request(function="f", items=(b"secret",), deadline_seconds=1.0), {"f": fails})
    assert found.results == (None,)
    assert found.errors[0].startswith("ValueError at test_child_processes.py:")
    assert "secret" not in found.errors[0]
