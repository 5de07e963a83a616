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

from itsm.errors import Permanent, Transient, TriagedError
from store import process, version
from store.backend import Backend
from store.driver import run
from store.durable import make_directory
from store.engines import open_backend
from store.identifiers import Issuer
from store.job import Job
from store.seams import SYSTEM, Seams
from store.settings import StoreSettings
from store.sqlite_backend import DATABASE_FILE
from store.transaction import Tx

Result = TypeVar("Result")


def _tell_nobody(_error: BaseException) -> None:
    """A command finds out by its own writes, which are refused from then on."""


class Store:
    """An open store. Writes wait in a queue of the engine's; reads run in the thread that asks, on a pool of connections."""

    def __init__(
        self,
        settings: StoreSettings,
        *,
        clock: Callable[[], datetime],
        description: str = "command",
        exclusive: bool = False,
        on_fatal: Callable[[BaseException], None] | None = None,
        seams: Seams = SYSTEM,
        lease_clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Open the data directory and its database; an empty one is made. Raises Permanent, Transient or Conflict with what to do.

        `exclusive` takes the lock of the data directory, as the daemon does on SQLite. `on_fatal` is called, in the writer's
        thread, when no retry can mend the store: the process must end; until it does every write is refused. `seams` are the
        machine's own but in a simulation.
        `lease_clock` is what leases go by instead of PostgreSQL's own clock, for tests.
        """
        self.settings, self.clock, self._random_bytes = settings, clock, seams.random_bytes
        self.directory = Path(settings.path)
        self.file = self.directory / DATABASE_FILE
        with ExitStack() as undo:
            backend = self._open(undo, exclusive=exclusive, lease_clock=lease_clock)
            self._backend, self.engine = backend, backend.engine
            try:
                version.ensure(self.engine)
                self._readers = backend.readers()
                with self.engine.connect() as connection:
                    now = backend.lease_now(connection, clock())
                    lease = process.lease(connection, now, description, int.from_bytes(seams.random_bytes(8)) >> 2)
                undo.callback(self._give_back, lease)
            except (DBAPIError, OSError) as error:
                raise self._cannot_open(backend.place, backend.told(error)) from error
            self.lease, self.process_id = lease, lease.process_id
            self.new_id = Issuer(lease.node, clock, lease.last_id)
            self._writer = backend.open_writer(
                clock=clock, new_id=self.new_id, queue_limit=settings.queue_limit, on_fatal=on_fatal or _tell_nobody, seams=seams
            )
            undo.callback(self._writer.close)
            self._undo = undo.pop_all()

    def _open(self, undo: ExitStack, *, exclusive: bool, lease_clock: Callable[[], datetime] | None) -> Backend:
        """The engine that is configured."""
        try:
            make_directory(self.directory, mode=0o700)
            backend = open_backend(self.settings, exclusive=exclusive, lease_clock=lease_clock)
        except (DBAPIError, sqlite3.Error, OSError) as error:
            raise self._cannot_open(str(self.file), error) from error
        undo.callback(backend.close)
        return backend

    def _cannot_open(self, place: str, error: BaseException) -> TriagedError:
        message = f"cannot open the database {place}: {error}"
        return Transient(message) if isinstance(error, Transient) and self.settings.postgres is not None else Permanent(message)

    @property
    def place(self) -> str:
        """What a person calls the database; never with a password."""
        return self._backend.place

    @property
    def away(self) -> str | None:
        """Why the database cannot be written now; None when it can. It is tried again without anybody's doing."""
        return self._writer.away

    @property
    def shared(self) -> bool:
        """Whether other processes may work on the same store: then what they hold is theirs."""
        return self.settings.postgres is not None

    def write(self, work: Callable[[Tx], Result], *, step: str = "", again: bool = True) -> "Future[Result]":
        """Queue a write; the future has its result after the commit, or its error. `step` names its crash points.

        `again` lets the engine run the work anew when somebody else was faster; else the caller gets Raced and decides itself.
        """
        future: Future[Result] = Future()
        self._writer.submit(Job(future, work=work, step=step, again=again))
        return future

    def write_many(self, many: Callable[[Tx, Sequence[Any]], Sequence[Result]], item: Any, *, step: str = "") -> "Future[Result]":
        """Queue one item for a function that does many at once; neighbours in the queue are done together."""
        future: Future[Result] = Future()
        self._writer.submit(Job(future, many=many, item=item, step=step))
        return future

    async def awrite(self, work: Callable[[Tx], Result], *, step: str = "", again: bool = True) -> Result:
        """Write and wait for the commit; what is cancelled before the writer began is not written."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._writer.submit(Job(future, work=work, step=step, again=again))
        return await future

    async def awrite_many(self, many: Callable[[Tx, Sequence[Any]], Sequence[Result]], item: Any, *, step: str = "") -> Result:
        """The same for one item of many."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._writer.submit(Job(future, many=many, item=item, step=step))
        return await future

    def read(self, work: Callable[[Tx], Result]) -> Result:
        """Read in a transaction of its own, in this thread: one consistent view. Raises Transient when it cannot."""
        if self._writer.away:
            raise Transient(self._writer.away)
        try:
            with self._readers.connect() as connection:
                self._backend.begin_read(connection)
                try:
                    return work(Tx(connection, self.clock(), self.new_id, self._random_bytes))
                finally:
                    if not connection.invalidated:  # else its session is gone, and the read with it
                        run(connection, "ROLLBACK", ())
        except PoolTimeout as error:
            raise Transient("too many reads wait for the store") from error
        except DBAPIError as error:
            raise self._backend.told(error) from error

    async def aread(self, work: Callable[[Tx], Result]) -> Result:
        """Read in a worker thread."""
        return await asyncio.to_thread(self.read, work)

    def free_bytes(self) -> int:
        """Space left for us on the disk of the data directory."""
        return shutil.disk_usage(self.directory).free

    def wal_bytes(self) -> int:
        """Size of SQLite's write-ahead log, which grows while somebody reads for long; 0 on PostgreSQL, which keeps its own."""
        wal = self.file.with_name(f"{self.file.name}-wal")
        return wal.stat().st_size if wal.exists() else 0

    def close(self) -> None:
        """Finish what waits, give the node back, close every connection, release the lock."""
        self._undo.close()

    def _give_back(self, lease: process.Lease) -> None:
        with suppress(DBAPIError), self.engine.connect() as connection:  # a lease that cannot be given back ends by itself
            process.release(connection, lease)
