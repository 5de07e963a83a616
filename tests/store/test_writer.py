"""The writing thread: group commit, one savepoint a job, and what callers are told when the disk says no."""

import asyncio
import queue
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from itsm.errors import Conflict, Permanent, Transient
from store import writer
from store.desk_schema import counter
from store.schema import entry
from store.settings import StoreSettings
from store.step import observing
from store.store import Store
from store.transaction import Tx


@pytest.fixture
def settings(make_place: Callable[..., StoreSettings]) -> StoreSettings:
    """With one writer on either engine, so that neighbours in the queue are neighbours."""
    return make_place(postgres={"writers": 1})


def put(name: str) -> Callable[[Tx], str]:
    def work(tx: Tx) -> str:
        tx.connection.execute(insert(counter).values(desk_id=tx.desk_id, name=name, next=1))
        return name

    return work


def names(store: Store) -> list[str]:
    return store.read(lambda tx: list(tx.connection.execute(select(counter.c.name).order_by(counter.c.name)).scalars()))


@contextmanager
def held_up(store: Store) -> Iterator[None]:
    """While inside, the writer is busy: what is queued meanwhile shares a commit afterwards."""
    busy, go = threading.Event(), threading.Event()

    def wait(tx: Tx) -> None:
        busy.set()
        go.wait(10)

    first = store.write(wait)
    busy.wait(10)
    yield
    go.set()
    first.result(10)


def test_the_result_of_a_write_is_there_after_its_commit(store: Store) -> None:
    assert store.write(put("one")).result(10) == "one"
    assert names(store) == ["one"]


def test_a_write_that_raises_is_undone_alone_and_its_neighbours_are_stored(store: Store) -> None:
    def fails(tx: Tx) -> None:
        put("half")(tx)
        raise Permanent("no")

    with held_up(store):
        futures = [store.write(put("a")), store.write(fails), store.write(put("b"))]
    assert [futures[0].result(10), futures[2].result(10)] == ["a", "b"]
    with pytest.raises(Permanent, match="no"):
        futures[1].result(10)
    assert names(store) == ["a", "b"]


def test_neighbours_of_the_same_many_are_done_in_one_call(store: Store) -> None:
    calls: list[int] = []

    def many(tx: Tx, items: list[str]) -> list[str]:
        calls.append(len(items))
        return [put(item)(tx) for item in items]

    with held_up(store):
        futures = [store.write_many(many, f"n{number:03}") for number in range(100)]
    assert [future.result(10) for future in futures] == [f"n{number:03}" for number in range(100)]
    assert calls == [writer.MAX_TOGETHER, 100 - writer.MAX_TOGETHER]


def test_items_that_come_while_a_write_is_done_share_its_commit(tmp_path: Path, clock: Callable[..., object]) -> None:
    """On SQLite, whose one writer they wait for."""
    passed: list[str] = []
    store = Store(StoreSettings(path=str(tmp_path / "var")), clock=clock)
    busy, go = threading.Event(), threading.Event()

    def long(tx: Tx) -> str:
        busy.set()
        assert go.wait(30)
        return put("long")(tx)

    def many(tx: Tx, items: list[str]) -> list[str]:
        return [put(item)(tx) for item in items]

    with observing(passed.append):
        first = store.write(long, step="triage")
        assert busy.wait(30)
        futures = [store.write_many(many, name, step="accept") for name in ("a", "b")]
        go.set()
        assert [first.result(30), *(each.result(30) for each in futures)] == ["long", "a", "b"]
    assert passed == ["accept.before_commit", "triage.before_commit", "accept.after_commit", "triage.after_commit"]
    store.close()


def test_of_many_done_together_only_the_one_at_fault_fails(store: Store) -> None:
    told: list[str] = []

    def many(tx: Tx, items: list[str]) -> list[str]:
        tx.on_commit(lambda: told.append(",".join(items)))
        return [put(item)(tx) for item in items]

    with held_up(store):
        futures = [store.write_many(many, item) for item in ("a", "b", "a", "c")]
    assert [futures[at].result(10) for at in (0, 1, 3)] == ["a", "b", "c"]
    with pytest.raises((IntegrityError, Conflict)):
        futures[2].result(10)
    store.write(lambda tx: None).result(10)
    assert names(store) == ["a", "b", "c"]
    assert told == ["a", "b", "c"]


def test_who_waits_for_a_write_finds_done_what_its_commit_brings(store: Store) -> None:
    seen: list[str] = []

    def slowly() -> None:
        time.sleep(0.05)
        seen.append("done")

    store.write(lambda tx: tx.on_commit(slowly)).result()
    assert seen == ["done"]


