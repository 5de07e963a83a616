"""`db move`: everything arrives, or nothing does."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, select

from itsm.errors import Conflict, Permanent, Transient
from store import credentials, inbox, move, totals, verify
from store.lock import DataLock
from store.schema import history, metadata
from store.schema import inbox as inbox_table
from store.settings import StoreSettings
from store.store import Store
from tests.store.conftest import arrived

pytestmark = pytest.mark.postgres_only("the way goes from SQLite to PostgreSQL")
MOVE = """
import sys
from datetime import UTC, datetime
import msgspec
from store.move import move
from store.settings import StoreSettings
move(msgspec.json.decode(sys.argv[1], type=StoreSettings), now=datetime(2026, 1, 1, tzinfo=UTC))
"""


def file_of(target: StoreSettings) -> StoreSettings:
    return msgspec.structs.replace(target, postgres=None)


@pytest.fixture
def target(make_place: Callable[..., StoreSettings], clock: Callable[..., object]) -> StoreSettings:
    """Settings that name a file with mails, keys and history, and an empty database."""
    found = make_place(empty=True)
    store = Store(file_of(found), clock=clock)
    for number in range(3):
        store.write_many(inbox.add_many, arrived(store, b"x" * 300_000 * number + b"\0\xff", message_id=f"m{number}@x")).result(10)
    store.write(lambda tx: inbox.claim(tx, process_id=store.process_id, limit=1, max_bytes=1)).result(10)
    store.write(credentials.signing_keys).result(10)
    store.close()
    return found


def counts(settings: StoreSettings, clock: Callable[..., object]) -> dict[str, int]:
    store = Store(settings, clock=clock)
    try:
        query = {table.name: select(func.count()).select_from(table) for table in metadata.sorted_tables}
        return store.read(lambda tx: {name: tx.connection.execute(each).scalar_one() for name, each in query.items()})
    finally:
        store.close()


def test_everything_arrives_and_goes_on(target: StoreSettings, clock: Callable[..., object]) -> None:
    done = move.move(target, now=clock())  # type: ignore[arg-type]
    assert (done.rows["inbox"], done.rows["raw"], done.rows["signing_key"]) == (3, 6, 1)
    store = Store(target, clock=clock)
    assert store.read(lambda tx: list(verify.findings(tx))) == []
    assert store.read(totals.balance).pending == 3
    assert store.read(credentials.signing_keys)
    bodies = store.read(lambda tx: inbox.raw_bytes(tx, tx.connection.execute(select(inbox_table.c.id)).scalars()))
    assert sorted(len(body) for body in bodies.values()) == [2, 300_002, 600_002]
    assert len(store.write(lambda tx: inbox.claim(tx, process_id=1, limit=9, max_bytes=10**9)).result(10)) == 1, "marked to be tried alone"
    assert "moved" in store.read(lambda tx: tx.connection.execute(select(history.c.kind)).scalars().all())
    store.close()


def test_a_target_that_has_rows_is_refused(target: StoreSettings, clock: Callable[..., object]) -> None:
    move.move(target, now=clock())  # type: ignore[arg-type]
    with pytest.raises(Conflict, match="not empty"):
        move.move(target, now=clock())  # type: ignore[arg-type]


def test_no_move_under_the_feet_of_a_daemon(target: StoreSettings, clock: Callable[..., object]) -> None:
    with DataLock(Path(target.path)), pytest.raises(Conflict, match="stop it first"):
        move.move(target, now=clock())  # type: ignore[arg-type]


def test_without_a_file_or_a_target_there_is_nothing_to_move(
    make_place: Callable[..., StoreSettings], clock: Callable[..., object]
) -> None:
    nowhere = make_place()
    with pytest.raises(Transient, match="no database at"):
        move.move(nowhere, now=clock())  # type: ignore[arg-type]
    with pytest.raises(Permanent, match="nowhere to move to"):
        move.move(file_of(nowhere), now=clock())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("DELETE FROM raw", "its bytes are missing"),
        ("UPDATE inbox SET reverse_path = char(0)", "a text with NUL"),
        ("UPDATE alembic_version SET version_num = '0000_expand'", "db upgrade"),
    ],
)
def test_a_file_that_is_not_well_is_not_moved(
    target: StoreSettings, clock: Callable[..., object], monkeypatch: pytest.MonkeyPatch, harm: str, told: str
) -> None:
    monkeypatch.setattr("store.version.KNOWN", ("0000_expand", *move.version.KNOWN))
    store = Store(file_of(target), clock=clock)
    store.write(lambda tx: tx.connection.exec_driver_sql(harm).rowcount).result(10)
    store.close()
    with pytest.raises(Permanent, match=told):
        move.move(target, now=clock())  # type: ignore[arg-type]
    assert not any(count for name, count in counts(target, clock).items() if name != "process")


@pytest.mark.parametrize(("step", "arrived_"), [("move.before_commit", False), ("move.after_commit", True)])
def test_a_crash_leaves_the_target_empty_or_whole(
    target: StoreSettings,
    clock: Callable[..., object],
    run_python: Callable[..., subprocess.CompletedProcess[str]],
    step: str,
    arrived_: bool,
) -> None:
    assert run_python(MOVE, msgspec.json.encode(target).decode(), crash_at=step).returncode == -9
    assert (counts(target, clock)["inbox"] == 3) is arrived_
    if not arrived_:
        assert run_python(MOVE, msgspec.json.encode(target).decode()).returncode == 0
        assert counts(target, clock)["inbox"] == 3
