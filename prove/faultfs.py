"""A file system of our own over FUSE, to be given faults and power cuts: `with FaultFileSystem(folder) as files: ...`.

It lives in memory, in a process of its own that ends (and unmounts) with its user. Each operation can be made to fail, to be slow, or to
be the moment at which the power goes; the space can be bounded; all of it can be made read-only.

    with FaultFileSystem(tmp_path / "disk") as files:
        files.plan(Fault(operation="fsync", path="*-wal", error="EIO", times=1))   # the next fsync of the WAL fails
        files.plan(Fault(operation="write", error="ENOSPC"))                       # or use capacity_bytes=
        files.plan(Fault(operation="read", containing="needle", error="EIO"))      # one row cannot be read
        files.plan(Fault(operation="fsync", delay_seconds=2.0))                    # a slow disk
        files.plan(read_only=True)                                                 # remounted read-only
        files.plan()                                                               # all is well again
        files.power_cut(process, seed=7, kind="torn")                              # kill, and forget what was not synced
"""

import ctypes.util
import functools
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import msgspec

Operation = Literal["*", "open", "create", "read", "write", "fsync", "fsyncdir", "truncate", "rename", "unlink", "mkdir"]
START_SECONDS = 120.0


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What shall happen at which operations; the first fault of a plan that fits is the one that happens."""

    operation: Operation = "*"
    path: str = "*"  # a shell pattern for the path below the mount, "/" first: "*-wal", "/var/triaged.sqlite"
    containing: str = ""  # only where the bytes read or written hold this text
    skip: int = 0  # let so many pass first
    times: int | None = None  # at most so often; None: always
    error: str = ""  # a name of errno: "EIO", "ENOSPC", "EROFS"; "" lets it succeed
    delay_seconds: float = 0.0  # before it
    freeze: bool = False  # from here on nothing returns, until `power_cut`


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the disk."""

    faults: tuple[Fault, ...] = ()
    capacity_bytes: int | None = None  # None: 64 GiB
    read_only: bool = False


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent to the process that holds the files."""

    verb: Literal["plan", "look", "freeze", "cut", "thaw"]
    plan: Plan = Plan()
    seed: int = 0
    kind: str = "lost"


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What it answers: how often each operation came, how often each fault of the plan happened, whether all stands still."""

    operations: dict[str, int] = {}
    hits: tuple[int, ...] = ()
    frozen: bool = False
    unsynced: int = 0  # changes that had not been synced at the cut
    used_bytes: int = 0


class FaultFileSystem:
    """A mount at `folder` and the process behind it. Files are gone when it is closed."""

    def __init__(self, folder: Path) -> None:
        """Make the folder and mount on it; raises RuntimeError with the reason where that cannot be."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "prove.mount", str(folder.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).resolve().parent.parent,
            start_new_session=True,  # Ctrl-C at a terminal is for us: it unmounts when we close
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._to, self._from, self._errors = self._process.stdin, self._process.stdout, self._process.stderr
        deadline = time.monotonic() + START_SECONDS
        while not os.path.ismount(folder):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                said = self._process.communicate()[1].decode(errors="replace").strip().splitlines()
                raise RuntimeError(f"the file system could not be mounted: {said[-1] if said else 'it said nothing'}")
            time.sleep(0.005)

    def plan(self, *faults: Fault, capacity_bytes: int | None = None, read_only: bool = False) -> None:
        """Replace the plan; with nothing, all is well again. Counts of hits begin anew."""
        self._ask(Command(verb="plan", plan=Plan(faults=faults, capacity_bytes=capacity_bytes, read_only=read_only)))

    def look(self) -> Look:
        """Counts, and whether it is frozen."""
        return self._ask(Command(verb="look"))

    def wait_hits(self, count: int = 1, *, fault: int = 0, timeout_seconds: float = 60.0) -> bool:
        """Wait until a fault of the plan happened so often; False when it did not."""
        return self._wait(lambda look: look.hits[fault] >= count, timeout_seconds)

    def wait_frozen(self, *, timeout_seconds: float = 60.0) -> bool:
        """Wait until a fault with `freeze` was met; False when it was not."""
        return self._wait(lambda look: look.frozen, timeout_seconds)

    def power_cut(self, process: subprocess.Popen[Any], *, seed: int, kind: str = "lost") -> int:
        """Stop the disk at this instant, kill the process, and forget what was not synced. How many changes that were.

        `kind` is one of `prove.disk.KINDS`. What the process was in the middle of never returned to it.
        """
        self._ask(Command(verb="freeze"))
        process.kill()  # before anything returns: it never hears of an error
        look = self._ask(Command(verb="cut", seed=seed, kind=kind))
        process.wait()
        self._ask(Command(verb="thaw"))
        return look.unsynced

    def close(self) -> None:
        """Unmount; everything is gone."""
        self._to.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._from.close()
        self._errors.close()
        if os.path.ismount(self.folder):
            subprocess.run(["umount", "-l", str(self.folder)], check=False)

    def __enter__(self) -> "FaultFileSystem":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _ask(self, command: Command) -> Look:
        with self._lock:
            self._to.write(msgspec.json.encode(command) + b"\n")
            self._to.flush()
            answer = self._from.readline()
        if not answer:
            raise RuntimeError("the process of the file system has ended")
        return msgspec.json.decode(answer, type=Look)

    def _wait(self, reached: Any, timeout_seconds: float) -> bool:
        deadline = time.monotonic() + timeout_seconds
        while not reached(self.look()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.03)
        return True


@functools.cache
def unavailable() -> str:
    """Why there can be no such file system on this machine, found by trying; "" where there can be one."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "there is no /dev/fuse that we may open"
    if not (ctypes.util.find_library("fuse3") or ctypes.util.find_library("fuse")):
        return "libfuse is not installed (Debian: fuse3)"
    with tempfile.TemporaryDirectory(prefix="triaged-fuse-") as folder:
        try:
            FaultFileSystem(Path(folder) / "disk").close()
        except RuntimeError as error:
            return str(error)
    return ""
