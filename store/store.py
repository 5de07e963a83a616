"""The store as the rest of the program sees it: write, read, close."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from itsm.errors import Permanent, Transient
from store import process, version
from store.engine import open_engine
from store.identifiers import Issuer
from store.job import Job
from store.lock import DataLock
from store.seams import SYSTEM, Seams
from store.settings import StoreSettings
from store.sqlite_errors import told
from store.transaction import Tx
from store.writer import Writer

Result = TypeVar("Result")
DATABASE_FILE = "triaged.sqlite"


def _tell_nobody(_error: BaseException) -> None:
    """A command finds out by its own writes, which are refused from then on."""


class Store:
    """An open store. Writes go through one thread; reads run in the thread that asks, on a pool of connections."""

    def __init__(
        self,
        settings: StoreSettings,
        *,
        clock: Callable[[], datetime],
        description: str = "command",
        exclusive: bool = False,
        on_fatal: Callable[[BaseException], None] | None = None,
        seams: Seams = SYSTEM,
    ) -> None:
        """Open the data directory and its database; an empty one is made. Raises Permanent or Conflict with what to do.

        `exclusive` takes the lock of the data directory, as the daemon does. `on_fatal` is called, in the writer's
        thread, when no retry can mend the store: the process must end; until it does every write is refused. `seams` are the
        machine's own but in a simulation.
        """
        self.settings, self.clock, self._random_bytes = settings, clock, seams.random_bytes
        self.directory = Path(settings.path)
        self.file = self.directory / DATABASE_FILE
        with ExitStack() as undo:
            try:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                if exclusive:
                    lock = DataLock(self.directory)
                    lock.acquire()
                    undo.callback(lock.release)
                self.file.touch(mode=0o600)  # before SQLite makes it: its WAL takes the mode of the file
                self.engine = open_engine(self.file, busy_timeout_seconds=settings.busy_timeout_seconds)
                undo.callback(self.engine.dispose)
                version.ensure(self.engine)
                self._readers = open_engine(self.file, busy_timeout_seconds=settings.busy_timeout_seconds, read_only=True)
                undo.callback(self._readers.dispose)
                with self.engine.connect() as connection:
                    lease = process.lease(connection, clock(), description, int.from_bytes(seams.random_bytes(8)) >> 2)
                undo.callback(self._give_back, lease)
            except (DBAPIError, sqlite3.Error, OSError) as error:
                raise Permanent(f"cannot open the database {self.file}: {error}") from error
            self.lease, self.process_id = lease, lease.process_id
            self.new_id = Issuer(lease.node, clock, lease.last_id)
            self._writer = Writer(
                self.engine,
                clock=clock,
                new_id=self.new_id,
                seams=seams,
                queue_limit=settings.queue_limit,
                on_fatal=on_fatal or _tell_nobody,
            )
            undo.callback(self._writer.close)
            self._undo = undo.pop_all()

    def write(self, work: Callable[[Tx], Result], *, step: str = "") -> "Future[Result]":
        """Queue a write; the future has its result after the commit, or its error. `step` names its crash points."""
        future: Future[Result] = Future()
        self._writer.submit(Job(future, work=work, step=step))
        return future

    def write_many(self, many: Callable[[Tx, Sequence[Any]], Sequence[Result]], item: Any, *, step: str = "") -> "Future[Result]":
        """Queue one item for a function that does many at once; neighbours in the queue are done together."""
        future: Future[Result] = Future()
        self._writer.submit(Job(future, many=many, item=item, step=step))
        return future

    async def awrite(self, work: Callable[[Tx], Result], *, step: str = "") -> Result:
        """Write and wait for the commit; what is cancelled before the writer began is not written."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._writer.submit(Job(future, work=work, step=step))
        return await future

    async def awrite_many(self, many: Callable[[Tx, Sequence[Any]], Sequence[Result]], item: Any, *, step: str = "") -> Result:
        """The same for one item of many."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._writer.submit(Job(future, many=many, item=item, step=step))
        return await future

    def read(self, work: Callable[[Tx], Result]) -> Result:
        """Read in a transaction of its own, in this thread: one consistent view. Raises Transient when it cannot."""
        try:
            with self._readers.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                try:
                    return work(Tx(connection, self.clock(), self.new_id, self._random_bytes))
                finally:
                    connection.exec_driver_sql("ROLLBACK")
        except PoolTimeout as error:
            raise Transient("too many reads wait for the store") from error
        except DBAPIError as error:
            raise told(error) from error

    async def aread(self, work: Callable[[Tx], Result]) -> Result:
        """Read in a worker thread."""
        return await asyncio.to_thread(self.read, work)

    def free_bytes(self) -> int:
        """Space left for us on the disk of the data directory."""
        return shutil.disk_usage(self.directory).free

    def close(self) -> None:
        """Finish what waits, give the node back, close every connection, release the lock."""
        self._undo.close()

    def _give_back(self, lease: process.Lease) -> None:
        with suppress(DBAPIError), self.engine.connect() as connection:  # a lease that cannot be given back ends by itself
            process.release(connection, lease)