def test_callbacks_run_after_the_commit_and_never_for_what_was_undone(store: Store) -> None:
    seen: list[str] = []

    def works(tx: Tx) -> None:
        put("kept")(tx)
        tx.on_commit(lambda: seen.append(",".join(names(store))))

    def fails(tx: Tx) -> None:
        tx.on_commit(lambda: seen.append("undone"))
        raise Permanent("no")

    with held_up(store):
        store.write(works)
        store.write(fails)
    store.write(lambda tx: None).result(10)
    assert seen == ["kept"]


def test_a_full_queue_refuses_at_once(make_place: Callable[..., StoreSettings], clock: Callable[..., object]) -> None:
    small = Store(make_place(postgres={"writers": 1}, queue_limit=10), clock=clock)
    with held_up(small):
        waiting = [small.write(put(str(number))) for number in range(10)]
        with pytest.raises(Transient, match="too many writes wait"):
            small.write(put("eleventh"))
    assert len([future.result(10) for future in waiting]) == 10
    small.close()


def test_closing_finishes_what_waits_and_refuses_the_rest(store: Store, settings: StoreSettings, clock: Callable[..., object]) -> None:
    with held_up(store):
        future = store.write(put("last"))
        closing = threading.Thread(target=store.close)
        closing.start()
        with pytest.raises(Transient, match="closing"):  # noqa: PT012 -- until the closing thread is there
            while True:
                store.write(put("probe")).cancel()
    closing.join(10)
    assert future.result(10) == "last"
    again = Store(settings, clock=clock)
    assert "last" in names(again)
    again.close()


def test_what_is_cancelled_before_the_writer_begins_is_not_written(store: Store) -> None:
    with held_up(store):
        future = store.write(put("never"))
        assert future.cancel()
        kept = store.write(put("kept"))
    assert kept.result(10) == "kept"
    with pytest.raises(CancelledError):
        future.result()
    assert names(store) == ["kept"]


def test_a_task_that_is_cancelled_leaves_the_writer_working(store: Store) -> None:
    async def scene() -> None:
        begun, go = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def slow(tx: Tx) -> str:
            loop.call_soon_threadsafe(begun.set)
            go.wait(10)
            return put("begun")(tx)

        task = asyncio.create_task(store.awrite(slow))
        await begun.wait()
        late = asyncio.create_task(store.awrite(put("late")))
        await asyncio.sleep(0)
        task.cancel()
        late.cancel()
        await asyncio.gather(task, late, return_exceptions=True)
        go.set()
        assert await store.awrite(put("after")) == "after"

    asyncio.run(scene())
    assert names(store) == ["after", "begun"]


def test_a_loop_that_was_closed_meanwhile_does_not_stop_the_writer(store: Store) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        begun.set()
        go.wait(10)

    async def scene() -> None:
        task = asyncio.create_task(store.awrite(slow))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scene())
    go.set()
    assert store.write(put("after")).result(10) == "after"


def test_coroutines_await_writes_and_reads(store: Store) -> None:
    async def scene() -> None:
        def many(tx: Tx, items: list[str]) -> list[str]:
            return [put(item)(tx) for item in items]

        assert await asyncio.gather(store.awrite(put("a")), store.awrite_many(many, "b")) == ["a", "b"]
        with pytest.raises((IntegrityError, Conflict)):
            await store.awrite(put("a"))
        assert await store.aread(lambda tx: tx.connection.execute(select(counter.c.next)).scalars().all()) == [1, 1]

    asyncio.run(scene())


def test_a_write_that_runs_out_of_an_iterator_is_told_and_nobody_waits_for_ever(store: Store) -> None:
    with pytest.raises(RuntimeError, match="ran out of an iterator"):
        asyncio.run(store.awrite(lambda tx: next(iter(()))))


@pytest.mark.sqlite_only("a group of different writes shares a commit only there")
def test_a_commit_that_fails_fails_every_member_and_the_next_group_works(store: Store) -> None:
    def breaks_at_commit(tx: Tx) -> None:
        tx.connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        texts = ("direction", "visibility", "author", "author_name", "kind", "subject", "text", "reply_text", "note")
        words = dict.fromkeys(texts, "")
        tx.connection.execute(insert(entry).values(desk_id=1, id=1, ticket_id=404, verified=False, created_at=0, **words))

    with held_up(store):
        futures: list[Future[object]] = [store.write(put("neighbour")), store.write(breaks_at_commit)]
    for future in futures:
        with pytest.raises(Transient, match="commit failed"):
            future.result(10)
    assert names(store) == []
    assert store.write(put("next")).result(10) == "next"


