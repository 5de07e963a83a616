"""Two processes on one store: a second daemon, a reader that does not end, code of another version (faults F13, F40, F42)."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from itsm.errors import Conflict, Permanent
from store import engine, inbox, migrate, version
from store.lock import DataLock
from store.settings import StoreSettings
from store.store import Store
from tests.store.conftest import SetClock, arrive, arrived, clock, settings, store

__all__ = ["arrive", "clock", "settings", "store"]
DEFENDED = pytest.mark.parametrize("defended", [True, False])
SQLITE = pytest.mark.sqlite_only("its file")


def claimed(opened: Store) -> list[int]:
    """What this daemon claims, as the worker at its start does it: what lies claimed on its own directory is given back first."""
    opened.write(inbox.release_all).result(60)
    taken = opened.write(lambda tx: inbox.claim(tx, process_id=opened.process_id, limit=5, max_bytes=10**6)).result(60)
    return [each.envelope.id for each in taken]


@SQLITE
@DEFENDED
def test_a_second_daemon_on_a_directory_takes_nothing_from_the_first(
    settings: StoreSettings, clock: SetClock, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    if not defended:
        monkeypatch.setattr(DataLock, "acquire", lambda self: None)
    first = Store(settings, clock=clock, exclusive=True)
    first.write_many(inbox.add_many, arrived(first, b"Subject: x\r\n\r\n")).result(60)
    mine = claimed(first)
    if defended:
        with pytest.raises(Conflict, match="another triaged works in"):
            Store(settings, clock=clock, exclusive=True)
    else:
        second = Store(settings, clock=clock, exclusive=True)
        assert claimed(second) == mine, "both triage the same mail"
        second.close()
    first.close()


@pytest.mark.postgres_only("on SQLite the second is refused")
def test_a_second_daemon_on_one_database_takes_what_is_left(settings: StoreSettings, clock: SetClock) -> None:
    first, second = Store(settings, clock=clock, exclusive=True), Store(settings, clock=clock, exclusive=True)
    for _ in range(6):
        first.write_many(inbox.add_many, arrived(first, b"Subject: x\r\n\r\n")).result(60)
    taken = [
        [
            each.envelope.id
            for each in one.write(lambda tx, p=one.process_id: inbox.claim(tx, process_id=p, limit=3, max_bytes=10**6)).result(60)
        ]
        for one in (first, second)
    ]
    assert [len(each) for each in taken] == [3, 3]
    assert not set(taken[0]) & set(taken[1])
    second.close()
    first.close()


@SQLITE
@DEFENDED
def test_a_log_that_grew_behind_a_long_read_is_seen_and_cut_back_when_that_ends(
    settings: StoreSettings, clock: SetClock, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    limit = 256 * 1024
    small = {"wal_autocheckpoint": 50, "journal_size_limit": limit if defended else -1}
    monkeypatch.setattr(
        engine, "PRAGMAS", (*(each for each in engine.PRAGMAS if each.split()[0] not in small), *(f"{n} = {v}" for n, v in small.items()))
    )
    store = Store(settings, clock=clock)

    def write(times: int) -> None:
        for _ in range(times):
            store.write_many(inbox.add_many, arrived(store, b"Subject: x\r\n\r\n" + b"x" * 20_000)).result(60)

    reader = sqlite3.connect(store.file)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM inbox").fetchone()
    write(60)
    grown = store.wal_bytes()
    assert grown > 4 * limit, "a reader holds up no writer, and what is written is seen to pile up"
    reader.rollback()
    reader.close()
    write(10)
    assert (store.wal_bytes() <= 2 * limit) is defended
    store.close()


def rows_of(settings: StoreSettings) -> list[str]:
    """Everything that is in the database."""
    if settings.postgres is None:
        connection = sqlite3.connect(Path(settings.path) / "triaged.sqlite")
        found = list(connection.iterdump())
        connection.close()
        return found
    with migrate._opened(settings) as opened, opened.connect() as connected:
        rows = connected.exec_driver_sql("SELECT process::text FROM process UNION ALL SELECT inbox::text FROM inbox")
        return sorted(str(row) for row in rows)


@DEFENDED
def test_code_of_the_version_before_touches_nothing_of_a_newer_schema(
    make_place: Callable[..., StoreSettings], clock: SetClock, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    settings = make_place()
    store = Store(settings, clock=clock)
    store.write_many(inbox.add_many, arrived(store, b"Subject: x\r\n\r\n")).result(60)
    store.close()
    before = rows_of(settings)
    monkeypatch.setattr(version, "KNOWN", version.KNOWN[:-1])  # what the code before the newest migration knew
    monkeypatch.setattr(version, "HEAD", version.KNOWN[-1])
    if not defended:
        monkeypatch.setattr(version, "ensure", lambda engine: None)
        store = Store(settings, clock=clock)
        store.write_many(inbox.add_many, arrived(store, b"Subject: y\r\n\r\n")).result(60)
        store.close()
    else:
        for ask in (lambda: Store(settings, clock=clock), lambda: migrate.upgrade(settings), lambda: migrate.status(settings)):
            with pytest.raises(Permanent, match="upgrade triaged"):
                ask()
    assert (rows_of(settings) == before) is defended
