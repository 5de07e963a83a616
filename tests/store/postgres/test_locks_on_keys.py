"""Who waits for whom: keys are locked one by one, many at once by their stripes, and the version before is kept off (ADR-0017)."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from sqlalchemy import text

from store import stripes
from store.store import Store
from store.transaction import Tx

pytestmark = pytest.mark.postgres_only("SQLite has one writer")
WAIT_SECONDS = 120.0
KEY = b"mail:one"
NEIGHBOUR = next(each for each in (b"mail:%d" % at for at in itertools.count()) if stripes.stripe_of(each) == stripes.stripe_of(KEY))
MANY = [KEY, *(b"many:%d" % at for at in range(stripes.MAX_KEYS))]
HERE = "locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
WAITING = text(f"SELECT count(*) FROM pg_locks WHERE {HERE} AND NOT granted")
HELD = text(f"SELECT count(*) FROM pg_locks WHERE {HERE} AND pid = pg_backend_pid()")

Lock = Callable[[Tx], None]


def locks(*keys: bytes) -> Lock:
    return lambda tx: stripes.lock(tx, keys)


def of_the_version_before(tx: Tx) -> None:
    """What code up to ADR-0017 says for the key."""
    tx.connection.execute(
        text("SELECT pg_advisory_xact_lock(:space, :stripe)"), {"space": 0x7472_0000 + tx.desk_id, "stripe": stripes.stripe_of(KEY)}
    )


class Two:
    """Two transactions, the second begun while the first has its locks."""

    def __init__(self, store: Store, first: Lock, second: Lock) -> None:
        self._store, self._go = store, threading.Event()
        has_it = threading.Event()

        def hold(tx: Tx) -> None:
            first(tx)
            has_it.set()
            assert self._go.wait(WAIT_SECONDS)

        self._first = store.write(hold)
        assert has_it.wait(WAIT_SECONDS)
        self._second: Future[None] = store.write(second)

    def second_waits(self) -> bool:
        """Until it is known: the second has its locks, or stands in line."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._second.done():
            assert time.monotonic() < deadline
            if self._store.read(lambda tx: tx.connection.execute(WAITING).scalar_one()):
                return True
        return False

    def end(self) -> None:
        self._go.set()
        self._first.result(WAIT_SECONDS)
        self._second.result(WAIT_SECONDS)


@pytest.fixture
def two(store: Store) -> Iterator[Callable[[Lock, Lock], Two]]:
    made: list[Two] = []

    def make(first: Lock, second: Lock) -> Two:
        made.append(Two(store, first, second))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.mark.parametrize("defended", [True, False])
def test_two_keys_of_one_stripe_do_not_wait_for_each_other(
    two: Callable[[Lock, Lock], Two], monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    """By stripes alone two batches of a hundred mails had one in common nearly always, so that replicas judged by turns."""
    if not defended:
        monkeypatch.setattr(stripes, "MAX_KEYS", 0)
    assert two(locks(KEY), locks(NEIGHBOUR)).second_waits() is not defended


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (locks(KEY), locks(b"other", KEY)),
        (locks(KEY), locks(*MANY)),
        (locks(*MANY), locks(KEY)),
        (locks(*MANY), locks(*MANY)),
        (of_the_version_before, locks(KEY)),
        (locks(KEY), of_the_version_before),
        (locks(*MANY), of_the_version_before),
    ],
    ids=["each other's", "one's among many", "many's one", "many's", "the version before's", "ours, before's", "ours of many, before's"],
)
def test_who_wants_a_key_that_another_has_waits_for_it(two: Callable[[Lock, Lock], Two], first: Lock, second: Lock) -> None:
    assert two(first, second).second_waits()


def test_the_locks_of_a_transaction_are_bounded_however_many_keys_it_has(store: Store) -> None:
    def count(tx: Tx) -> int:
        stripes.lock(tx, (b"key:%d" % at for at in range(20_000)))
        return int(tx.connection.execute(HELD).scalar_one())

    assert store.write(count).result(WAIT_SECONDS) <= stripes.STRIPES
