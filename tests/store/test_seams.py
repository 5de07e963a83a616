"""A store that is driven: one thread, an order the caller decides, and randomness from a seed."""

import random
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select

from itsm.errors import Transient
from store import step
from store.desk_schema import counter
from store.seams import Seams
from store.settings import StoreSettings
from store.store import Store

NOON = datetime(2026, 3, 23, 12, 0, tzinfo=UTC)


def driven(folder, turns, seed=1):
    chance = random.Random(seed)
    seams = Seams(random_bytes=chance.randbytes, monotonic=lambda: 0.0, drive=turns.append)
    return Store(StoreSettings(path=str(folder)), clock=lambda: NOON, seams=seams)


def put(name):
    return lambda tx: (tx.connection.execute(insert(counter).values(desk_id=tx.desk_id, name=name, next=1)), threading.get_ident())[1]


def names(store):
    return store.read(lambda tx: list(tx.connection.execute(select(counter.c.name).order_by(counter.c.name)).scalars()))


def test_a_driven_writer_writes_in_the_turn_it_was_given_and_in_no_thread(tmp_path):
    turns = []
    store = driven(tmp_path, turns)
    one, two = store.write(put("one")), store.write(put("two"))
    assert len(turns) == 1
    assert not one.done()
    turns.pop()()
    assert one.result(0) == two.result(0) == threading.get_ident()
    store.write(put("three"))
    store.close()
    assert len(turns) == 1
    again = driven(tmp_path, turns)
    assert names(again) == ["one", "three", "two"]
    again.close()


def test_a_driven_writer_that_failed_for_good_refuses_every_write(tmp_path):
    turns = []
    store = driven(tmp_path, turns)

    def no_connection():
        raise RuntimeError("a bug")

    store.engine.connect, kept = no_connection, store.engine.connect
    lost = store.write(put("one"))
    turns.pop()()
    with pytest.raises(Transient, match="the store stopped"):
        lost.result(0)
    with pytest.raises(Transient, match="the store stopped"):
        store.write(put("two"))
    store.engine.connect = kept
    store.close()


def test_the_seed_decides_the_process_id_and_every_salt(tmp_path):
    found = set()
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        store = driven(tmp_path / folder, [], seed)
        found.add((store.process_id, store.read(lambda tx: tx.random_bytes(4))))
        store.close()
    assert len(found) == 2


def test_an_observer_sees_every_step_by_name():
    seen = []
    with step.observing(seen.append):
        step.step("accept.before_commit")
    step.step("accept.after_commit")
    assert seen == ["accept.before_commit"]
