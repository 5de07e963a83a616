"""Threads that write, each on a connection of its own: what they do when somebody was faster or the database went away (ADR-0008)."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import psycopg
import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from itsm.errors import Transient
from store.identifiers import Issuer
from store.job import Done, Job, settle
from store.postgres.errors import is_lost, told
from store.postgres.session import BORN, Driver, Session, Witness, begin
from store.raced import Raced
from store.step import step
from store.transaction import NumberBlock, Tx
from store.writer import COMMIT_SECONDS, COMMITS_FAILED, GROUP_SIZE, MAX_TOGETHER, QUEUE_DEPTH

MAX_AGAIN = 5  # times that work is run anew because somebody was faster
MAX_CONNECTIONS_LOST = 3  # in one write, before its caller is told to come back
LOOK_SECONDS = 0.25  # between two tries while the database is away
STALL_SECONDS = 1.0  # no thread got on for so long, and others wait: the database does not answer

AWAY = Gauge("triaged_store_away", "1 while the database cannot be written.")
RACED = Counter("triaged_store_raced_total", "Writes that were run anew because somebody else was faster.")
# result: committed, rolled_back, unknown
AMBIGUOUS = Counter("triaged_store_ambiguous_commits_total", "Commits whose answer was lost, by what was found out.", ["result"])

log = structlog.get_logger("store")

Committed = tuple[Any, list[Callable[[], None]]]  # the result, and whom to call now that it is committed


class PooledWriter:
    """A bounded queue and the threads that empty it. Neighbouring jobs of one `many` share a commit; any other has its own."""

    def __init__(
        self,
        engine: Engine,
        *,
        numbers: NumberBlock,
        lease_clock: Callable[[], datetime] | None,
        threads: int,
        clock: Callable[[], datetime],
        new_id: Issuer,
        random_bytes: Callable[[int], bytes],
        queue_limit: int,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        """Start the threads. `on_fatal` is called when a callback fails after a commit, which is a bug: the process must end."""
        self._engine, self._numbers, self._lease_clock = engine, numbers, lease_clock
        self._clock, self._new_id, self._random = clock, new_id, random_bytes
        self._limit, self._on_fatal = queue_limit, on_fatal
        self._queue: deque[Job[Any]] = deque()
        self._ready = threading.Condition()
        self._closing = False
        self._stopped: str | None = None
        self._away: str | None = None
        self._busy, self._moved_at = 0, time.monotonic()
        self._witness, self._lost_at = Witness(engine), 0.0
        self._threads = [threading.Thread(target=self._run, name=f"store-writer-{each}", daemon=True) for each in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def away(self) -> str | None:
        """Why nothing can be written now."""
        return self._away

    def submit(self, job: Job[Any]) -> None:
        """Queue a job; raises Transient when the queue is full, the store is closing, or the database does not answer."""
        with self._ready:
            if self._closing or self._stopped:
                raise Transient(self._stopped or "the store is closing")
            if self._away:
                raise Transient(self._away)
            if len(self._queue) >= self._limit:
                raise Transient("too many writes wait for the store")
            if self._queue and self._busy == len(self._threads) and time.monotonic() - self._moved_at > STALL_SECONDS:
                raise Transient("the database does not answer")
            self._queue.append(job)
            self._ready.notify()

    def close(self) -> None:
        """Finish what waits, then stop."""
        with self._ready:
            self._closing = True
            self._ready.notify_all()
        for thread in self._threads:
            thread.join()
        self._witness.renew()

    def _run(self) -> None:
        while jobs := self._take():
            try:
                self._write(jobs)
            except Exception as error:  # a bug after the commit: loud, and nothing more is taken
                self._stop(error)
            finally:
                with self._ready:
                    self._busy -= 1
                    self._moved_at = time.monotonic()

    def _take(self) -> list[Job[Any]]:
        """The next job and its neighbours of the same kind; blocks while there is none. Empty when the store is closing."""
        with self._ready:
            while not self._queue and not self._closing:
                self._ready.wait()
            if not self._queue:
                return []
            if not self._busy:
                self._moved_at = time.monotonic()
            self._busy += 1
            jobs = [self._queue.popleft()]
            many = jobs[0].many
            while many is not None and self._queue and self._queue[0].many is many and len(jobs) < MAX_TOGETHER:
                jobs.append(self._queue.popleft())
            QUEUE_DEPTH.set(len(self._queue))
            return jobs

    def _stop(self, error: Exception) -> None:
        with self._ready:
            self._stopped = f"the store stopped: {error}"
            left = [*self._queue]
            self._queue.clear()
        log.critical("the writer stopped", error=repr(error))
        settle(Done(job, error=Transient(self._stopped)) for job in left if job.begin())
        self._on_fatal(error)

    def _write(self, jobs: list[Job[Any]]) -> None:
        wanted = [Done(job) for job in jobs if job.begin()]
        callbacks: list[Callable[[], None]] = []
        if len(wanted) == 1 or (wanted and not self._together(wanted, callbacks)):
            for each in wanted:
                self._alone(each, callbacks)
        try:
            for callback in callbacks:  # before anybody is told: who goes on finds done what the commit brings with it
                callback()
        finally:
            settle(wanted)

    def _together(self, wanted: list[Done], callbacks: list[Callable[[], None]]) -> bool:
        """Do neighbours in one call; False when that failed by one of them, which is then found alone."""
        many = wanted[0].job.many
        assert many is not None, "only jobs of a `many` are done together"
        items = [each.job.item for each in wanted]
        names = sorted({each.job.step for each in wanted if each.job.step})
        try:
            results, after = self._transaction(lambda tx: many(tx, items), names, again=False)
        except Transient as error:
            for each in wanted:
                each.error = error
            return True
        except Exception:  # the boundary of one call: whose fault it was is found out one by one
            return False
        GROUP_SIZE.observe(len(wanted))
        callbacks += after
        for each, result in zip(wanted, results, strict=True):
            each.result = result
        return True

    def _alone(self, each: Done, callbacks: list[Callable[[], None]]) -> None:
        try:
            each.result, after = self._transaction(each.job.run, [each.job.step] if each.job.step else [], again=each.job.again)
            callbacks += after
            GROUP_SIZE.observe(1)
        except Exception as error:  # the boundary of one job: its caller gets the error
            each.error = error

    def _transaction(self, work: Callable[[Tx], Any], steps: list[str], *, again: bool) -> Committed:
        """Run work and commit; anew when somebody was faster or the connection went before the COMMIT, for then nothing was done."""
        raced = lost = 0
        while True:
            try:
                return self._once(work, steps)
            except Exception as error:
                found = told(error)
                if isinstance(found, Raced) and again and raced < MAX_AGAIN:
                    raced += 1
                    RACED.inc()
                    continue
                if isinstance(found, Transient) and is_lost(error) and lost < MAX_CONNECTIONS_LOST:
                    lost += 1
                    if self._reachable(found):
                        continue
                if isinstance(found, Transient):
                    COMMITS_FAILED.inc()
                if found is error:
                    raise
                raise found from error

    def _once(self, work: Callable[[Tx], Any], steps: list[str]) -> Committed:
        witness = self._witness.present()
        connection = self._connect()
        try:
            session = begin(connection)
            tx = Tx(
                connection,
                self._clock(),
                self._new_id,
                self._random,
                lease_now=session.now if self._lease_clock is None else self._lease_clock(),
                numbers=self._numbers,
            )
            try:
                result = work(tx)
                for name in steps:
                    step(f"{name}.before_commit")
            except BaseException:
                session.roll_back()
                raise
            self._commit(session, witness)
        finally:
            with suppress(DBAPIError):  # what is committed stays committed, however its connection ends
                connection.close()
        for name in steps:
            step(f"{name}.after_commit")
        return result, tx.after_commit

    def _connect(self) -> Connection:
        """A connection that was made after the last one that was lost."""
        while True:
            connection = self._engine.connect()
            if connection.info.get(BORN, 0.0) >= self._lost_at:
                return connection
            connection.invalidate()
            connection.close()

    def _commit(self, session: Session, witness: Driver) -> None:
        """Commit; when the answer is lost, ask what became of the transaction, and never run it again unless it was rolled back."""
        began = time.monotonic()
        try:
            session.commit()
        except psycopg.Error as error:
            if not is_lost(error):
                raise
            committed = session.resolved(self._engine)
            if committed and not self._witness.lives(witness):
                committed = None  # the server may have crashed and given the number to another
            AMBIGUOUS.labels({True: "committed", False: "rolled_back", None: "unknown"}[committed]).inc()
            log.warning("the answer to a commit was lost", transaction=session.transaction, committed=committed)
            if committed is None:
                raise Transient("the connection broke while this was being stored, and nobody knows whether it was") from error
            if not committed:
                raise
        COMMIT_SECONDS.observe(time.monotonic() - began)

    def _reachable(self, why: BaseException) -> bool:
        """Whether a new connection can be had; if not, everybody is told at once and this thread looks until it can."""
        self._witness.renew()
        self._lost_at = time.monotonic()  # the others of the pool have gone the same way, or will not be missed
        if self._look():
            return True
        with self._ready:
            first = self._away is None
            self._away = str(why)
            waiting = [*self._queue]
            self._queue.clear()
        AWAY.set(1)
        settle(Done(job, error=Transient(str(why))) for job in waiting if job.begin())
        if first:
            log.error("the database is away", error=str(why))
            threading.Thread(target=self._wait_for_it, name="store-away", daemon=True).start()
        return False

    def _look(self) -> bool:
        try:
            with self._connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except DBAPIError:
            return False
        return True

    def _wait_for_it(self) -> None:
        while not self._look():
            with self._ready:
                self._ready.wait_for(lambda: self._closing, LOOK_SECONDS)
                if self._closing:
                    return
        with self._ready:
            self._away = None
        AWAY.set(0)
        log.info("the database is back")
