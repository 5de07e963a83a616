"""The one thread that writes: neighbours share a commit, each in its own savepoint, and nobody waits for a group (ADR-0003)."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import Connection, Engine

from itsm.errors import Transient
from store.identifiers import Issuer
from store.job import Done, Job, settle
from store.seams import SYSTEM, Seams
from store.sqlite_errors import is_fatal, told
from store.step import step
from store.transaction import Tx

MAX_GROUP = 500  # jobs taken from the queue at once
MAX_TOGETHER = 64  # jobs in one call of a `many`, so that the time of a group is looked at in between
MAX_GROUP_SECONDS = 0.02

QUEUE_DEPTH = Gauge("triaged_store_queue_depth", "Writes that wait for the writer.")
COMMIT_SECONDS = Histogram(
    "triaged_store_commit_seconds", "Time of a commit.", buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
)
GROUP_SIZE = Histogram("triaged_store_group_size", "Writes that shared a commit.", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500))
COMMITS_FAILED = Counter("triaged_store_commits_failed_total", "Commits that failed; each member was told 451 or 503.")

log = structlog.get_logger("store")


class Writer:
    """Owns the writing connection. `on_fatal` is called once when no retry can mend it; from then on every write is refused."""

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], datetime],
        new_id: Issuer,
        queue_limit: int,
        on_fatal: Callable[[BaseException], None],
        seams: Seams = SYSTEM,
    ) -> None:
        """Start the thread; where the seams drive the writer there is none."""
        self._engine, self._clock, self._new_id, self._seams = engine, clock, new_id, seams
        self._limit, self._on_fatal = queue_limit, on_fatal
        self._queue: deque[Job[Any]] = deque()
        self._taken: deque[Job[Any]] = deque()  # the writer's own
        self._ready = threading.Condition()
        self._refuses: str | None = None
        self._thread: threading.Thread | None = None
        self._driven: Connection | None = None  # kept from the first turn on
        self._expected = False  # a turn was asked for and has not begun
        if seams.drive is None:
            self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
            self._thread.start()

    @property
    def away(self) -> str | None:
        """A file is never away: what is wrong with it is said to each write."""
        return None

    def submit(self, job: Job[Any]) -> None:
        """Queue a job; raises Transient when the queue is full, the store is closing, or its disk failed."""
        with self._ready:
            if self._refuses:
                raise Transient(self._refuses)
            if len(self._queue) >= self._limit:
                raise Transient("too many writes wait for the store")
            if not self._queue:  # else it is awake, or was told
                self._ready.notify()
            self._queue.append(job)
        if self._seams.drive is not None and not self._expected:
            self._expected = True
            self._seams.drive(self._turn)

    def close(self) -> None:
        """Finish what waits, then stop."""
        with self._ready:
            self._refuses = self._refuses or "the store is closing"
            self._ready.notify()
        if self._thread is not None:
            self._thread.join()
        else:
            self._turn()
            if self._driven is not None:
                self._driven.close()

    def _turn(self) -> None:
        """What the thread does, once: write what waits."""
        self._expected = False
        try:
            self._driven = self._driven or self._engine.connect()
            while self._queue and self._take():
                self._write(self._driven)
        except Exception as error:  # as in the thread
            self._end(error)

    def _run(self) -> None:
        try:
            with self._engine.connect() as connection:
                while self._take():
                    self._write(connection)
        except Exception as error:  # a bug, or the end of the disk: everybody is told, then the process ends loudly
            self._end(error)

    def _take(self) -> bool:
        """Take what waits, at most 500; blocks while nothing does. False when the store is closing."""
        with self._ready:
            while not self._queue and not self._refuses:
                self._ready.wait()
            self._taken.extend(self._queue.popleft() for _ in range(min(len(self._queue), MAX_GROUP)))
            QUEUE_DEPTH.set(len(self._queue))
            return bool(self._taken)

    def _write(self, connection: Connection) -> None:
        while self._taken:
            tx = Tx(connection, self._clock(), self._new_id, self._seams.random_bytes)
            group: list[Done] = []
            try:
                _sql(connection, "BEGIN IMMEDIATE")
                self._do(tx, group)
                self._commit(tx, group)
            except Exception as error:  # SQLite gave up the whole transaction: nothing of the group is stored
                self._fail(connection, group, error)
                continue
            try:
                for callback in tx.after_commit:  # before anybody is told: who goes on finds done what the commit brings with it
                    callback()
            finally:
                settle(group)

    def _do(self, tx: Tx, group: list[Done]) -> None:
        """Work through what was taken until the time of a group is used; each job succeeds or is rolled back alone."""
        monotonic = self._seams.monotonic
        began = monotonic()
        while self._taken and monotonic() - began < MAX_GROUP_SECONDS:
            self._next(tx, group)
        if not self._taken and self._take_along():
            self._next(tx, group)

    def _next(self, tx: Tx, group: list[Done]) -> None:
        """Do the next job, with those after it that are done in the same call."""
        neighbours = [self._taken.popleft()]
        many = neighbours[0].many
        while many is not None and self._taken and self._taken[0].many is many and len(neighbours) < MAX_TOGETHER:
            neighbours.append(self._taken.popleft())
        wanted = [Done(job) for job in neighbours if job.begin()]
        group += wanted
        if len(wanted) > 1 and self._together(tx, wanted):
            return
        for each in wanted:
            self._alone(tx, each)

    def _take_along(self) -> bool:
        """Take the doors' items that came meanwhile, for one call: they need not wait for a commit of their own."""
        with self._ready:
            while self._queue and self._queue[0].many is not None and len(self._taken) < MAX_TOGETHER:
                self._taken.append(self._queue.popleft())
        return bool(self._taken)

    def _together(self, tx: Tx, wanted: list[Done]) -> bool:
        """Do neighbours in one call; False when that failed: the one at fault is then found alone, the others do not fail with it."""
        many, callbacks = wanted[0].job.many, len(tx.after_commit)
        assert many is not None, "only jobs of a `many` are done together"
        _sql(tx.connection, "SAVEPOINT job")
        try:
            results = many(tx, [each.job.item for each in wanted])
            _sql(tx.connection, "RELEASE job")
        except Exception as error:  # the boundary of one call: whose fault it was is found out one by one
            _roll_back_job(tx, callbacks, error)
            return False
        for each, result in zip(wanted, results, strict=True):
            each.result = result
        return True

    def _alone(self, tx: Tx, each: Done) -> None:
        callbacks = len(tx.after_commit)
        _sql(tx.connection, "SAVEPOINT job")
        try:
            each.result = each.job.run(tx)
            _sql(tx.connection, "RELEASE job")
        except Exception as error:  # the boundary of one job: its caller gets the error, its neighbours go on
            _roll_back_job(tx, callbacks, error)
            each.error = told(error)

    def _commit(self, tx: Tx, group: list[Done]) -> None:
        """Commit. Errors of members are told after it too, for they may rest on a neighbour's row."""
        names = sorted({each.job.step for each in group if each.job.step and each.error is None})
        for name in names:
            step(f"{name}.before_commit")
        began = time.monotonic()
        _sql(tx.connection, "COMMIT")
        COMMIT_SECONDS.observe(time.monotonic() - began)
        GROUP_SIZE.observe(len(group))
        for name in names:
            step(f"{name}.after_commit")

    def _fail(self, connection: Connection, group: list[Done], error: Exception) -> None:
        """Tell every member, or everything taken when not even the transaction could begin; raises what no retry can mend."""
        COMMITS_FAILED.inc()
        if not group:
            group = [Done(job) for job in self._taken if job.begin()]
            self._taken.clear()
        found = told(error)
        for each in group:
            each.error = found if isinstance(found, Transient) else Transient(f"the commit failed: {error}")
        settle(group)
        log.error("commit failed", members=len(group), error=str(error))
        if is_fatal(error):
            raise error
        if _driver(connection).in_transaction:
            _sql(connection, "ROLLBACK")

    def _end(self, error: Exception) -> None:
        with self._ready:
            self._refuses = f"the store stopped: {error}"
            left = [*self._taken, *self._queue]
            self._taken.clear()
            self._queue.clear()
        log.critical("the writer stopped", error=repr(error))
        settle(Done(job, error=Transient(self._refuses)) for job in left if job.begin())
        self._on_fatal(error)


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection), "the writer speaks to SQLite"
    return driver


def _sql(connection: Connection, statement: str) -> None:
    _driver(connection).execute(statement)


def _roll_back_job(tx: Tx, callbacks: int, error: Exception) -> None:
    """Undo one job. SQLite may have rolled back the whole transaction already (disk full): then every member has failed."""
    del tx.after_commit[callbacks:]
    if not _driver(tx.connection).in_transaction:
        raise told(error)
    _sql(tx.connection, "ROLLBACK TO job")
    _sql(tx.connection, "RELEASE job")
