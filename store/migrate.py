"""Brings a database to the schema of this triaged: Alembic from code, no ini file (design 5). Loaded only when asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from store import backfill, statistics, version
from store.durable import make_directory
from store.engines import open_backend
from store.exclusive import exclusive, is_postgresql
from store.lock import DataLock
from store.settings import StoreSettings
from store.sqlite_backend import DATABASE_FILE
from store.step import step

MIGRATIONS = Path(__file__).with_name("migrations")


class SchemaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The schema a database has (None: there is no database), the one this triaged needs, and what lies between."""

    current: str | None
    head: str
    pending: tuple[str, ...]
    durable: bool = True  # False where PostgreSQL runs with fsync = off


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def versions() -> tuple[str, ...]:
    """Every version there is a migration to, oldest first."""
    script = ScriptDirectory.from_config(_config())
    return tuple(reversed([each.revision for each in script.walk_revisions()]))


@contextmanager
def _opened(settings: StoreSettings) -> Iterator[Engine]:
    """The database as it is, whatever its schema; no lock is taken."""
    backend = open_backend(settings)
    try:
        yield backend.engine
    finally:
        backend.close()


def _status(engine: Engine) -> SchemaStatus:
    current = version.current(engine)
    if current is not None:
        version.assert_known(current)
    all_versions = versions()
    pending = all_versions[all_versions.index(current) + 1 :] if current else all_versions
    return SchemaStatus(current=current, head=version.HEAD, pending=pending)


def status(settings: StoreSettings) -> SchemaStatus:
    """What `triaged db status` says; raises Permanent for a schema of a newer triaged."""
    if settings.postgres is None and not (Path(settings.path) / DATABASE_FILE).exists():
        return SchemaStatus(current=None, head=version.HEAD, pending=versions())
    with _opened(settings) as engine:
        return msgspec.structs.replace(_status(engine), durable=_is_durable(engine))


def _is_durable(engine: Engine) -> bool:
    with engine.connect() as connection:
        return not is_postgresql(connection) or connection.exec_driver_sql("SHOW fsync").scalar() == "on"


def upgrade(settings: StoreSettings) -> SchemaStatus:
    """Run the pending migrations; returns what was done.

    On SQLite under the data lock: raises Conflict while triaged runs. On PostgreSQL replicas of the version before go on
    working, for a migration only expands; an advisory lock keeps two upgrades apart.
    """
    if settings.postgres is not None:
        with _opened(settings) as engine:
            return upgrade_engine(engine)
    directory = Path(settings.path)
    make_directory(directory, mode=0o700)
    with DataLock(directory), _opened(settings) as engine:
        return upgrade_engine(engine)


def upgrade_engine(engine: Engine) -> SchemaStatus:
    """The same on an open engine, in one commit: a crash leaves the old schema or the new, never half (fault F07)."""
    before = _status(engine)
    if not before.pending:
        return before
    config = _config()
    with engine.connect() as connection, exclusive(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        backfill.fill(connection, before.pending)
        statistics.state(connection)
        step("migrate.before_commit")
    step("migrate.after_commit")
    return before
