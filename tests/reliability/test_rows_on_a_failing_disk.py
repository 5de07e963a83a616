"""F15 to F20, F23, F26: a disk that fails, fills up, slows down or loses what was not synced, on a file system of our own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from pathlib import Path

import pytest

from intake import worker
from itsm.errors import Transient
from prove.faultfs import Fault, FaultFileSystem
from store import inbox, sqlite_errors, verify, writer
from store.inbox import add_many
from store.settings import StoreSettings
from store.store import Store
from tests.casework.desks import TestDesk
from tests.store.conftest import NOON, arrived
from tests.triaged.conftest import ROOT

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])
SMALL, LARGE = b"Subject: small\r\n\r\nx", b"Subject: large\r\n\r\n" + b"x" * 600_000
ACCEPT = """
import sys
from datetime import UTC, datetime
from store import engine
from store.inbox import add_many
from store.settings import StoreSettings
from store.store import Store
from tests.store.conftest import arrived

if sys.argv[2] == "without":
    engine.REQUIRED = {}
    engine.PRAGMAS = tuple(each.replace("synchronous = FULL", "synchronous = OFF") for each in engine.PRAGMAS)
store = Store(StoreSettings(path=sys.argv[1]), clock=lambda: datetime(2026, 3, 2, tzinfo=UTC))
while True:
    print(store.write_many(add_many, arrived(store, b"Subject: x\\r\\n\\r\\n" + b"x" * 3000)).result(30), flush=True)
