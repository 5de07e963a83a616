"""What opening a store makes, checks and refuses."""

import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path

import pytest
from sqlalchemy import text

from itsm.errors import Conflict, Permanent, Transient
from store import engine, migrate
from store.engine import open_engine
from store.people_schema import WHOLE
from store.settings import StoreSettings
from store.store import Store
from store.version import HEAD, UNKNOWN, current

Clock = Callable[..., object]


@pytest.mark.sqlite_only("its files")
def test_an_empty_directory_becomes_a_store_that_only_its_owner_reads(store: Store) -> None:
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    store.write(lambda tx: tx.connection.exec_driver_sql("DELETE FROM totals").rowcount).result(10)
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in store.directory.iterdir()}
    assert files == {"triaged.sqlite": 0o600, "triaged.sqlite-wal": 0o600, "triaged.sqlite-shm": 0o600}
    assert current(store.engine) == HEAD


@pytest.mark.sqlite_only("its pragmas")
def test_every_connection_is_durable(store: Store) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}

    def pragmas(tx: object) -> dict[str, object]:
        return {name: tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted}  # type: ignore[attr-defined]

    assert store.write(pragmas).result(10) == wanted
    assert store.read(pragmas) == wanted


def test_a_file_system_without_wal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="journal_mode = memory"):
        open_engine(Path(":memory:"), busy_timeout_seconds=1)


def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(Transient, match=r"read-?only"):
        store.read(lambda tx: tx.connection.exec_driver_sql("DELETE FROM totals"))


def test_a_read_sees_one_instant(store: Store) -> None:
    def count(tx: object) -> int:
        return tx.connection.exec_driver_sql("SELECT count(*) FROM counter").scalar()  # type: ignore[attr-defined]

    def write_between(tx: object) -> tuple[int, int]:
        before = count(tx)
        store.write(lambda inner: inner.connection.exec_driver_sql("INSERT INTO counter VALUES (1, 'x', 1)").rowcount).result(10)
        return before, count(tx)

    assert store.read(write_between) == (0, 0)
    assert store.read(count) == 1


@pytest.mark.sqlite_only("the size of its pool; tests/store/postgres has the other")
def test_too_many_reads_at_once_are_transient(monkeypatch: pytest.MonkeyPatch, settings: StoreSettings, clock: Clock) -> None:
    monkeypatch.setattr(engine, "POOL_WAIT_SECONDS", 0.01)
    store = Store(settings, clock=clock)
    with ExitStack() as held:
        for _ in range(engine.READERS + engine.MORE_READERS):
            held.enter_context(store._readers.connect())
        with pytest.raises(Transient, match="too many reads"):
            store.read(lambda tx: None)
    store.close()


@pytest.mark.sqlite_only("on PostgreSQL both work")
def test_a_daemon_keeps_a_second_one_out_and_lets_commands_in(settings: StoreSettings, clock: Clock) -> None:
    daemon = Store(settings, clock=clock, exclusive=True)
    with pytest.raises(Conflict, match="another triaged works in"):
        Store(settings, clock=clock, exclusive=True)
    command = Store(settings, clock=clock)
    assert command.lease.node != daemon.lease.node
    command.close()
    daemon.close()
    Store(settings, clock=clock, exclusive=True).close()


@pytest.mark.sqlite_only("the lock of its directory")
def test_a_store_that_cannot_open_gives_the_lock_back(settings: StoreSettings, clock: Clock) -> None:
    file = Path(settings.path) / "triaged.sqlite"
    file.parent.mkdir()
    file.write_bytes(b"this is no database" * 100)
    for _ in range(2):
        with pytest.raises(Permanent, match="cannot open the database"):
            Store(settings, clock=clock, exclusive=True)


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Permanent, match="cannot open the database"):
        Store(StoreSettings(path=str(tmp_path / "file" / "var")), clock=clock)


@pytest.mark.parametrize(("version", "advice"), [("0999_contract", "upgrade triaged"), ("0000_expand", "triaged db upgrade")])
def test_a_schema_that_is_not_ours_is_refused_with_what_to_do(
    settings: StoreSettings, clock: Clock, monkeypatch: pytest.MonkeyPatch, version: str, advice: str
) -> None:
    monkeypatch.setattr("store.version.KNOWN", ("0000_expand", HEAD))
    store = Store(settings, clock=clock)
    store.write(lambda tx: tx.connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": version}).rowcount).result(10)
    store.close()
    with pytest.raises(Permanent, match=advice):
        Store(settings, clock=clock)


def test_the_database_of_another_program_is_refused(make_place: Callable[..., StoreSettings], clock: Clock) -> None:
    settings = make_place(empty=True)
    Path(settings.path).mkdir()
    with migrate._opened(settings) as theirs, theirs.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (a integer)")
    with pytest.raises(Permanent, match="none of them are triaged's"):
        Store(settings, clock=clock)


def test_a_schema_without_its_version_is_refused(settings: StoreSettings, clock: Clock) -> None:
    store = Store(settings, clock=clock)
    store.write(lambda tx: tx.connection.exec_driver_sql("DELETE FROM alembic_version").rowcount).result(10)
    assert current(store.engine) == UNKNOWN
    store.close()


def test_processes_that_start_at_once_make_one_schema(make_place: Callable[..., StoreSettings], clock: Clock) -> None:
    settings = make_place(empty=True)
    opened: list[Store] = []
    threads = [threading.Thread(target=lambda: opened.append(Store(settings, clock=clock))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [current(each.engine) for each in opened] == [HEAD] * 4
    assert len({each.lease.node for each in opened}) == 4
    for each in opened:
        each.close()


@pytest.mark.sqlite_only("its journal")
@pytest.mark.parametrize("patient", [True, False])
def test_who_opens_a_file_that_another_is_making_waits_for_it(tmp_path: Path, clock: Clock, monkeypatch, patient: bool) -> None:
    if not patient:
        monkeypatch.setattr(engine, "is_locked", lambda _error: False)
    with closing(sqlite3.connect(tmp_path / "triaged.sqlite", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")  # not yet in WAL: SQLite refuses the change at once, whatever its timeout
        end = threading.Timer(0.3, other.execute, ["ROLLBACK"])
        end.start()
        with nullcontext() if patient else pytest.raises(Permanent, match="locked"):
            Store(StoreSettings(path=str(tmp_path)), clock=clock).close()
        end.join()


def test_every_key_and_index_and_foreign_key_leads_with_the_desk() -> None:
    for table in WHOLE.sorted_tables:
        assert next(iter(table.primary_key.columns)).name == "desk_id", table.name
        for index in table.indexes:
            assert next(iter(index.columns)).name == "desk_id", index.name
        for constraint in table.foreign_key_constraints:
            assert constraint.column_keys[0] == "desk_id", table.name


def test_the_free_space_of_the_disk_is_known(store: Store) -> None:
    assert store.free_bytes() > 0
