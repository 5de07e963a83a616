"""What becomes of a write when its connection, its answer or the whole server is lost (faults F33 to F38)."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, insert, select, update

from itsm.errors import Transient
from prove.postgres import PostgresServer
from prove.proxy import CuttingProxy
from store.desk_schema import counter
from store.postgres import backend, writer
from store.postgres.session import Session, Witness
from store.raced import Raced
from store.settings import PostgresSettings, StoreSettings
from store.store import Store
from store.transaction import Tx

pytestmark = pytest.mark.postgres_only("it speaks of connections")
DEFENDED = pytest.mark.parametrize("defended", [True, False])
Clock = Callable[..., object]


def put(tx: Tx) -> int:
    """Insert a row that no index would refuse a second time."""
    number = tx.new_id()
    tx.connection.execute(insert(counter).values(desk_id=tx.desk_id, name=f"n{number}", next=1))
    return number


def count(store: Store) -> int:
    return store.read(lambda tx: tx.connection.execute(select(func.count()).select_from(counter)).scalar_one())


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def test_a_commit_whose_answer_is_lost_is_found_and_not_run_again(distant: Store, proxy: CuttingProxy) -> None:
    proxy.cut("answer")
    assert distant.write(put).result(60)
    assert (proxy.cuts, count(distant)) == (1, 1)


def test_run_again_blindly_it_would_be_there_twice(distant: Store, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "resolved", lambda self, engine: False)
    proxy.cut("answer")
    distant.write(put).result(60)
    assert count(distant) == 2


@DEFENDED
def test_after_a_crash_the_number_may_be_another_ones_and_its_word_is_not_taken(
    distant: Store, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    def lies(_session: Session, _engine: object) -> bool:
        proxy.partition(on=True)  # as in a crash, every session is gone
        proxy.partition(on=False)
        return True

    monkeypatch.setattr(Session, "resolved", lies)
    if not defended:
        monkeypatch.setattr(Witness, "lives", lambda self, driver: True)
    proxy.cut("before")
    told = distant.write(put).exception(60)
    assert isinstance(told, Transient if defended else type(None)), "without the witness a yes is said for what is lost"
    until(lambda: distant.away is None)
    assert count(distant) == 0


def test_an_end_that_nobody_can_tell_is_said_to_be_unknown(distant: Store, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.postgres.session.RESOLVE_SECONDS", 0.0)
    proxy.cut("answer")
    with pytest.raises(Transient, match="nobody knows"):
        distant.write(put).result(60)
    assert count(distant) == 1


def test_a_commit_that_never_arrived_is_run_again(distant: Store, proxy: CuttingProxy) -> None:
    proxy.cut("before")
    distant.write(put).result(60)
    assert (proxy.cuts, count(distant)) == (1, 1)


def test_a_connection_that_dies_after_the_answer_to_its_commit_makes_nothing_run_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Session.commit

    def and_die(session: Session) -> None:
        commit(session)
        session._driver.pgconn.finish()

    monkeypatch.setattr(Session, "commit", and_die)
    for expected in (1, 2, 3):
        store.write(put).result(60)
        assert count(store) == expected


def test_sessions_that_an_administrator_ends_are_not_noticed(store: Store, postgres_server: PostgresServer) -> None:
    end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    database = str(store.settings.postgres.url).rpartition("/")[2]  # type: ignore[union-attr]
    for _ in range(3):
        store.write(put).result(60)
        assert store.read(lambda tx: tx.connection.execute(select(1)).scalar_one()) == 1
        assert postgres_server.sql(end, database=database)[0][0] >= 2
    store.write(put).result(60)
    assert count(store) == 4


@DEFENDED
def test_a_session_that_ends_in_the_middle_is_run_anew_as_a_whole(store: Store, monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    if not defended:
        monkeypatch.setattr(writer, "MAX_CONNECTIONS_LOST", 0)
    runs: list[int] = []

    def ends_itself_once(tx: Tx) -> None:
        runs.append(put(tx))
        if len(runs) == 1:
            tx.connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    told = store.write(ends_itself_once).exception(60)
    assert isinstance(told, type(None) if defended else Transient)
    assert (len(runs), count(store)) == ((2, 1) if defended else (1, 0))


def test_a_read_whose_session_ends_is_told_to_come_back(store: Store) -> None:
    with pytest.raises(Transient, match="the database cannot do it now"):
        store.read(lambda tx: tx.connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert store.read(lambda tx: tx.connection.execute(select(1)).scalar_one()) == 1


@DEFENDED
def test_two_that_lock_in_reverse_order_both_come_through(store: Store, defended: bool) -> None:
    rows = [{"desk_id": 1, "name": name, "next": 0} for name in "ab"]
    store.write(lambda tx: tx.connection.execute(insert(counter), rows).rowcount).result(60)
    meet = threading.Barrier(2)

    def cross(first: str, second: str) -> Callable[[Tx], None]:
        runs: list[int] = []

        def work(tx: Tx) -> None:
            for name in (first, second):
                tx.connection.execute(update(counter).where(counter.c.desk_id == 1, counter.c.name == name).values(next=counter.c.next + 1))
                if name == first and not runs:
                    runs.append(1)
                    meet.wait(30)

        return work

    futures = [store.write(cross("a", "b"), again=defended), store.write(cross("b", "a"), again=defended)]
    told = [future.exception(60) for future in futures]
    done = store.read(lambda tx: tx.connection.execute(select(counter.c.next)).scalars().all())
    assert (sorted(type(each).__name__ for each in told), done) == (
        (["NoneType", "NoneType"], [2, 2]) if defended else (["NoneType", "Raced"], [1, 1])
    )


@DEFENDED
def test_a_lock_that_somebody_holds_is_told_in_time_and_holds_up_no_more(
    make_place: Callable[..., StoreSettings], clock: Clock, postgres_server: PostgresServer, defended: bool
) -> None:
    settings = make_place(postgres={"lock_timeout_seconds": 1 if defended else 3600})
    store = Store(settings, clock=clock)
    with psycopg.connect(settings.postgres.url) as admin:  # type: ignore[union-attr]
        admin.execute("LOCK TABLE counter IN ACCESS EXCLUSIVE MODE")
        waiting = store.write(put)
        if defended:
            with pytest.raises(Transient, match="lock timeout"):
                waiting.result(60)
        else:
            held = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query_start < clock_timestamp() - interval '3 s'"
            )
            until(lambda: postgres_server.sql(held)[0][0] == 1)
            assert not waiting.done(), "it waits as long as the administrator likes"
        admin.rollback()
    assert store.write(put).result(60)
    store.close()


def test_when_every_writer_stands_still_nobody_else_is_kept_waiting(
    make_place: Callable[..., StoreSettings], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "STALL_SECONDS", 0.0)
    store, go, busy = Store(make_place(postgres={"writers": 1}), clock=clock), threading.Event(), threading.Event()

    def stands(tx: Tx) -> None:
        busy.set()
        go.wait(60)

    slow = store.write(stands)
    busy.wait(60)
    waiting = store.write(put)
    with pytest.raises(Transient, match="does not answer"):
        store.write(put)
    go.set()
    slow.result(60)
    waiting.result(60)
    store.close()


@DEFENDED
def test_too_many_reads_at_once_are_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch, make_place: Callable[..., StoreSettings], clock: Clock, defended: bool
) -> None:
    monkeypatch.setattr(backend, "POOL_WAIT_SECONDS", 0.05 if defended else 3600)
    store = Store(make_place(postgres={"readers": 1}), clock=clock)
    told: list[BaseException | None] = []

    def ask() -> None:
        try:
            store.read(lambda tx: None)
            told.append(None)
        except Transient as error:
            told.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    with store._readers.connect():
        asking.start()
        asking.join(60 if defended else 1)
        assert asking.is_alive() is not defended, "it waits as long as the slow one likes"
    asking.join(60)
    assert ["too many reads" in str(each) for each in told] == [defended]
    store.close()


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server that may be crashed, and keeps what it promised."""
    with tempfile.TemporaryDirectory(prefix="triaged-postgres-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        server = PostgresServer(Path(name) / "server", durable=True)
        yield server
        server.stop()


def settings_on(server: PostgresServer, folder: Path) -> StoreSettings:
    return StoreSettings(path=str(folder), postgres=PostgresSettings(url=server.make_database("own"), writers=2))


@pytest.mark.sqlite_only("it has a server of its own")
@pytest.mark.usefixtures("postgres_server")
def test_a_database_that_goes_away_is_told_at_once_and_comes_back_by_itself(
    own_server: PostgresServer, tmp_path: Path, clock: Clock
) -> None:
    store = Store(settings_on(own_server, tmp_path), clock=clock)
    told = [store.write(put).result(60)]
    own_server.stop()
    with pytest.raises(Transient):
        store.write(put).result(60)
    until(lambda: store.away is not None)
    for ask in (lambda: store.write(put), lambda: store.read(lambda tx: None)):
        with pytest.raises(Transient, match="database"):
            ask()
    own_server.start()
    until(lambda: store.away is None)
    told.append(store.write(put).result(60))
    assert count(store) == len(told)
    store.close()


@pytest.mark.sqlite_only("it has a server of its own")
@pytest.mark.usefixtures("postgres_server")
def test_a_server_that_crashes_under_load_keeps_all_that_was_told(own_server: PostgresServer, tmp_path: Path, clock: Clock) -> None:
    store = Store(settings_on(own_server, tmp_path), clock=clock)
    told: list[int] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            try:
                told.append(store.write(put).result(60))
            except Transient:
                time.sleep(0.05)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        before = len(told)
        until(lambda before=before: len(told) > before + 20)
        own_server.crash()
    after = len(told)
    until(lambda: len(told) > after + 20)
    stop.set()
    for thread in threads:
        thread.join(60)
    stored = store.read(lambda tx: set(tx.connection.execute(select(counter.c.name)).scalars()))
    assert {f"n{number}" for number in told} <= stored
    store.close()


@DEFENDED
@pytest.mark.sqlite_only("it has a server of its own")
@pytest.mark.usefixtures("postgres_server")
def test_a_server_that_commits_lazily_commits_for_us_before_it_says_so(
    own_server: PostgresServer, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    for name, value in (("synchronous_commit", "off"), ("wal_writer_delay", "10s"), ("wal_writer_flush_after", "1GB")):
        own_server.sql(f"ALTER SYSTEM SET {name} = '{value}'")
    own_server.crash()  # and with these settings it starts
    Store(settings_on(own_server, tmp_path), clock=clock).close()
    if not defended:
        as_shipped = backend.session_settings
        monkeypatch.setattr(backend, "session_settings", lambda settings: as_shipped(settings).rpartition("SELECT set_config")[0])
    url = own_server.url("own")
    store, told, lost = Store(StoreSettings(path=str(tmp_path), postgres=PostgresSettings(url=url, writers=1)), clock=clock), 0, False
    for _ in range(1 if defended else 5):  # its WAL writer may wake up at just that moment
        for _ in range(5):
            store.write(put).result(60)
            told += 1
        own_server.crash()
        until(lambda: counted(store) is not None)
        lost = counted(store) != told
        if lost:
            break
    assert lost is not defended
    store.close()


def counted(store: Store) -> int | None:
    """How many there are, once the database answers."""
    try:
        return count(store)
    except Transient:
        return None


def test_raced_is_a_conflict_for_whoever_does_not_decide_again() -> None:
    assert Raced("x").status == 409
