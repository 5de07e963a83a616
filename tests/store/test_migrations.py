"""The migrations make the schema that a first start makes, in one commit, and only under the data lock."""

import ast
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from itsm.errors import Conflict, Permanent
from store import migrate, version
from store.lock import DataLock
from store.settings import StoreSettings
from store.store import DATABASE_FILE, Store

Clock = Callable[..., object]
UPGRADE = """
import sys
import msgspec
from store.migrate import upgrade
from store.settings import StoreSettings
upgrade(msgspec.json.decode(sys.argv[1], type=StoreSettings))
"""

POSTGRES_SCHEMA = """
SELECT table_name || '.' || column_name, concat_ws(' ', ordinal_position, data_type, is_nullable, column_default, collation_name)
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
ORDER BY 1, 2
"""


def schema_of(settings: StoreSettings) -> list[tuple[object, ...]]:
    """Tables with their columns in any order (a column that was added stands last), and indexes as they are written."""
    if settings.postgres is not None:
        with migrate._opened(settings) as engine, engine.connect() as connected:
            return [tuple(row) for row in connected.exec_driver_sql(POSTGRES_SCHEMA)]
    connection = sqlite3.connect(Path(settings.path) / DATABASE_FILE)
    names = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
    found: list[tuple[object, ...]] = []
    for kind, name, sql in names:
        if kind != "table":
            found.append((kind, name, sql))
            continue
        columns = sorted(row[1:6] for row in connection.execute(f"PRAGMA table_info('{name}')"))
        references = sorted(row[2:] for row in connection.execute(f"PRAGMA foreign_key_list('{name}')"))
        found.append((kind, name, columns, references))
    connection.close()
    return found


def test_the_migrations_make_the_same_database_as_a_first_start(make_place: Callable[..., StoreSettings], clock: Clock) -> None:
    migrated, fresh = make_place(empty=True), make_place(empty=True)
    assert migrate.upgrade(migrated).pending == version.KNOWN
    Store(fresh, clock=clock).close()
    assert schema_of(migrated)
    assert schema_of(migrated) == schema_of(fresh)
    Store(migrated, clock=clock).close()


def test_the_known_versions_are_those_there_is_a_migration_to() -> None:
    assert migrate.versions() == version.KNOWN
    assert version.KNOWN[-1] == version.HEAD
    assert all(each.endswith(("_expand", "_contract")) for each in version.KNOWN)


def test_a_directory_with_a_percent_sign_is_migrated(tmp_path: Path) -> None:
    assert migrate.upgrade(StoreSettings(path=str(tmp_path / "100% migrated"))).pending == version.KNOWN


def test_the_status_tells_what_an_upgrade_would_do(make_place: Callable[..., StoreSettings], clock: Clock) -> None:
    settings = make_place(empty=True)
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


@pytest.mark.sqlite_only("on PostgreSQL replicas go on while it expands")
def test_no_upgrade_under_the_feet_of_a_running_daemon(settings: StoreSettings) -> None:
    Path(settings.path).mkdir()
    with DataLock(Path(settings.path)), pytest.raises(Conflict, match="stop it first"):
        migrate.upgrade(settings)


@pytest.mark.parametrize(("step", "made"), [("migrate.before_commit", False), ("migrate.after_commit", True)])
def test_a_crash_during_an_upgrade_leaves_the_old_schema_or_the_new(
    make_place: Callable[..., StoreSettings], run_python: Callable[..., subprocess.CompletedProcess[str]], step: str, made: bool
) -> None:
    settings = make_place(empty=True)
    Path(settings.path).mkdir()
    assert run_python(UPGRADE, msgspec.json.encode(settings).decode(), crash_at=step).returncode == -9
    assert bool(schema_of(settings)) is made
    assert run_python(UPGRADE, msgspec.json.encode(settings).decode()).returncode == 0
    assert migrate.status(settings).pending == ()


ADDING = {"create_table", "create_index", "add_column"}


def takes_from_old_code(source: str) -> list[str]:
    """What an `_expand` migration does that code of the version before could not live with (fault F41)."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "op"):
            continue
        if node.func.attr not in ADDING:
            found.append(node.func.attr)
        elif node.func.attr == "add_column":
            given = {each.arg: ast.unparse(each.value) for each in node.args[1].keywords}  # type: ignore[attr-defined]  # a call of sa.Column
            if given.get("nullable", "True") != "True" and "server_default" not in given:
                found.append(f"{ast.unparse(node.args[1])} without a default")
    return found


def test_a_migration_that_expands_leaves_all_that_the_version_before_uses() -> None:
    for file in sorted((migrate.MIGRATIONS / "versions").glob("*_expand*.py")):
        assert takes_from_old_code(file.read_text()) == [], file.name


@pytest.mark.parametrize(
    ("statement", "taken"),
    [
        ("op.drop_column('inbox', 'peer')", 1),
        ("op.alter_column('inbox', 'peer', new_column_name='p')", 1),
        ("op.add_column('inbox', sa.Column('x', sa.Text(), nullable=False))", 1),
        ("op.add_column('inbox', sa.Column('x', sa.Text(), nullable=False, server_default=''))", 0),
        ("op.add_column('inbox', sa.Column('x', sa.Text(), nullable=True))", 0),
        ("op.create_index('i', 'inbox', ['desk_id'])", 0),
    ],
)
def test_what_old_code_could_not_live_with_is_seen(statement: str, taken: int) -> None:
    assert len(takes_from_old_code(statement)) == taken
