"""SQLite in a data directory: the embedded default (ADR-0003)."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine

from store import sqlite_errors
from store.durable import make_directory
from store.engine import open_engine
from store.identifiers import Issuer
from store.lock import DataLock
from store.seams import Seams
from store.settings import StoreSettings
from store.writer import Writer

DATABASE_FILE = "triaged.sqlite"


class SqliteBackend:
    """An open file. `exclusive` holds the lock of its directory."""

    def __init__(self, settings: StoreSettings, *, exclusive: bool) -> None:
        """Open or make the file; raises Conflict when another process holds the lock, Permanent when it is not durable."""
        directory = Path(settings.path)
        self._file, self._settings = directory / DATABASE_FILE, settings
        self.place = str(self._file)
        with ExitStack() as undo:
            make_directory(directory, mode=0o700)
            if exclusive:
                lock = DataLock(directory)
                lock.acquire()
                undo.callback(lock.release)
            self._file.touch(mode=0o600)  # before SQLite makes it: its WAL takes the mode of the file
            self.engine = open_engine(self._file, busy_timeout_seconds=settings.busy_timeout_seconds)
            undo.callback(self.engine.dispose)
            self._undo = undo.pop_all()

    def readers(self) -> Engine:
        """Connections that refuse every write."""
        engine = open_engine(self._file, busy_timeout_seconds=self._settings.busy_timeout_seconds, read_only=True)
        self._undo.callback(engine.dispose)
        return engine

    def open_writer(
        self,
        *,
        clock: Callable[[], datetime],
        new_id: Issuer,
        queue_limit: int,
        on_fatal: Callable[[BaseException], None],
        seams: Seams,
    ) -> Writer:
        """One thread on one connection."""
        return Writer(self.engine, clock=clock, new_id=new_id, queue_limit=queue_limit, on_fatal=on_fatal, seams=seams)

    def begin_read(self, connection: Connection) -> None:
        """A read transaction of WAL sees one instant."""
        connection.exec_driver_sql("BEGIN")

    def lease_now(self, connection: Connection, now: datetime) -> datetime:  # noqa: ARG002 -- PostgreSQL asks it
        """One machine, one clock."""
        return now

    def told(self, error: BaseException) -> BaseException:
        """What SQLite says at a read or while it opens, in our words."""
        return sqlite_errors.told_of_read(error)

    def close(self) -> None:
        """Close every connection, release the lock."""
        self._undo.close()
