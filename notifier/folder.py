"""Without a relay each mail becomes a file: whole or not there, and the same file when it is submitted again."""

import os
from pathlib import Path

from notifier.submit import Deferred, Delivered, Submission
from store.durable import make_directory, sync_directory


class Folder:
    """Writes `.eml` files into a folder, durable before it says so."""

    def __init__(self, path: Path) -> None:
        """Name the folder; it is made when the first mail comes."""
        self._path = path

    def ready(self) -> str | None:
        """Make the folder; the reason when that fails."""
        try:
            make_directory(self._path, mode=0o700)
        except OSError as error:
            return f"cannot make the folder {self._path}: {error.strerror}"
        return None

    def submit(self, name: str, reverse_path: str, recipient: str, message: bytes) -> Submission:
        """Write to a temporary name, sync, rename, sync the folder: the file is there whole or not at all."""
        target, temporary = self._path / f"{name}.eml", self._path / f".{name}.tmp"
        try:
            with temporary.open("wb") as file:
                file.write(message)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            sync_directory(self._path)
        except OSError as error:
            return Deferred(error=f"cannot write {target}: {error.strerror}", unreachable=True)
        return Delivered(reply=f"written to {target.name}")

    def close(self) -> None:
        """Nothing is held."""

    def abort(self) -> None:
        """Nothing waits for long."""
