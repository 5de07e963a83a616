"""Opens SQLite as a durable store and refuses to go on when it is not (ADR-0003)."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tenacity
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from itsm.errors import Permanent
from store.sqlite_errors import is_locked

REQUIRED = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}  # synchronous 2 is FULL: NORMAL loses acknowledged rows
PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "temp_store = MEMORY",
    "wal_autocheckpoint = 2000",
    "journal_size_limit = 67108864",  # a WAL that grew behind a long read is cut back to 64 MiB
)
WRITER_CACHE = "cache_size = -32768"  # KiB: what a group of large mails changes stays in memory until its commit
READERS = 4  # connections kept open for reading
MORE_READERS = 4  # and those opened under load
POOL_WAIT_SECONDS = 5
RETRY_WAIT = tenacity.wait_random(0.005, 0.05)  # seconds


def open_engine(file: Path, *, busy_timeout_seconds: int, read_only: bool = False) -> Engine:
    """An engine on the file with every pragma set on every connection and checked once; raises Permanent.

    A writing engine has room for one connection more than the writer's: the lease of the process.
    """
    engine = create_engine(
        f"sqlite:///{file}",
        poolclass=QueuePool,
        pool_size=READERS if read_only else 1,
        max_overflow=MORE_READERS if read_only else 1,
        pool_timeout=POOL_WAIT_SECONDS,
        connect_args={"isolation_level": None, "timeout": busy_timeout_seconds, "check_same_thread": False},
        isolation_level="AUTOCOMMIT",
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        for pragma in PRAGMAS:
            _patiently(busy_timeout_seconds, connection.execute, f"PRAGMA {pragma}")
        connection.execute(f"PRAGMA {'query_only = ON' if read_only else WRITER_CACHE}")

    try:
        _assert_durable(engine, file)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _patiently(seconds: int, execute: Callable[[str], object], statement: str) -> None:
    """Run a statement, again while the file is locked.

    Two who open a new file at once meet at its change to WAL, where SQLite waits for nobody, whatever its timeout.
    """
    tenacity.Retrying(retry=tenacity.retry_if_exception(is_locked), stop=tenacity.stop_after_delay(seconds), wait=RETRY_WAIT, reraise=True)(
        execute, statement
    )


def _assert_durable(engine: Engine, file: Path) -> None:
    with engine.connect() as connection:
        for name, wanted in REQUIRED.items():
            found = connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            if found != wanted:
                raise Permanent(f"SQLite at {file} has {name} = {found}, triaged needs {wanted}; is the file on a network share?")
