"""Puts a backup in the place of the store: checked before, switched by one rename, the old database kept (fault F08, F75)."""

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from secrets import token_bytes

import msgspec
from sqlalchemy import Engine, delete, update

from itsm.errors import Conflict, Permanent
from itsm.notification import DeliveryState
from store import backup, inbox, verify, version
from store.backup import Manifest
from store.credentials import ACCESS_STREAM
from store.desk_schema import counter, lease, process
from store.durable import make_directory, sync_directory
from store.engine import open_engine
from store.history import append_many
from store.identifiers import Issuer
from store.lock import DataLock
from store.migrate import upgrade_engine
from store.schema import outbox
from store.settings import StoreSettings
from store.sqlite_backend import DATABASE_FILE
from store.step import step
from store.transaction import Tx

MAX_FINDINGS = 20
NUMBERS_SKIPPED = 1000  # tickets opened after the backup have told people their numbers: they are not given out again
HELD_BECAUSE = "restored from a backup: it may have been sent since; retry it to send it (again)"


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore did: the backup it read, what is wrong with it, notifications held, where the old database is."""

    manifest: Manifest
    findings: tuple[str, ...]
    held: int
    old_database: Path | None


def restore(settings: StoreSettings, source: Path, *, now: datetime, planned: bool = False, despite_findings: bool = False) -> Restored:
    """Replace the database of the data directory by a backup, under the data lock.

    Unless `planned` (nothing happened since the backup, as when moving to another machine) notifications that waited
    are held, for they may have been sent since, and ticket numbers skip ahead. Raises Conflict while triaged or a
    command works on the directory, Permanent when the backup is not whole or, unless `despite_findings`, not well.
    Until the last step the old store is untouched.
    """
    manifest = backup.read_manifest(source)
    directory = Path(settings.path)
    make_directory(directory, mode=0o700)
    with DataLock(directory):
        fresh = directory / f"{DATABASE_FILE}.restoring"
        try:
            _fetch(source / DATABASE_FILE, fresh, manifest)
            step("restore.copied")
            findings, held = _prepare(fresh, settings, manifest, now=now, planned=planned, despite_findings=despite_findings)
            step("restore.verified")
            old = _switch(directory / DATABASE_FILE, fresh, now)
            step("restore.replaced")
        except (OSError, sqlite3.Error) as error:
            raise Permanent(f"the restore from {source} failed: {error}") from error
        finally:
            _remove(fresh)
    return Restored(manifest=manifest, findings=findings, held=held, old_database=old)


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def _fetch(source: Path, fresh: Path, manifest: Manifest) -> None:
    _remove(fresh)
    fresh.touch(mode=0o600)
    shutil.copyfile(source, fresh)
    if fresh.stat().st_size != manifest.size_bytes or backup.sha256_of(fresh) != manifest.sha256:
        raise Permanent(f"{source} is not what its manifest says: it was damaged or changed")


def _prepare(
    fresh: Path, settings: StoreSettings, manifest: Manifest, *, now: datetime, planned: bool, despite_findings: bool
) -> tuple[tuple[str, ...], int]:
    """Check the copy and make it fit to go on from; it needs no file beside it afterwards."""
    engine = open_engine(fresh, busy_timeout_seconds=settings.busy_timeout_seconds)
    try:
        version.assert_known(manifest.schema)
        upgrade_engine(engine)
        findings, held = _settle(engine, manifest, now, planned=planned, despite_findings=despite_findings)
    finally:
        engine.dispose()
    _make_single_file(fresh)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    return findings, held


def _settle(engine: Engine, manifest: Manifest, now: datetime, *, planned: bool, despite_findings: bool) -> tuple[tuple[str, ...], int]:
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        tx = Tx(connection, now, Issuer(0, lambda: now, 0), token_bytes)
        findings = tuple(islice(verify.findings(tx), MAX_FINDINGS))
        if findings and not despite_findings:
            raise Permanent("the backup is not well: " + "; ".join(findings))
        connection.execute(delete(process).where(process.c.desk_id == tx.desk_id))
        connection.execute(delete(lease).where(lease.c.desk_id == tx.desk_id))
        inbox.release_all(tx)
        held = 0 if planned else _hold_notifications(tx)
        if not planned:
            skip = update(counter).where(counter.c.desk_id == tx.desk_id)
            connection.execute(skip.values(next=counter.c.next + NUMBERS_SKIPPED))
        content = msgspec.json.encode({"backup": manifest, "planned": planned, "held": held})
        append_many(tx, [(ACCESS_STREAM, "restored", "operator", (), content)])
        connection.exec_driver_sql("COMMIT")
    return findings, held


def _hold_notifications(tx: Tx) -> int:
    waiting = outbox.c.state.in_((DeliveryState.QUEUED.value, DeliveryState.SENDING.value))
    values = {"state": DeliveryState.HELD.value, "claimed_by": None, "lease_until": None, "last_error": HELD_BECAUSE}
    held = update(outbox).where(outbox.c.desk_id == tx.desk_id, waiting).values(**values, fence=outbox.c.fence + 1)
    return tx.connection.execute(held).rowcount


def _make_single_file(database: Path) -> None:
    """Put everything of the WAL into the database and do without one, so that one rename moves all of it."""
    with closing(sqlite3.connect(database, timeout=0)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _switch(database: Path, fresh: Path, now: datetime) -> Path | None:
    """Put the new database in the place of the old one, which is kept under another name; returns that."""
    old = None
    if database.exists():
        _retire(database)
        old = database.with_name(f"{database.name}.before-{now:%Y%m%dT%H%M%S}")
        os.link(database, old)
    fresh.replace(database)
    sync_directory(database.parent)
    return old


def _retire(database: Path) -> None:
    """Fold the old WAL in: found beside the new database it would be applied to that. One that is too damaged is set aside."""
    try:
        _make_single_file(database)
    except sqlite3.Error as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Conflict(f"a command still works on {database}; end it first") from error
        for suffix in ("-wal", "-shm"):
            beside = database.with_name(database.name + suffix)
            with suppress(FileNotFoundError):
                beside.replace(beside.with_name(f"{beside.name}.damaged"))
