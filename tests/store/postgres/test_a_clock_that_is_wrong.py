"""F73: a replica whose clock is wrong. What several share goes by the database's clock, or one would take what another holds."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from store import claims, leases, process
from store.settings import StoreSettings
from store.store import Store
from store.transaction import Tx
from triaged import clock

pytestmark = pytest.mark.postgres_only("replicas share a PostgreSQL")
LIFE = timedelta(minutes=1)
Pair = Callable[[int, bool], tuple[Store, Store]]


@pytest.fixture
def pair(settings: StoreSettings) -> Iterator[Pair]:
    """A store whose clock is right and one that is off by some minutes; undefended, leases go by their own clocks."""
    with ExitStack() as opened:

        def make(minutes: int, defended: bool) -> tuple[Store, Store]:
            def wrong() -> datetime:
                return clock.now() + timedelta(minutes=minutes)

            right_store = Store(settings, clock=clock.now, lease_clock=None if defended else clock.now)
            wrong_store = Store(settings, clock=wrong, lease_clock=None if defended else wrong)
            return opened.enter_context(closing(right_store)), opened.enter_context(closing(wrong_store))

        yield make


def take(store: Store) -> int | None:
    return store.write(lambda tx: leases.take(tx, "mailbox/desk", holder=store.process_id, duration=LIFE)).result(10)


@pytest.mark.parametrize("defended", [True, False])
@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_lease_is_neither_taken_early_nor_lost_early(pair: Pair, minutes: int, defended: bool) -> None:
    right, wrong = pair(minutes, defended)
    first, second = (wrong, right) if minutes < 0 else (right, wrong)
    assert take(first) == 1
    assert (take(second) is None) is defended


@pytest.mark.parametrize("defended", [True, False])
def test_who_lives_is_not_taken_for_dead(pair: Pair, defended: bool) -> None:
    right, wrong = pair(-5, defended)
    wrong.write(lambda tx: process.heartbeat(tx, wrong.lease)).result(10)

    def living(tx: Tx) -> list[int]:
        ids = claims.process.c.process_id
        return [
            *tx.connection.execute(select(ids).where(claims.process.c.desk_id == tx.desk_id, ids.in_(claims._living(tx, LIFE)))).scalars()
        ]

    assert (wrong.process_id in right.write(living).result(10)) is defended
