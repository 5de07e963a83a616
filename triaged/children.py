"""A pool of child processes for pure work on untrusted bytes: each batch has a deadline, and a child that misses it is killed."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import structlog
from prometheus_client import Counter, Gauge

from itsm.errors import Transient
from triaged.child import LENGTH_OCTETS, MAX_FRAME_BYTES, Answer, Request, frame

# reason: deadline, died, answer_too_large
FAILED = Counter("triaged_child_failures_total", "Batches that a child process did not answer; it was killed and replaced.", ["reason"])
ERRORS = Counter("triaged_child_item_errors_total", "Items on which a pure function raised: a bug of ours.")
CHILDREN = Gauge("triaged_children", "Child processes that run.")

DEADLINE_SECONDS = 30.0
START_SECONDS = 60.0
CLOSE_SECONDS = 2.0
READ_BYTES = 64 * 1024
SOURCE = str(Path(__file__).resolve().parent.parent)  # children find our packages wherever they were found

log = structlog.get_logger("children")


class ChildFailed(Exception):
    """The child did not answer."""

    def __init__(self, reason: str) -> None:
        """`reason` is a label of the counter."""
        super().__init__(reason)
        self.reason = reason


class _Child:
    """One running child process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def read_frame(self, limit_bytes: int) -> bytes:
        try:
            size_bytes = int.from_bytes(await self._stdout.readexactly(LENGTH_OCTETS))
            if size_bytes > limit_bytes:
                raise ChildFailed("answer_too_large")
            return await self._stdout.readexactly(size_bytes)
        except asyncio.IncompleteReadError:
            raise ChildFailed("died") from None

    async def ask(self, request: bytes, limit_bytes: int) -> bytes:
        try:
            self._stdin.write(frame(request))
            await self._stdin.drain()
        except ConnectionError:
            raise ChildFailed("died") from None
        return await self.read_frame(limit_bytes)

    async def kill(self) -> None:
        if self.alive:
            self._process.kill()
        while await self._stdout.read(READ_BYTES):  # what nobody wants: asyncio tells the end of a process only when its pipes are empty
            continue
        await self._process.wait()
        CHILDREN.dec()

    async def close(self) -> None:
        """Close its stdin, which ends it; kill it when it does not hear."""
        self._stdin.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._process.wait()
        except TimeoutError:
            pass
        await self.kill()


class ChildPool:
    """`size` persistent children, started when first needed and replaced when they fail."""

    def __init__(
        self,
        size: int,
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
        max_answer_bytes: int = MAX_FRAME_BYTES,
        functions: Mapping[str, str] | None = None,
    ) -> None:
        """`functions` replaces the allow-list of `triaged.child` (name to `module:function`)."""
        self._deadline_seconds, self._max_answer_bytes = deadline_seconds, max_answer_bytes
        self._arguments = tuple(f"{name}={place}" for name, place in (functions or {}).items())
        self._idle: asyncio.LifoQueue[_Child | None] = asyncio.LifoQueue()
        self._size = size
        for _ in range(size):
            self._idle.put_nowait(None)

    async def start(self) -> None:
        """Start every child now, so that the first batch need not wait; raises Transient when one does not come up."""
        started = [await self._take() for _ in range(self._size)]
        for child in started:
            self._idle.put_nowait(child)

    async def run_batch(self, function: str, items: Sequence[bytes]) -> list[bytes | None]:
        """One result an item, None where there is none: the function raised, or the child died or was too late for all."""
        request = Request(function=function, items=tuple(items), deadline_seconds=self._deadline_seconds)
        child: _Child | None = await self._take()
        assert child is not None
        try:
            async with asyncio.timeout(self._deadline_seconds):
                body = await child.ask(msgspec.msgpack.encode(request), self._max_answer_bytes)
            done = msgspec.msgpack.decode(body, type=Answer)
        except (TimeoutError, ChildFailed) as error:
            reason = error.reason if isinstance(error, ChildFailed) else "deadline"
            FAILED.labels(reason).inc()
            log.warning("child failed", function=function, items=len(items), reason=reason)
            await child.kill()
            child = None
            return [None] * len(items)
        except BaseException:  # cancelled in the middle: the next answer would be that of this batch
            await child.kill()
            child = None
            raise
        finally:
            self._idle.put_nowait(child)
        if done.errors:
            ERRORS.inc(len(done.errors))
            log.error("pure function raised", function=function, items=len(items), errors=list(done.errors[:10]))
        return list(done.results)

    async def _take(self) -> _Child:
        """A child that is idle, a fresh one in the place of one that is gone."""
        child = await self._idle.get()
        if child is not None and child.alive:
            return child
        try:
            if child is not None:
                await child.kill()
            return await self._spawn()
        except BaseException:
            self._idle.put_nowait(None)
            raise

    async def _spawn(self) -> _Child:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (SOURCE, os.environ.get("PYTHONPATH"))))}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "triaged.child", *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        CHILDREN.inc()
        child = _Child(process)
        try:
            async with asyncio.timeout(START_SECONDS):
                await child.read_frame(0)
        except (TimeoutError, ChildFailed) as error:
            await child.kill()
            raise Transient("a child process does not start; is the installation complete?") from error
        return child

    async def close(self) -> None:
        """End every child; batches that still run are waited for."""
        for _ in range(self._size):
            child = await self._idle.get()
            if child is not None:
                await child.close()
