"""Backups are whole or not there; a restore is checked first, switched by one rename, and never sends or numbers twice."""

import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert, select

from itsm.errors import Conflict, Permanent
from store import backup, history, inbox, totals, version
from store.backup import MANIFEST_FILE
from store.desk_schema import counter, process
from store.lock import DataLock
from store.restore import NUMBERS_SKIPPED, Restored, restore
from store.schema import outbox
from store.settings import StoreSettings
from store.store import DATABASE_FILE, Store

Arrive = Callable[..., int]
Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.sqlite_only("PostgreSQL has pg_dump")


def save(store: Store, target: Path) -> backup.Manifest:
    return backup.backup(store.file, target, now=store.clock())


@pytest.fixture
def saved(store: Store, arrive: Arrive, tmp_path: Path) -> Path:
    """A backup of a store with one envelope that a process has claimed."""
    arrive(b"first")
    store.write(lambda tx: inbox.claim(tx, process_id=7, limit=1, max_bytes=9)).result(10)
    save(store, tmp_path / "saved")
    return tmp_path / "saved"


def accepted(settings: StoreSettings, clock: Callable[..., object]) -> int:
    store = Store(settings, clock=clock)
    found = store.read(totals.balance).accepted
    store.close()
    return found


def put_back(store: Store, source: Path, **options: bool) -> Restored:
    store.close()
    return restore(store.settings, source, now=store.clock(), **options)


def test_a_backup_is_made_while_the_store_runs(store: Store, saved: Path) -> None:
    manifest = backup.read_manifest(saved)
    assert (manifest.format, manifest.schema, manifest.created_at) == (backup.FORMAT, version.HEAD, store.clock())
    assert manifest.sha256 == backup.sha256_of(saved / DATABASE_FILE)
    assert sorted(each.name for each in saved.iterdir()) == [MANIFEST_FILE, DATABASE_FILE]
    assert (saved / DATABASE_FILE).stat().st_mode & 0o777 == 0o600
    assert saved.stat().st_mode & 0o777 == 0o700


def test_a_backup_never_replaces_another(store: Store, saved: Path) -> None:
    with pytest.raises(Conflict, match="there already"):
        save(store, saved)


def test_a_backup_that_cannot_be_made_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="failed"):
        backup.backup(tmp_path / "nowhere.sqlite", tmp_path / "b", now=store.clock())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["var"]


def test_a_restore_brings_back_what_was_saved_and_keeps_the_old_database(
    store: Store, arrive: Arrive, saved: Path, clock: Callable[..., object]
) -> None:
    arrive(b"after the backup")
    restored = put_back(store, saved)
    assert (restored.findings, restored.held) == ((), 0)
    assert accepted(store.settings, clock) == 1
    old = sqlite3.connect(restored.old_database)
    assert old.execute("SELECT count(*) FROM inbox").fetchone() == (2,)
    old.close()
    again = Store(store.settings, clock=clock)
    assert len(again.write(lambda tx: inbox.claim(tx, process_id=8, limit=9, max_bytes=9)).result(10)) == 1, "old claims are released"
    assert len(again.read(lambda tx: tx.connection.execute(select(process.c.node)).all())) == 1, "old processes are forgotten"
    kinds = [each.kind for each in again.read(lambda tx: history.of_stream(tx, "access"))]
    assert kinds == ["restored"]
    again.close()


def test_a_restore_into_an_empty_directory_has_no_old_database(
    saved: Path, tmp_path: Path, store: Store, clock: Callable[..., object]
) -> None:
    elsewhere = StoreSettings(path=str(tmp_path / "elsewhere"))
    assert restore(elsewhere, saved, now=store.clock()).old_database is None
    assert accepted(elsewhere, clock) == 1


def waiting_mail(store: Store) -> None:
    row = {
        "desk_id": 1, "id": 9, "ticket_id": 1, "ticket_number": 1001, "event": "reply", "recipient": "a@x", "recipient_name": "",
        "message_id_sha256": b"9", "message_id": "9@x", "reference_ids": "[]", "facts": "{}", "created_at": 0, "due_at": 0,
    }  # fmt: skip
    rows = [row | {"id": n, "state": state, "message_id_sha256": state.encode()} for n, state in enumerate(("queued", "sending", "sent"))]
    store.write(lambda tx: tx.connection.execute(insert(outbox), rows).rowcount).result(10)
    store.write(lambda tx: tx.connection.execute(insert(counter).values(desk_id=1, name="ticket", next=1042)).rowcount).result(10)


@pytest.mark.parametrize(
    ("planned", "states", "number"),
    [(False, {"held": 2, "sent": 1}, 1042 + NUMBERS_SKIPPED), (True, {"queued": 1, "sending": 1, "sent": 1}, 1042)],
)
def test_after_a_loss_nothing_is_sent_or_numbered_twice(
    store: Store, tmp_path: Path, clock: Callable[..., object], planned: bool, states: dict[str, int], number: int
) -> None:
    waiting_mail(store)
    save(store, tmp_path / "b")
    restored = put_back(store, tmp_path / "b", planned=planned, despite_findings=True)
    assert restored.held == states.get("held", 0)
    assert len(restored.findings) == 1, "the mails name no ticket"
    again = Store(store.settings, clock=clock)
    found = again.read(lambda tx: list(tx.connection.execute(select(outbox.c.state)).scalars()))
    assert {state: found.count(state) for state in found} == states
    assert again.read(lambda tx: tx.connection.execute(select(counter.c.next)).scalar()) == number
    again.close()


