"""What a power cut leaves: all that was synced, and of the rest what the kind of cut says."""

import errno
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prove.disk import KINDS, SECTOR_BYTES, Directory, Disk, File


def file_of(disk: Disk, path: str) -> File:
    node = disk.find(path)
    assert isinstance(node, File)
    return node


def lasting_file(disk: Disk, path: str = "/a") -> File:
    node = disk.make(path, File, 0o600, 0)
    disk.root.sync()
    assert isinstance(node, File)
    return node


def test_what_was_not_synced_is_lost():
    disk = Disk(0)
    file = lasting_file(disk)
    file.write(0, b"kept")
    file.sync()
    file.write(4, b" and lost")
    assert disk.cut(Random(1), "lost") == 1
    assert file_of(disk, "/a").live == b"kept"


def test_a_name_lasts_only_when_its_directory_was_synced():
    disk = Disk(0)
    disk.make("/a", File, 0o600, 0)
    disk.cut(Random(1), "lost")
    with pytest.raises(OSError, match="No such file") as raised:
        disk.find("/a")
    assert raised.value.errno == errno.ENOENT


def test_a_rename_lasts_whole_or_not_at_all():
    for seed in range(20):
        disk = Disk(0)
        lasting_file(disk, "/old")
        disk.move("/old", "/new")
        disk.cut(Random(seed), "torn")
        assert set(disk.root.live) in ({"old"}, {"new"})


def test_a_torn_write_ends_at_a_sector_or_holds_anything_behind_it():
    ends = set()
    for seed in range(60):
        disk = Disk(0)
        file = lasting_file(disk)
        file.write(0, b"x" * 4096)
        disk.cut(Random(seed), "torn")
        data = bytes(file.live)
        ends.add(len(data))
        whole = len(data) - len(data.lstrip(b"x"))
        assert len(data) == 4096 or len(data) % SECTOR_BYTES == 0
        assert whole <= 4096
    assert len(ends) > 3


def test_a_shuffled_disk_may_keep_the_later_and_lose_the_earlier():
    found = set()
    for seed in range(60):
        disk = Disk(0)
        file = lasting_file(disk)
        file.write(0, b"1")
        file.write(1, b"2")
        disk.cut(Random(seed), "shuffled")
        found.add(bytes(file.live))
    assert b"\0002" in found
    assert {b"", b"1", b"12"} <= found


def test_what_is_not_empty_or_not_there_is_refused_as_by_a_kernel():
    disk = Disk(0)
    disk.make("/folder", Directory, 0o700, 0)
    disk.make("/folder/a", File, 0o600, 0)
    for act, wanted in ((lambda: disk.remove("/folder"), errno.ENOTEMPTY), (lambda: disk.find("/folder/a/b"), errno.ENOTDIR)):
        with pytest.raises(OSError) as raised:
            act()
        assert raised.value.errno == wanted


CHANGES = st.lists(
    st.one_of(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=2000)), st.just("sync"), st.integers(0, 4000)), max_size=12
)


@given(changes=CHANGES, seed=st.integers(0, 2**32), kind=st.sampled_from(KINDS))
def test_what_was_synced_last_survives_where_nothing_was_written_over_it(changes, seed, kind):
    disk = Disk(0)
    file = lasting_file(disk)
    for change in changes:
        if change == "sync":
            file.sync()
        elif isinstance(change, int):
            file.resize(change)
        else:
            file.write(*change)
    synced = bytes(file.synced)
    touched = {place for offset, data in file.unsynced if data is not None for place in range(offset, offset + len(data))}
    shortest = min([len(synced), *(offset for offset, data in file.unsynced if data is None)])
    disk.cut(Random(seed), kind)
    after = bytes(file.live)
    assert all(after[place] == synced[place] for place in range(shortest) if place not in touched)
    assert file.synced == file.live and not file.unsynced