@pytest.mark.sqlite_only("its page limit stands for a full disk")
def test_a_full_disk_is_told_as_4_3_1_and_loses_only_what_was_refused(store: Store) -> None:
    store.write(put("before")).result(10)
    pages = store.write(lambda tx: tx.connection.exec_driver_sql("PRAGMA page_count").scalar()).result(10)
    store.write(lambda tx: tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 5}").scalar()).result(10)
    with held_up(store):
        futures = [store.write(put("small")), store.write(put("x" * 100_000)), store.write(put("later"))]
    told = [future.exception(10) for future in futures]
    assert isinstance(told[1], Transient)
    assert told[1].enhanced == "4.3.1"
    stored = {"before"} | {name for name, error in zip(("small", "large", "later"), told, strict=True) if error is None}
    assert set(names(store)) == stored
    store.write(lambda tx: tx.connection.exec_driver_sql("PRAGMA max_page_count = 100000").scalar()).result(10)
    assert store.write(put("resumed")).result(10) == "resumed"


@pytest.mark.sqlite_only("a group of different writes shares a commit only there")
def test_a_write_that_ends_the_transaction_fails_its_neighbours_and_nothing_of_them_is_stored(store: Store) -> None:
    def ends_it(tx: Tx) -> None:
        tx.connection.exec_driver_sql("ROLLBACK")

    with held_up(store):
        futures = [store.write(put("a")), store.write(ends_it), store.write(put("b"))]
    for future in futures[:2]:
        with pytest.raises(Transient):
            future.result(10)
    assert futures[2].result(10) == "b"
    assert names(store) == ["b"]


def test_a_lock_held_by_another_process_is_transient(tmp_path: Path, clock: Callable[..., object]) -> None:
    impatient = Store(StoreSettings(path=str(tmp_path / "var"), busy_timeout_seconds=1), clock=clock)
    other = sqlite3.connect(impatient.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    future = impatient.write(put("locked out"))
    with pytest.raises(Transient, match="locked"):
        future.result(10)
    other.execute("ROLLBACK")
    assert impatient.write(put("again")).result(10) == "again"
    other.close()
    impatient.close()


def test_a_bug_after_the_commit_ends_the_writer_loudly(settings: StoreSettings, clock: Callable[..., object]) -> None:
    ended: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
    broken = Store(settings, clock=clock, on_fatal=ended.put)

    def breaks(tx: Tx) -> None:
        put("stored")(tx)
        tx.on_commit(lambda: {}["no such callback"])

    with held_up(broken):
        kept, waiting = broken.write(breaks), broken.write_many(lambda tx, items: list(items), "x")
    kept.result(10)
    assert (waiting.exception(10) is None) is (settings.postgres is None)  # only SQLite's writer did it in the same commit
    with pytest.raises(Transient, match="the store stopped"):  # noqa: PT012 -- until the writer has ended
        while True:
            broken.write(put("probe")).cancel()
    assert isinstance(ended.get(timeout=10), KeyError)  # told after writes are refused
    assert names(broken) == ["stored"]
    broken.close()


DISK_FAILS = """
import resource, sys
from datetime import UTC, datetime
from itsm.errors import Transient
from store.settings import StoreSettings
from store.step import observing
from store.store import Store
from sqlalchemy import insert
from store.desk_schema import counter

ended = []
store = Store(StoreSettings(path=sys.argv[1]), clock=lambda: datetime(2026, 1, 1, tzinfo=UTC), on_fatal=ended.append)

def put(name):
    return lambda tx: tx.connection.execute(insert(counter).values(desk_id=1, name=name, next=1)).rowcount

store.write(put("kept")).result()
limit = (store.directory / "triaged.sqlite-wal").stat().st_size + 8192
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))  # every write of a file beyond it fails
first = store.write(put("x" * 50_000)).exception()
assert isinstance(first, Transient), first
store._writer._thread.join(10)
assert "disk I/O" in str(ended[0]), ended
try:
    store.write(put("refused"))
except Transient as refused:
    print("refused:", refused)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.close()
"""


def test_an_input_output_error_at_the_commit_ends_the_writer_and_loses_nothing_told(
    tmp_path: Path, clock: Callable[..., object], run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    ran = run_python(DISK_FAILS, tmp_path / "var")
    assert ran.returncode == 0, ran.stderr
    assert "refused: the store stopped" in ran.stdout
    again = Store(StoreSettings(path=str(tmp_path / "var")), clock=clock)
    assert names(again) == ["kept"]
    again.close()