def test_a_backup_that_is_not_well_is_refused_unless_told_otherwise(
    store: Store, tmp_path: Path, clock: Callable[..., object], arrive: Arrive
) -> None:
    arrive()
    store.write(lambda tx: tx.connection.exec_driver_sql("DELETE FROM raw").rowcount).result(10)
    save(store, tmp_path / "b")
    with pytest.raises(Permanent, match=r"not well: in-.*bytes are missing"):
        put_back(store, tmp_path / "b")
    assert accepted(store.settings, clock) == 1
    assert len(restore(store.settings, tmp_path / "b", now=store.clock(), despite_findings=True).findings) == 1


def damage_database(saved: Path) -> None:
    with (saved / DATABASE_FILE).open("r+b") as file:
        file.seek(5000)
        file.write(b"\xff")


def shorten_database(saved: Path) -> None:
    with (saved / DATABASE_FILE).open("r+b") as file:
        file.truncate(8192)


def remove_manifest(saved: Path) -> None:
    (saved / MANIFEST_FILE).unlink()


def cut_manifest(saved: Path) -> None:
    (saved / MANIFEST_FILE).write_bytes((saved / MANIFEST_FILE).read_bytes()[:20])


def remove_database(saved: Path) -> None:
    (saved / DATABASE_FILE).unlink()


def rewrite(saved: Path, **fields: object) -> None:
    manifest = msgspec.structs.replace(backup.read_manifest(saved), **fields)
    (saved / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))


def raise_format(saved: Path) -> None:
    rewrite(saved, format=99)


def raise_schema(saved: Path) -> None:
    rewrite(saved, schema="0999_expand")


FAULTS = {
    damage_database: "not what its manifest says",
    shorten_database: "not what its manifest says",
    remove_manifest: "not a finished backup",
    cut_manifest: "not a finished backup",
    remove_database: "the restore from .* failed",
    raise_format: "upgrade triaged",
    raise_schema: "newer version",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_backup_that_is_not_whole_leaves_the_store_alone(
    store: Store, arrive: Arrive, saved: Path, clock: Callable[..., object], fault: Callable[[Path], None]
) -> None:
    arrive(b"after the backup")
    fault(saved)
    with pytest.raises(Permanent, match=FAULTS[fault]):
        put_back(store, saved)
    assert accepted(store.settings, clock) == 2
    assert not [each for each in store.directory.iterdir() if "restoring" in each.name]


def test_no_restore_under_the_feet_of_a_daemon_or_a_command(store: Store, saved: Path) -> None:
    with DataLock(store.directory), pytest.raises(Conflict, match="stop it first"):
        restore(store.settings, saved, now=store.clock())
    with pytest.raises(Conflict, match="a command still works"):
        restore(store.settings, saved, now=store.clock())


def test_a_restore_replaces_a_database_that_is_damaged_beyond_opening(store: Store, saved: Path, clock: Callable[..., object]) -> None:
    store.close()
    store.file.write_bytes(b"no database at all" * 1000)
    store.file.with_name(f"{DATABASE_FILE}-wal").write_bytes(b"left behind")
    restored = restore(store.settings, saved, now=store.clock())
    assert restored.old_database is not None
    assert restored.old_database.read_bytes().startswith(b"no database")
    assert not store.file.with_name(f"{DATABASE_FILE}-wal").exists()
    assert accepted(store.settings, clock) == 1


BACKUP = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from store.backup import backup
backup(Path(sys.argv[1]), Path(sys.argv[2]), now=datetime(2026, 3, 2, tzinfo=UTC))
"""
RESTORE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from store.restore import restore
from store.settings import StoreSettings
restore(StoreSettings(path=sys.argv[1]), Path(sys.argv[2]), now=datetime(2026, 3, int(sys.argv[3]), tzinfo=UTC))
"""


@pytest.mark.parametrize(("step", "finished"), [("backup.copied", False), ("backup.described", False), ("backup.named", True)])
def test_a_crash_during_a_backup_leaves_none_or_a_whole_one(
    store: Store, arrive: Arrive, tmp_path: Path, run_python: Run, step: str, finished: bool
) -> None:
    arrive()
    target = tmp_path / "b"
    assert run_python(BACKUP, store.file, target, crash_at=step).returncode == -9
    assert target.exists() is finished
    again = run_python(BACKUP, store.file, target)
    assert (again.returncode == 0) is not finished
    assert backup.read_manifest(target).sha256 == backup.sha256_of(target / DATABASE_FILE)
    assert not list(tmp_path.glob(".b*"))


@pytest.mark.parametrize(("step", "switched"), [("restore.copied", False), ("restore.verified", False), ("restore.replaced", True)])
def test_a_crash_during_a_restore_leaves_the_old_store_or_the_new(
    store: Store, arrive: Arrive, saved: Path, clock: Callable[..., object], run_python: Run, step: str, switched: bool
) -> None:
    arrive(b"after the backup")
    store.close()
    assert run_python(RESTORE, store.directory, saved, 3, crash_at=step).returncode == -9
    assert accepted(store.settings, clock) == (1 if switched else 2)
    assert run_python(RESTORE, store.directory, saved, 4).returncode == 0
    assert accepted(store.settings, clock) == 1
