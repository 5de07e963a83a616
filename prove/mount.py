"""The process behind `prove.faultfs`: mounts the disk, obeys commands on stdin, unmounts when stdin ends."""

import errno
import fnmatch
import logging
import os
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import mfusepy
import msgspec

from prove.disk import Directory, Disk, File, Node
from prove.faultfs import Command, Fault, Look, Plan

BLOCK_BYTES = 4096
CAPACITY_BYTES = 64 << 30


def failed(name: str) -> OSError:
    """An error by its name in errno."""
    number = int(getattr(errno, name))
    return OSError(number, os.strerror(number))


class Control:
    """The plan, the counts, and the gate that a power cut shuts."""

    def __init__(self) -> None:
        """All is well."""
        self.plan = Plan()
        self.operations = Counter[str]()
        self.seen, self.hits = Counter[int](), Counter[int]()
        self.gate = threading.Condition()
        self.frozen = self.dead = False
        self.unsynced = 0

    def set(self, plan: Plan) -> None:
        """A new plan; it counts from here."""
        with self.gate:
            self.plan, self.seen, self.hits = plan, Counter(), Counter()

    def enter(self, operation: str, path: str, data: bytes = b"") -> None:
        """Every operation passes here before it is done: waits, sleeps or raises as the plan says."""
        with self.gate:
            self.operations[operation] += 1
            fault = self._met(operation, path, data)
            if fault is not None and fault.freeze:
                self.frozen = True
            self._pass()
        if fault is not None and fault.delay_seconds:
            time.sleep(fault.delay_seconds)
            with self.gate:
                self._pass()
        if fault is not None and fault.error:
            raise failed(fault.error)

    def _pass(self) -> None:
        while self.frozen and not self.dead:
            self.gate.wait()
        if self.dead:
            raise failed("EIO")

    def _met(self, operation: str, path: str, data: bytes) -> Fault | None:
        for place, fault in enumerate(self.plan.faults):
            if fault.operation not in ("*", operation) or not fnmatch.fnmatchcase(path, fault.path):
                continue
            if fault.containing and fault.containing.encode() not in data:
                continue
            self.seen[place] += 1
            if self.seen[place] <= fault.skip or (fault.times is not None and self.hits[place] >= fault.times):
                continue
            self.hits[place] += 1
            return fault
        return None


