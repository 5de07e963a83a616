"""F03, F07, F08, F21: what a kill -9 between any two statements leaves is all of a change or nothing of it.

What a killed process leaves is what the files hold at that instant; so they are copied before each statement, and each copy is
opened as if it were what the next life finds.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

from itsm.errors import Permanent
from store import backup, inbox, migrate, verify, writer
from store.inbox import add_many
from store.settings import StoreSettings
from store.store import DATABASE_FILE, Store
from tests.casework.desks import TestDesk
from tests.store.conftest import NOON, arrived

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])
LARGE = b"Subject: large\r\n\r\n" + b"x" * 1_000_000


class Copies:
    """The database as it was before each statement, a folder each."""

    def __init__(self, file: Path, target: Path) -> None:
        self.file, self.target = file, target
        self.made: list[Path] = []

    def __call__(self, _statement: str) -> None:
        self.made.append(self.target / f"{len(self.made):04}")
        self.made[-1].mkdir(parents=True)
        for name in (self.file.name, self.file.name + "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(self.file.with_name(name), self.made[-1] / name)

    @contextlib.contextmanager
    def while_it_writes(self, store: Store) -> Iterator[None]:
        def trace(tx) -> sqlite3.Connection:
            tx.connection.connection.driver_connection.set_trace_callback(self)
            return tx.connection.connection.driver_connection

        connection = store.write(trace).result(10)
        yield
        store.write(lambda tx: connection.set_trace_callback(None)).result(10)


@pytest.fixture
def in_transactions(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> bool:
    """Without the defence every statement is its own transaction."""
    defended = bool(request.getfixturevalue("defended"))
    if not defended:
        run = writer._sql

        def without(connection: Connection, statement: str) -> None:
            if not statement.startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")):
                run(connection, statement)

        monkeypatch.setattr(writer, "_sql", without)
    return defended


def came_of(desk: TestDesk) -> tuple[object, ...]:
    """Everything that triage made of the inbox, and whether it is consistent."""
    tables = ("ticket", "entry", "outbox", "history", "part", "timer", "raw")
    counted = desk.store.read(lambda tx: [tx.connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() for name in tables])
    return (*counted, *(each.number for each in desk.tickets()), *desk.store.read(lambda tx: list(verify.findings(tx))))


@WITH_AND_WITHOUT
def test_a_crash_between_any_two_statements_of_triage_changes_nothing_of_what_comes_out(
    make_desk: Callable[..., TestDesk], mail: Callable[..., bytes], tmp_path: Path, defended: bool, in_transactions: bool
) -> None:
    desk = make_desk()
    desk.put(mail("one"))
    desk.put(mail("two", "Please install Word", sender="Bo <bo@x.example>"), sender="bo@x.example")
    copies = Copies(desk.store.file, tmp_path / "copies")
    with copies.while_it_writes(desk.store):
        desk.triage()
    expected, results = came_of(desk), []
    for folder in copies.made:
        next_life = TestDesk(StoreSettings(path=str(folder)))
        try:
            next_life.store.write(inbox.release_all).result(10)
            with contextlib.suppress(Exception):
                next_life.triage()
            results.append(came_of(next_life))
        finally:
            next_life.store.close()
    assert len(results) > 20
    assert all(each == expected for each in results) is defended


@WITH_AND_WITHOUT
def test_a_crash_between_any_two_statements_of_an_accept_leaves_no_half_of_a_mail(
    tmp_path: Path, defended: bool, in_transactions: bool
) -> None:
    store = Store(StoreSettings(path=str(tmp_path / "var")), clock=lambda: NOON)
    copies = Copies(store.file, tmp_path / "copies")
    with copies.while_it_writes(store):
        store.write_many(add_many, arrived(store, LARGE)).result(10)
    store.close()
    whole = []
    for folder in copies.made:
        with contextlib.closing(sqlite3.connect(folder / DATABASE_FILE)) as left:
            rows = left.execute("SELECT coalesce(sum(size_bytes), 0) FROM inbox").fetchone()[0]
            stored = left.execute("SELECT coalesce(sum(length(chunk)), 0) FROM raw").fetchone()[0]
        whole.append(rows == stored)
    assert all(whole) is defended


def test_a_disk_that_fills_up_in_the_middle_of_a_large_mail_leaves_nothing_of_it(tmp_path: Path) -> None:
    store = Store(StoreSettings(path=str(tmp_path / "var")), clock=lambda: NOON)
    pages = store.write(lambda tx: tx.connection.exec_driver_sql("PRAGMA page_count").scalar()).result(10)
    store.write(lambda tx: tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 100}").scalar()).result(10)
    large, small = arrived(store, LARGE), arrived(store, b"Subject: small\r\n\r\nx")
    with pytest.raises(Exception, match="full"):
        store.write_many(add_many, large).result(10)
    assert store.write_many(add_many, small).result(10) == small.envelope.id  # there is room for what fits
    assert store.read(lambda tx: [row.envelope.id for row in inbox.listed(tx, inbox.PENDING)]) == [small.envelope.id]
    assert set(store.read(lambda tx: inbox.raw_bytes(tx, [large.envelope.id, small.envelope.id]))) == {small.envelope.id}
    store.close()


@WITH_AND_WITHOUT
def test_a_crash_between_any_two_statements_of_an_upgrade_leaves_no_half_of_a_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    settings, copies = StoreSettings(path=str(tmp_path / "var")), Copies(tmp_path / "var" / DATABASE_FILE, tmp_path / "copies")
    opened = migrate._opened

    @contextlib.contextmanager
    def watched(found: StoreSettings) -> Iterator[Engine]:
        with opened(found) as engine:

            @event.listens_for(engine, "before_cursor_execute", retval=True)
            def _copy(_connection, _cursor, statement, parameters, _context, _many):
                copies(statement)
                alone = not defended and statement.startswith(("BEGIN", "COMMIT"))
                return "SELECT 1" if alone else statement, parameters

            yield engine

    monkeypatch.setattr(migrate, "_opened", watched)
    migrate.upgrade(settings)
    monkeypatch.undo()
    assert len(copies.made) > 40
    outcomes = [finished(StoreSettings(path=str(folder))) for folder in copies.made[:: 3 if defended else 10]]
    assert all(outcomes) is defended


def finished(settings: StoreSettings) -> bool:
    """Whether the next upgrade ends in the whole schema."""
    try:
        migrate.upgrade(settings)
        found = migrate.status(settings)
        Store(settings, clock=lambda: NOON).close()
    except Permanent:
        return False
    except Exception:  # the upgrade stumbles over a table that is there already
        return False
    return found.pending == ()


@WITH_AND_WITHOUT
def test_a_crash_of_a_backup_leaves_nothing_that_could_be_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    store = Store(StoreSettings(path=str(tmp_path / "var")), clock=lambda: NOON)
    store.write_many(add_many, arrived(store, b"Subject: x\r\n\r\nx")).result(10)
    target, seen = tmp_path / "backup", []
    if not defended:
        monkeypatch.setattr(Path, "with_name", lambda self, name: self)  # made in its place, under its name
        monkeypatch.setattr(Path, "rename", lambda self, name: name)

    def killed(name: str) -> None:
        seen.append((name, target.exists(), (target / backup.MANIFEST_FILE).exists()))

    monkeypatch.setattr(backup, "step", killed)
    backup.backup(store.file, target, now=NOON)
    monkeypatch.undo()
    store.close()
    halves = [name for name, there, whole in seen if there and not whole]
    assert (halves == []) is defended
    assert [name for name, *_ in seen] == ["backup.copied", "backup.described", "backup.named"]
