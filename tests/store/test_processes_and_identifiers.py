"""Node numbers are leased, and identifiers are never issued twice nor below the last, whatever the clock does."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from itsm.errors import Permanent, Transient
from itsm.identifier import MAX_COUNTER, milliseconds_of
from store import process as processes
from store.desk_schema import process
from store.identifiers import Issuer
from store.instants import from_column, from_column_or_none, to_column, to_column_or_none
from store.lock import DataLock
from store.settings import StoreSettings
from store.store import Store
from store.transaction import IDS_A_BLOCK

Clock = Callable[..., object]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@given(st.lists(st.integers(-(10**9), 10**9), max_size=50), st.integers(0, 2**60))
def test_identifiers_only_rise(steps: list[int], last: int) -> None:
    now = NOON
    issuer = Issuer(3, lambda: now, last)
    issued = [last]
    for step in steps:
        now = NOON + timedelta(milliseconds=step)
        issued += [issuer(), *issuer.block(abs(step) % MAX_COUNTER + 1), issuer()]
    assert issued == sorted(set(issued))


def test_a_clock_from_before_our_time_still_gives_identifiers() -> None:
    issuer = Issuer(0, lambda: datetime(1970, 1, 1, tzinfo=UTC), 0)
    assert 0 < issuer() < issuer()


def test_a_millisecond_without_counters_left_borrows_the_next() -> None:
    issuer = Issuer(0, lambda: NOON, 0)
    issued = [issuer() for _ in range(MAX_COUNTER + 2)]
    assert len(set(issued)) == len(issued)
    assert milliseconds_of(issued[-1]) == milliseconds_of(issued[0]) + 1


def test_transactions_draw_their_identifiers_in_blocks_above_each_other(store: Store) -> None:
    def some(count: int) -> list[int]:
        return store.write(lambda tx: [tx.new_id() for _ in range(count)]).result()

    issued = [*some(IDS_A_BLOCK + 1), *some(2), store.new_id(), *some(1)]
    assert issued == sorted(set(issued))


def test_threads_get_different_identifiers() -> None:
    issuer = Issuer(0, lambda: NOON, 0)
    issued: list[int] = []
    threads = [threading.Thread(target=lambda: issued.extend([issuer() for _ in range(500)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(set(issued)) == 2000


def test_a_store_opened_with_its_clock_set_back_goes_on_above_the_last(store: Store, arrive: Callable[..., int], clock: Clock) -> None:
    last = arrive()
    clock.advance(days=-10)  # type: ignore[attr-defined]
    again = Store(store.settings, clock=clock, lease_clock=clock)
    assert again.new_id() > last
    again.close()


def beat(store: Store) -> None:
    store.write(lambda tx: processes.heartbeat(tx, store.lease)).result(10)


def rows(store: Store) -> list[tuple[int, int]]:
    return [
        (row.node, row.process_id) for row in store.read(lambda tx: tx.connection.execute(select(process).order_by(process.c.node)).all())
    ]


def test_a_process_that_beats_keeps_its_number_and_a_silent_one_loses_it(store: Store, clock: Clock) -> None:
    silent = Store(store.settings, clock=clock, lease_clock=clock)
    clock.advance(minutes=9)  # type: ignore[attr-defined]
    beat(store)
    clock.advance(minutes=9)  # type: ignore[attr-defined]
    other = Store(store.settings, clock=clock, lease_clock=clock)
    assert (store.lease.node, silent.lease.node, other.lease.node) == (0, 1, 1)
    with pytest.raises(Permanent, match="took node number 1"):
        beat(silent)
    silent.close()
    assert rows(store) == [(0, store.process_id), (1, other.process_id)]
    other.close()
    assert rows(store) == [(0, store.process_id)]


def test_a_process_that_slept_past_its_lease_takes_its_number_back_when_it_is_free(store: Store, clock: Clock) -> None:
    sleeper = Store(store.settings, clock=clock, lease_clock=clock)
    clock.advance(hours=8)  # type: ignore[attr-defined]
    beat(store)
    Store(store.settings, clock=clock, lease_clock=clock).close()
    assert rows(store) == [(0, store.process_id)]
    beat(sleeper)
    assert rows(store) == [(0, store.process_id), (1, sleeper.process_id)]
    sleeper.close()


def test_when_every_number_is_in_use_a_store_does_not_open(store: Store, clock: Clock) -> None:
    now = to_column(store.clock())
    row = {"desk_id": 1, "description": "x", "started_at": now, "heartbeat_at": now, "last_id": 0}
    taken = [row | {"node": node, "process_id": node} for node in range(1, 1024)]
    store.write(lambda tx: tx.connection.execute(insert(process), taken).rowcount).result(10)
    with pytest.raises(Transient, match="every node number is in use"):
        Store(store.settings, clock=clock, lease_clock=clock)


def test_closing_a_store_whose_database_is_gone_is_no_error(settings: StoreSettings, clock: Clock) -> None:
    store = Store(settings, clock=clock, lease_clock=clock)
    store.write(lambda tx: tx.connection.exec_driver_sql("DROP TABLE process").rowcount).result(10)
    store.close()


def test_a_lock_that_is_not_held_is_released_without_harm(tmp_path: Path) -> None:
    lock = DataLock(tmp_path)
    lock.release()
    with lock:
        lock.release()


@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_keep_their_microseconds(instant: datetime) -> None:
    assert from_column(to_column(instant)) == instant
    assert from_column_or_none(to_column_or_none(instant)) == instant
    assert to_column_or_none(None) is from_column_or_none(None) is None
