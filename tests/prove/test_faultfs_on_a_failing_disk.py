"""The file system of our own does what its plan says, to SQLite and to plain files."""

import errno
import os
import sqlite3
import subprocess
import sys
import time

import pytest

from prove.faultfs import Fault, FaultFileSystem

WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute(f"PRAGMA synchronous = {sys.argv[2]}")
connection.execute("CREATE TABLE IF NOT EXISTS kept (number INTEGER)")
number = connection.execute("SELECT coalesce(max(number), 0) FROM kept").fetchone()[0]
while True:
    number += 1
    connection.execute("INSERT INTO kept VALUES (?)", (number,))
    print(number, flush=True)
"""


@pytest.fixture
def files(tmp_path):
    with FaultFileSystem(tmp_path / "disk") as mounted:
        yield mounted


def refused(act) -> int:
    with pytest.raises(OSError) as raised:
        act()
    return raised.value.errno


def write_and_sync(file, data: bytes = b"x") -> None:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def test_a_file_can_be_written_read_renamed_and_removed(files):
    file = files.folder / "a"
    file.write_bytes(b"one")
    (files.folder / "deep").mkdir()
    file.rename(files.folder / "deep" / "b")
    assert (files.folder / "deep" / "b").read_bytes() == b"one"
    (files.folder / "deep" / "b").unlink()
    (files.folder / "deep").rmdir()
    assert list(files.folder.iterdir()) == []


def test_the_named_operation_fails_as_often_as_planned_and_then_no_more(files):
    file = files.folder / "a"
    files.plan(Fault(operation="fsync", error="EIO", skip=1, times=1))
    write_and_sync(file)
    assert refused(lambda: write_and_sync(file)) == errno.EIO
    write_and_sync(file)
    assert files.look().hits == (1,)


def test_a_fault_is_for_the_path_and_the_content_it_names(files):
    (files.folder / "a").write_bytes(b"hay needle hay")
    (files.folder / "b").write_bytes(b"needle")
    files.plan(Fault(operation="read", path="/a", containing="needle", error="EIO"))
    assert refused((files.folder / "a").read_bytes) == errno.EIO
    assert (files.folder / "b").read_bytes() == b"needle"


def test_a_full_disk_refuses_writes_until_there_is_room(files):
    file = files.folder / "a"
    files.plan(capacity_bytes=8192)
    assert os.statvfs(files.folder).f_bavail == 2
    assert refused(lambda: file.write_bytes(bytes(8193))) == errno.ENOSPC
    files.plan()
    file.write_bytes(bytes(8193))


def test_a_disk_remounted_read_only_can_be_read(files):
    file = files.folder / "a"
    file.write_bytes(b"one")
    files.plan(read_only=True)
    assert refused(lambda: file.write_bytes(b"two")) == errno.EROFS
    assert file.read_bytes() == b"one"


def test_a_slow_sync_does_not_hold_up_others(files):
    files.plan(Fault(operation="fsync", delay_seconds=1.5))
    code = f"import os; d = os.open({str(files.folder / 'a')!r}, os.O_RDWR | os.O_CREAT); print(flush=True); os.fsync(d)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as slow:
        assert files.wait_hits()
        (files.folder / "b").write_bytes(b"meanwhile")
        assert slow.poll() is None, "the other write was done while the sync still waited"
        slow.wait(timeout=120)


def cut_while_writing(files, synchronous: str, *, seed: int, kind: str) -> tuple[int, int]:
    """The last number that the writer was promised, and the last that is there."""
    database = files.folder / "kept.sqlite"
    files.plan(Fault(operation="write", path="*-wal", skip=60 + seed, freeze=True))
    with subprocess.Popen([sys.executable, "-c", WRITER, str(database), synchronous], stdout=subprocess.PIPE) as writer:
        assert files.wait_frozen()
        files.power_cut(writer, seed=seed, kind=kind)
        assert writer.stdout is not None
        promised = int((writer.stdout.read().split() or [b"0"])[-1])
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    found = connection.execute("SELECT coalesce(max(number), 0) FROM kept").fetchone()[0] if promised else 0
    connection.close()
    return promised, found


@pytest.mark.parametrize("kind", ["lost", "torn", "shuffled"])
def test_sqlite_keeps_through_a_power_cut_what_it_synced(files, kind):
    for seed in range(4):
        promised, found = cut_while_writing(files, "FULL", seed=seed, kind=kind)
        assert found >= promised > 0


def test_sqlite_loses_what_it_did_not_sync(files):
    cut_while_writing(files, "FULL", seed=0, kind="lost")
    promised, found = cut_while_writing(files, "NORMAL", seed=0, kind="lost")
    assert found < promised


def test_what_was_cut_off_never_hears_of_an_error(files):
    files.plan(Fault(operation="fsync", freeze=True))
    code = f"import os; d = os.open({str(files.folder / 'a')!r}, os.O_RDWR | os.O_CREAT)\ntry: os.fsync(d)\nexcept OSError: print('heard', flush=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert files.wait_frozen()
        files.power_cut(process, seed=0)
        assert process.stdout is not None
        assert process.stdout.read() == b""


def test_the_mount_goes_when_its_user_dies(tmp_path):
    folder = tmp_path / "disk"
    code = f"import os, signal; from pathlib import Path; from prove.faultfs import FaultFileSystem; FaultFileSystem(Path({str(folder)!r})); os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code], check=False)
    deadline = time.monotonic() + 120
    while os.path.ismount(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not os.path.ismount(folder)