class Files(mfusepy.Operations):
    """The disk as libfuse calls it; one lock, for the calls come on several threads."""

    use_ns = True

    def __init__(self, disk: Disk, control: Control) -> None:
        """Nothing is open."""
        self.disk, self.control = disk, control
        self._lock = threading.Lock()
        self._open = dict[int, File]()
        self._handle = 0

    def getattr(self, path: str, fh: Any = None) -> dict[str, Any]:
        """Attributes of an open file, or of a path."""
        with self._lock:
            node = self._open[fh.fh] if fh is not None and fh.fh in self._open else self.disk.find(path)
            size = len(node.live) if isinstance(node, File) else 0
            return {
                "st_mode": node.mode,
                "st_ino": node.number,
                "st_nlink": 2 if isinstance(node, Directory) else 1,
                "st_size": size,
                "st_blocks": -(-size // 512),
                "st_uid": node.uid,
                "st_gid": node.gid,
                "st_atime": node.accessed,
                "st_mtime": node.modified,
                "st_ctime": node.changed,
            }

    def readdir(self, path: str, fh: int) -> list[str]:
        """The names in a directory."""
        with self._lock:
            node = self.disk.find(path)
            return [".", "..", *(node.live if isinstance(node, Directory) else ())]

    def statfs(self, path: str) -> dict[str, int]:
        """The space as the plan has it."""
        total = self.control.plan.capacity_bytes or CAPACITY_BYTES
        with self._lock:
            free = max(0, total - self.disk.used_bytes()) // BLOCK_BYTES
        return {
            "f_bsize": BLOCK_BYTES,
            "f_frsize": BLOCK_BYTES,
            "f_blocks": total // BLOCK_BYTES,
            "f_bfree": free,
            "f_bavail": free,
            "f_files": 1 << 20,
            "f_ffree": 1 << 19,
            "f_favail": 1 << 19,
            "f_namemax": 255,
        }

    def mkdir(self, path: str, mode: int) -> None:
        """Make a directory."""
        self._changing("mkdir", path)
        with self._lock:
            self._own(self.disk.make(path, Directory, mode, time.time_ns()))

    def rmdir(self, path: str) -> None:
        """Remove a directory."""
        self._changing("unlink", path)
        with self._lock:
            self.disk.remove(path)

    def unlink(self, path: str) -> None:
        """Remove a name."""
        self._changing("unlink", path)
        with self._lock:
            self.disk.remove(path)

    def rename(self, old: str, new: str) -> None:
        """Rename."""
        self._changing("rename", old)
        with self._lock:
            self.disk.move(old, new)

    def chmod(self, path: str, mode: int) -> None:
        """Set the mode; it lasts at once."""
        with self._lock:
            node = self.disk.find(path)
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Set the owner; it lasts at once. 2**32 - 1 leaves one as it is."""
        with self._lock:
            node = self.disk.find(path)
            node.uid, node.gid = (old if new in (-1, 2**32 - 1) else new for old, new in ((node.uid, uid), (node.gid, gid)))

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        """Set the times; they last at once."""
        with self._lock:
            node = self.disk.find(path)
            node.accessed, node.modified = times or (time.time_ns(), time.time_ns())

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        """Make a file and open it."""
        self._changing("create", path)
        with self._lock:
            node = self.disk.make(path, File, mode, time.time_ns())
            self._own(node)
            return self._opened(path, node, fi)

    def open(self, path: str, fi: Any) -> int:
        """Open a file."""
        if self.control.plan.read_only and fi.flags & (os.O_WRONLY | os.O_RDWR):
            raise failed("EROFS")
        self.control.enter("open", path)
        with self._lock:
            return self._opened(path, self.disk.find(path), fi)

    def release(self, path: str, fh: Any) -> None:
        """The last descriptor is closed."""
        with self._lock:
            self._open.pop(fh.fh, None)

    def read(self, path: str, size: int, offset: int, fh: Any) -> bytes:
        """Read, past the faults for what was read."""
        with self._lock:
            data = bytes(memoryview(self._open[fh.fh].live)[offset : offset + size])
        self.control.enter("read", path, data)
        return data

    def write(self, path: str, data: bytes, offset: int, fh: Any) -> int:
        """Write; it lasts after an fsync."""
        self._changing("write", path, data)
        with self._lock:
            node = self._open[fh.fh]
            self._room(offset + len(data) - len(node.live))
            node.write(offset, data)
            node.modified = time.time_ns()
        return len(data)

    def truncate(self, path: str, length: int, fh: Any = None) -> None:
        """Cut or grow a file."""
        self._changing("truncate", path)
        with self._lock:
            node = self.disk.find(path)
            assert isinstance(node, File)
            self._room(length - len(node.live))
            node.resize(length)
            node.modified = time.time_ns()

    def flush(self, path: str, fh: Any) -> None:
        """A descriptor is closed: that syncs nothing."""

    def fsync(self, path: str, datasync: int, fh: Any) -> None:
        """What the file holds lasts now."""
        self.control.enter("fsync", path)
        with self._lock:
            self._open[fh.fh].sync()

    def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
        """The names of a directory last now."""
        self.control.enter("fsyncdir", path)
        with self._lock:
            node = self.disk.find(path)
            assert isinstance(node, Directory)
            node.sync()

    def obey(self, command: Command) -> Look:
        """One command of the user."""
        control = self.control
        if command.verb == "plan":
            control.set(command.plan)
        with control.gate, self._lock:
            if command.verb == "freeze":
                control.frozen = True
            if command.verb == "cut":
                control.unsynced = self.disk.cut(Random(command.seed), command.kind)
                control.dead = True
            if command.verb == "thaw":
                control.frozen = control.dead = False
                control.plan = Plan()
            control.gate.notify_all()
            hits = tuple(control.hits[place] for place in range(len(control.plan.faults)))
            return Look(
                operations=dict(control.operations),
                hits=hits,
                frozen=control.frozen,
                unsynced=control.unsynced,
                used_bytes=self.disk.used_bytes(),
            )

    def _changing(self, operation: str, path: str, data: bytes = b"") -> None:
        if self.control.plan.read_only:
            raise failed("EROFS")
        self.control.enter(operation, path, data)

    def _room(self, more_bytes: int) -> None:
        capacity = self.control.plan.capacity_bytes
        if capacity is not None and more_bytes > 0 and self.disk.used_bytes() + more_bytes > capacity:
            raise failed("ENOSPC")

    def _own(self, node: Node) -> None:
        node.uid, node.gid, _ = mfusepy.fuse_get_context()

    def _opened(self, path: str, node: Node, fi: Any) -> int:
        if not isinstance(node, File):
            raise failed("EISDIR")
        self._handle += 1
        fi.fh, self._open[self._handle] = self._handle, node
        # Reads shall come to us, not to the kernel's cache; SQLite maps its -shm into memory, which needs that cache.
        fi.direct_io = 0 if path.endswith("-shm") else 1
        return 0


def serve(folder: Path) -> None:
    """Mount, obey until stdin ends, unmount."""
    files = Files(Disk(time.time_ns()), Control())

    def obey() -> None:
        for line in sys.stdin.buffer:
            sys.stdout.buffer.write(msgspec.json.encode(files.obey(msgspec.json.decode(line, type=Command))) + b"\n")
            sys.stdout.buffer.flush()
        files.obey(Command(verb="thaw"))
        subprocess.run(["umount", "-l", str(folder)] if os.geteuid() == 0 else ["fusermount3", "-u", "-z", str(folder)], check=False)

    threading.Thread(target=obey, daemon=True).start()
    mfusepy.FUSE(
        files,
        str(folder),
        raw_fi=True,
        foreground=True,
        attr_timeout=0,
        entry_timeout=0,
        negative_timeout=0,
        fsname="triaged-faults",
        allow_other=os.geteuid() == 0,
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    serve(Path(sys.argv[1]))
