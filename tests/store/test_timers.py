"""Timers: set, set again, cleared; what a batch asks of them does not grow with it."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from store import timers


@pytest.fixture
def set_timers(store):
    """Set so many timers of tickets, all due."""

    def put(count):
        keys = [("ticket", number, "auto_close", 0) for number in range(count)]
        store.write(lambda tx: timers.set_many(tx, [(key, tx.now - timedelta(seconds=1)) for key in keys])).result()
        return keys

    return put


def test_the_generation_rises_when_a_timer_is_set_again_and_is_gone_with_it(store, set_timers):
    first, second, third = set_timers(3)
    store.write(lambda tx: timers.set_many(tx, [(second, tx.now)])).result()
    store.write(lambda tx: timers.clear_many(tx, [third])).result()
    assert store.read(lambda tx: timers.generations(tx, [first, second, third])) == {first: 1, second: 2}


def test_a_timer_of_the_same_subject_that_is_not_asked_for_is_left_out(store, set_timers):
    [asked] = set_timers(1)
    others = [("ticket", 0, "auto_close", 5), ("ticket", 0, "reminder", 0), ("series", 0, "auto_close", 0)]
    store.write(lambda tx: timers.set_many(tx, [(key, tx.now) for key in others])).result()
    assert store.read(lambda tx: timers.generations(tx, [asked])) == {asked: 1}


@pytest.mark.parametrize("count", [1, 100])
def test_the_generations_of_a_batch_are_one_statement(store, set_timers, count):
    keys, statements = set_timers(count), []

    def note(*given):
        if "generation" in given[2]:
            statements.append(given[2])

    event.listen(store._readers, "before_cursor_execute", note)
    try:
        assert len(store.read(lambda tx: timers.generations(tx, keys))) == count
    finally:
        event.remove(store._readers, "before_cursor_execute", note)
    assert len(statements) == 1
