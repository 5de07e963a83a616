"""Brings a database to the schema of this triaged: Alembic from code, no ini file (design 5). Loaded only when asked for."""

from pathlib import Path

import msgspec
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from store import statistics, version
from store.engine import open_engine
from store.lock import DataLock
from store.settings import StoreSettings
from store.step import step
from store.store import DATABASE_FILE

MIGRATIONS = Path(__file__).with_name("migrations")


class SchemaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The schema a database has (None: there is no database), the one this triaged needs, and what lies between."""

    current: str | None
    head: str
    pending: tuple[str, ...]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def versions() -> tuple[str, ...]:
    """Every version there is a migration to, oldest first."""
    script = ScriptDirectory.from_config(_config())
    return tuple(reversed([each.revision for each in script.walk_revisions()]))


def _engine(settings: StoreSettings) -> Engine:
    return open_engine(Path(settings.path) / DATABASE_FILE, busy_timeout_seconds=settings.busy_timeout_seconds)


def _status(engine: Engine) -> SchemaStatus:
    current = version.current(engine)
    if current is not None:
        version.assert_known(current)
    all_versions = versions()
    pending = all_versions[all_versions.index(current) + 1 :] if current else all_versions
    return SchemaStatus(current=current, head=version.HEAD, pending=pending)


def status(settings: StoreSettings) -> SchemaStatus:
    """What `triaged db status` says; raises Permanent for a schema of a newer triaged."""
    if not (Path(settings.path) / DATABASE_FILE).exists():
        return SchemaStatus(current=None, head=version.HEAD, pending=versions())
    engine = _engine(settings)
    try:
        return _status(engine)
    finally:
        engine.dispose()


def upgrade(settings: StoreSettings) -> SchemaStatus:
    """Run the pending migrations under the data lock; returns what was done. Raises Conflict while triaged runs."""
    directory = Path(settings.path)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with DataLock(directory):
        (directory / DATABASE_FILE).touch(mode=0o600)
        engine = _engine(settings)
        try:
            return upgrade_engine(engine)
        finally:
            engine.dispose()


def upgrade_engine(engine: Engine) -> SchemaStatus:
    """The same on an open engine, in one commit: a crash leaves the old schema or the new, never half (fault F07)."""
    before = _status(engine)
    if not before.pending:
        return before
    config = _config()
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        statistics.state(connection)
        step("migrate.before_commit")
        connection.exec_driver_sql("COMMIT")
    step("migrate.after_commit")
    return before
