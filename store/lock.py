"""The lock of a data directory: one daemon, and no restore under its feet."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from itsm.errors import Conflict

LOCK_FILE = "triaged.lock"


class DataLock:
    """An flock on a file of the directory; the kernel gives it back however the process ends."""

    def __init__(self, directory: Path) -> None:
        """Name the file; nothing is taken yet."""
        self._path = directory / LOCK_FILE
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock; raises Conflict when another process has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Conflict(f"another triaged works in {self._path.parent}; stop it first, or choose another [store] path") from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "DataLock":
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()
