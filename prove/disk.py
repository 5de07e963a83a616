"""A disk that remembers what was synced: pure state of a file system, and what a power cut leaves of it.

Kinds of cut: "lost" drops all that was not synced; "torn" keeps the first writes of each file since its sync and breaks the one after them
off in the middle; "shuffled" keeps any of them, as a disk that reorders does, some broken off or scrambled. A name made, moved or removed
lasts only when its directory was synced, which is harsher than ext4, where a file's own fsync keeps its name.
"""

import errno
import os
import stat
from random import Random

SECTOR_BYTES = 512
KINDS = ("lost", "torn", "shuffled")
Change = tuple[int, bytes | None]  # written at this offset; None: cut or grown to this size


class Node:
    """What a name stands for: owner, mode and times, which no cut takes away."""

    def __init__(self, number: int, mode: int, now: int) -> None:
        """`now` is in nanoseconds."""
        self.number, self.mode, self.uid, self.gid = number, mode, 0, 0
        self.accessed = self.modified = self.changed = now


class File(Node):
    """Bytes as a reader sees them, as the disk holds them, and the changes between the two."""

    def __init__(self, number: int, mode: int, now: int) -> None:
        """Empty."""
        super().__init__(number, stat.S_IFREG | stat.S_IMODE(mode), now)
        self.live, self.synced, self.unsynced = bytearray(), bytearray(), list[Change]()

    def write(self, offset: int, data: bytes) -> None:
        """Write; it lasts after a sync."""
        _change(self.live, (offset, data))
        self.unsynced.append((offset, data))

    def resize(self, size: int) -> None:
        """Truncate or grow with zeros."""
        _change(self.live, (size, None))
        self.unsynced.append((size, None))

    def sync(self) -> None:
        """All of it lasts now."""
        for each in self.unsynced:
            _change(self.synced, each)
        self.unsynced.clear()

    def cut(self, chance: Random, kind: str) -> None:
        """The power goes."""
        for each in _kept(self.unsynced, chance, kind):
            _change(self.synced, each)
        self.unsynced.clear()
        self.live = bytearray(self.synced)


class Directory(Node):
    """Names as a reader sees them, and as the disk holds them."""

    def __init__(self, number: int, mode: int, now: int) -> None:
        """Empty."""
        super().__init__(number, stat.S_IFDIR | stat.S_IMODE(mode), now)
        self.live, self.synced = dict[str, Node](), dict[str, Node]()
        self.unsynced = list[dict[str, Node | None]]()  # each is done whole or not at all; None: the name goes

    def change(self, names: dict[str, Node | None]) -> None:
        """Set and remove names at one go."""
        _rename(self.live, names)
        self.unsynced.append(names)

    def sync(self) -> None:
        """The names last now."""
        for each in self.unsynced:
            _rename(self.synced, each)
        self.unsynced.clear()

    def cut(self, chance: Random, kind: str) -> None:
        """The power goes; a journal keeps the first changes, in order."""
        for each in self.unsynced[: 0 if kind == "lost" else chance.randint(0, len(self.unsynced))]:
            _rename(self.synced, each)
        self.unsynced.clear()
        self.live = dict(self.synced)


class Disk:
    """The tree. Paths begin with "/"; errors are OSError with the errno a kernel gives."""

    def __init__(self, now: int) -> None:
        """An empty root."""
        self._number = 1
        self.root = Directory(1, 0o755, now)

    def find(self, path: str) -> Node:
        """The node of a path."""
        node: Node = self.root
        for name in path.split("/"):
            if name:
                if not isinstance(node, Directory):
                    raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
                if name not in node.live:
                    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
                node = node.live[name]
        return node

    def parent(self, path: str) -> tuple[Directory, str]:
        """The directory of a path, and the name in it."""
        above, _, name = path.rpartition("/")
        node = self.find(above)
        if not isinstance(node, Directory):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return node, name

    def make(self, path: str, kind: type[File] | type[Directory], mode: int, now: int) -> Node:
        """A new file or directory."""
        directory, name = self.parent(path)
        self._number += 1
        node = kind(self._number, mode, now)
        directory.change({name: node})
        return node

    def remove(self, path: str) -> None:
        """Remove a name; a directory must be empty."""
        directory, name = self.parent(path)
        node = self.find(path)
        if isinstance(node, Directory) and node.live:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
        directory.change({name: None})

    def move(self, old: str, new: str) -> None:
        """Rename; within one directory it lasts whole or not at all."""
        node = self.find(old)
        (source, old_name), (target, new_name) = self.parent(old), self.parent(new)
        if source is target:
            source.change({old_name: None, new_name: node})
        else:
            target.change({new_name: node})
            source.change({old_name: None})

    def nodes(self) -> list[Node]:
        """Every node that has a name now or on the disk."""
        found, todo = dict[int, Node](), list[Node]([self.root])
        while todo:
            node = todo.pop()
            if node.number not in found:
                found[node.number] = node
                if isinstance(node, Directory):
                    todo += [*node.live.values(), *node.synced.values()]
        return list(found.values())

    def used_bytes(self) -> int:
        """Sum of the sizes of the files one can see."""
        return sum(len(each.live) for each in self.nodes() if isinstance(each, File))

    def cut(self, chance: Random, kind: str) -> int:
        """The power goes, and comes back: only what lasts is there. How many changes had not been synced."""
        assert kind in KINDS, kind
        nodes = [each for each in self.nodes() if isinstance(each, File | Directory)]
        unsynced = sum(len(each.unsynced) for each in nodes)
        for each in nodes:
            each.cut(chance, kind)
        return unsynced


def _change(data: bytearray, change: Change) -> None:
    offset, written = change
    if len(data) < offset:
        data.extend(bytes(offset - len(data)))
    if written is None:
        del data[offset:]
    else:
        data[offset : offset + len(written)] = written


def _rename(names: dict[str, Node], change: dict[str, Node | None]) -> None:
    for name, node in change.items():
        names.pop(name, None)
        if node is not None:
            names[name] = node


def _kept(unsynced: list[Change], chance: Random, kind: str) -> list[Change]:
    if kind == "lost" or not unsynced:
        return []
    if kind == "torn":
        place = chance.randrange(len(unsynced))
        return [*unsynced[:place], _torn(unsynced[place], chance)]
    kept = [each for each in unsynced if chance.random() < 0.5]
    return [_torn(each, chance) if chance.random() < 0.2 else each for each in kept]


def _torn(change: Change, chance: Random) -> Change:
    """A write that reached the disk up to a sector, or whose last sectors hold anything."""
    offset, data = change
    if data is None:
        return change
    whole = chance.randrange(0, len(data) + 1, SECTOR_BYTES) if len(data) >= SECTOR_BYTES else chance.randint(0, len(data))
    rest = chance.randbytes(len(data) - whole) if chance.random() < 0.5 else b""
    return (offset, data[:whole] + rest)
