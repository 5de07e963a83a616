"""The migrations make the schema that a first start makes, in one commit, and only under the data lock."""

import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from itsm.errors import Conflict, Permanent
from store import migrate, version
from store.lock import DataLock
from store.settings import StoreSettings
from store.store import DATABASE_FILE, Store

Clock = Callable[..., object]
UPGRADE = """
import sys
from store.migrate import upgrade
from store.settings import StoreSettings
upgrade(StoreSettings(path=sys.argv[1]))
"""


def schema_of(settings: StoreSettings) -> list[tuple[str, str | None]]:
    connection = sqlite3.connect(Path(settings.path) / DATABASE_FILE)
    found = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return found


def test_the_migrations_make_the_same_database_as_a_first_start(tmp_path: Path, clock: Clock) -> None:
    migrated, fresh = StoreSettings(path=str(tmp_path / "100% migrated")), StoreSettings(path=str(tmp_path / "fresh"))
    assert migrate.upgrade(migrated).pending == version.KNOWN
    Store(fresh, clock=clock).close()
    assert schema_of(migrated) == schema_of(fresh)
    Store(migrated, clock=clock).close()


def test_the_known_versions_are_those_there_is_a_migration_to() -> None:
    assert migrate.versions() == version.KNOWN
    assert version.KNOWN[-1] == version.HEAD
    assert all(each.endswith(("_expand", "_contract")) for each in version.KNOWN)


def test_the_status_tells_what_an_upgrade_would_do(settings: StoreSettings, clock: Clock) -> None:
    before = migrate.status(settings)
    assert (before.current, before.pending) == (None, version.KNOWN)
    Store(settings, clock=clock).close()
    after = migrate.status(settings)
    assert (after.current, after.head, after.pending) == (version.HEAD, version.HEAD, ())
    assert migrate.upgrade(settings).pending == ()


def test_a_newer_schema_is_left_alone(settings: StoreSettings, clock: Clock) -> None:
    store = Store(settings, clock=clock)
    store.write(lambda tx: tx.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0999_contract'").rowcount).result(10)
    store.close()
    for verb in (migrate.status, migrate.upgrade):
        with pytest.raises(Permanent, match="newer version"):
            verb(settings)


def test_no_upgrade_under_the_feet_of_a_running_daemon(settings: StoreSettings) -> None:
    Path(settings.path).mkdir()
    with DataLock(Path(settings.path)), pytest.raises(Conflict, match="stop it first"):
        migrate.upgrade(settings)


@pytest.mark.parametrize(("step", "made"), [("migrate.before_commit", False), ("migrate.after_commit", True)])
def test_a_crash_during_an_upgrade_leaves_the_old_schema_or_the_new(
    settings: StoreSettings, run_python: Callable[..., subprocess.CompletedProcess[str]], step: str, made: bool
) -> None:
    assert run_python(UPGRADE, settings.path, crash_at=step).returncode == -9
    assert bool(schema_of(settings)) is made
    assert run_python(UPGRADE, settings.path).returncode == 0
    assert migrate.status(settings).pending == ()