"""


@pytest.fixture
def files(tmp_path: Path) -> Iterator[FaultFileSystem]:
    with FaultFileSystem(tmp_path / "disk") as mounted:
        yield mounted


class Opened:
    """A store on the disk, and what killed it."""

    def __init__(self, files: FaultFileSystem, **settings: object) -> None:
        self.fatal: list[BaseException] = []
        found = StoreSettings(path=str(files.folder / "var"), **settings)  # type: ignore[arg-type]  # passed through
        self.store = Store(found, clock=lambda: NOON, on_fatal=self.fatal.append)

    def accept(self, body: bytes = SMALL) -> int:
        return self.store.write_many(add_many, arrived(self.store, body)).result(30)

    def ids(self) -> list[int]:
        return self.store.read(lambda tx: list(tx.connection.exec_driver_sql("SELECT id FROM inbox ORDER BY id").scalars()))


def reopened(files: FaultFileSystem, expected: list[int]) -> None:
    """What the next life finds."""
    again = Opened(files)
    assert again.ids() == sorted(expected)
    assert again.store.read(lambda tx: list(verify.findings(tx))) == []
    again.store.close()


@WITH_AND_WITHOUT
@pytest.mark.parametrize("kind", ["lost", "torn"])
def test_after_a_power_cut_everything_acknowledged_is_there(files: FaultFileSystem, kind: str, defended: bool) -> None:
    Opened(files).store.close()
    for folder in (files.folder, files.folder / "var"):  # an installation of long ago: its names are on disk
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    command = [sys.executable, "-c", ACCEPT, str(files.folder / "var"), "with" if defended else "without"]
    acknowledged: list[int] = []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    with process.stdout:
        acknowledged += [int(process.stdout.readline()) for _ in range(30)]
        unsynced = files.power_cut(process, seed=7, kind=kind)
        acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
    assert unsynced > 0 or defended
    try:
        again = Opened(files)
        kept = set(again.ids())
        findings = again.store.read(lambda tx: list(verify.findings(tx)))
        again.store.close()
    except Exception:  # without the defence not even the file may be whole
        kept, findings = set(), ["the database is damaged"]
    assert (set(acknowledged) <= kept and findings == []) is defended


@WITH_AND_WITHOUT
@pytest.mark.parametrize(
    "fault",
    [Fault(operation="fsync", path="*-wal", error="EIO"), Fault(operation="write", path="*-wal", error="EIO"), "read-only"],
    ids=["fsync", "write", "read-only"],
)
def test_an_error_of_the_disk_is_told_as_try_later_and_ends_the_process(
    files: FaultFileSystem, monkeypatch: pytest.MonkeyPatch, fault: Fault | str, defended: bool
) -> None:
    if not defended:
        monkeypatch.setattr(writer, "is_fatal", lambda error: False)
    opened = Opened(files)
    before = opened.accept()
    if isinstance(fault, str):
        files.plan(read_only=True)
    else:
        files.plan(fault)
    with pytest.raises(Transient) as told:
        opened.accept()
    assert told.value.enhanced == "4.3.0"
    files.plan()
    if defended:
        with pytest.raises(Transient, match="the store stopped"):
            opened.accept()
        opened.store.close()
        assert len(opened.fatal) == 1
        reopened(files, [before])
    else:  # it goes on, on a disk of which nobody knows what it holds
        assert opened.accept()
        opened.store.close()
        assert opened.fatal == []


@WITH_AND_WITHOUT
def test_one_mail_that_cannot_be_read_is_quarantined_alone(
    files: FaultFileSystem, mail: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    if not defended:
        monkeypatch.setattr(worker, "Unreadable", ZeroDivisionError)
    desk = TestDesk(StoreSettings(path=str(files.folder / "var")))
    try:
        far = "line\n" * 100_000  # the kernel reads ahead: what lies beside the hole is lost with it
        desk.put(mail("one", text=far))
        lost = desk.put(mail("needle", text="needle" * 50_000))
        desk.put(mail("between", text=far))
        desk.put(mail("two", "two"))
        files.plan(Fault(operation="read", containing="needleneedle", error="EIO"))
        told: list[Transient] = []
        for _ in range(14):
            try:
                desk.triage()
            except Transient as error:
                told.append(error)
            desk.time = desk.time.replace(minute=desk.time.minute + 1)
        assert ("two" in {each.subject for each in desk.tickets()}) is defended
        assert bool(told) is not defended
        row = desk.inbox(lost)
        assert row is not None
        assert (row.state == inbox.QUARANTINED) is defended
    finally:
        files.plan()
        desk.store.close()


@WITH_AND_WITHOUT
def test_a_full_disk_is_told_as_full_loses_nothing_and_is_forgotten_when_there_is_room(
    files: FaultFileSystem, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    if not defended:
        monkeypatch.setattr(sqlite_errors, "_LATER", frozenset())
    opened = Opened(files)
    kept = [opened.accept()]
    files.plan(capacity_bytes=files.look().used_bytes + 200_000)
    with pytest.raises(Exception, match="full") as told:
        opened.accept(LARGE)
    assert isinstance(told.value, Transient) is True  # every member of a failed commit is told so
    assert (told.value.enhanced == "4.3.1") is defended
    files.plan()
    kept.append(opened.accept(LARGE))  # by itself
    assert opened.fatal == []
    opened.store.close()
    reopened(files, kept)


@WITH_AND_WITHOUT
def test_on_a_slow_disk_what_waits_is_bounded_and_what_was_refused_is_not_stored(files: FaultFileSystem, defended: bool) -> None:
    limit = 10 if defended else 10_000
    opened = Opened(files, queue_limit=limit)
    files.plan(Fault(operation="fsync", delay_seconds=0.2))
    futures, refused = [], 0
    for _ in range(200):
        try:
            futures.append(opened.store.write_many(add_many, arrived(opened.store, SMALL)))
        except Transient as error:
            assert "too many writes wait" in str(error)  # noqa: PT017 -- each refusal is looked at
            refused += 1
    assert not all(future.done() for future in futures)  # nobody is told yes before the disk has said so
    wait(futures, 60)
    files.plan()
    opened.store.close()
    assert (refused > 0) is defended
    reopened(files, [future.result(0) for future in futures])
