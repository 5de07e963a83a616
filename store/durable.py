"""What the file system must be asked for before it keeps a name or a file through a power cut."""

import errno
import os
from pathlib import Path

_CANNOT_SYNC = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EINVAL})  # somebody else's folder: its names are not ours to keep


def write_durably(file: Path, content: bytes) -> None:
    """Write a file and wait until it is on disk."""
    with file.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def sync_directory(directory: Path) -> None:
    """Wait until the names in a directory are on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(directory: Path, *, mode: int = 0o777) -> None:
    """Make a directory, and those above it, so that its name lasts: a synced file is lost with a directory whose name was not.

    The directory above is synced although this one was there: whoever made it may have been cut off.
    """
    above = [each for each in directory.absolute().parents if not each.exists()]
    directory.mkdir(mode=mode, parents=True, exist_ok=True)
    for each in (directory.absolute(), *above):
        try:
            sync_directory(each.parent)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise
