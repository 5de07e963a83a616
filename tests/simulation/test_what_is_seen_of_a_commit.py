"""What the mirror makes of a commit, and the checker of that: a row that went and came anew is not the old one changed."""

from datetime import UTC, datetime, timedelta
from os import urandom
from random import Random

import pytest

from prove.simulation.checks import Broken, Checker
from prove.simulation.life import BUDGETS
from prove.simulation.mirror import Mirror, watch
from prove.simulation.relay import ScriptedRelay
from store import timers
from store.settings import StoreSettings
from store.store import Store
from store.transaction import Tx

NOW = datetime(2026, 3, 23, 10, 0, tzinfo=UTC)
RESOLVED = {number: {"id": number, "number": number, "state": "resolved"} for number in (1, 2, 3)}


@pytest.fixture
def commit(tmp_path):
    """Do some work in one transaction; what the mirror saw change."""
    store, mirror = Store(StoreSettings(path=str(tmp_path)), clock=lambda: NOW), Mirror()
    with store.engine.connect() as connection:
        raw = connection.connection.driver_connection
        watch(raw)
        mirror.first(raw)

        def work_and_look(*work):
            tx = Tx(connection, NOW, store.new_id, urandom)
            for each in work:
                each(tx)
            connection.commit()
            return mirror.look([raw])

        yield work_and_look
    store.close()


@pytest.fixture
def judge():
    """Whether the checker lets it pass; three tickets are resolved."""
    settings = {"budgets": BUDGETS, "wall": lambda: 0, "close_after_days": 3, "name_of": lambda _body: ""}
    checker = Checker(Mirror(), ScriptedRelay(Random(1)), **settings)
    checker.tickets |= RESOLVED
    return checker.commit


def sets(*tickets, days=3):
    return lambda tx: timers.set_many(tx, [(("ticket", each, "auto_close", 0), NOW + timedelta(days=days)) for each in tickets])


def clears(*tickets):
    return lambda tx: timers.clear_many(tx, [("ticket", each, "auto_close", 0) for each in tickets])


def sets_without_a_new_generation(ticket):
    return lambda tx: tx.connection.exec_driver_sql("UPDATE timer SET due_at = due_at + 1 WHERE subject_id = ?", (ticket,))


def told(changes):
    """Each as ticket and generation before, ticket and generation after."""
    return [tuple(row and (row["subject_id"], row["generation"]) for row in (each.old, each.new)) for each in changes]


def test_a_timer_that_is_set_again_is_the_same_timer_with_another_generation(commit, judge):
    judge(commit(sets(1)))
    again = commit(sets(1, days=4))
    assert told(again) == [((1, 1), (1, 2))]
    judge(again)


def test_a_timer_that_is_cleared_and_set_in_one_commit_is_another_timer(commit, judge):
    judge(commit(sets(1)))
    anew = commit(clears(1), sets(1, days=4))
    assert told(anew) == [((1, 1), None), (None, (1, 1))]
    judge(anew)


def test_a_timer_that_comes_anew_to_the_very_same_row_is_seen(commit, judge):
    judge(commit(sets(1)))
    assert told(commit(clears(1), sets(1))) == [((1, 1), None), (None, (1, 1))]


def test_what_went_is_told_before_what_came_though_it_lay_behind_it(commit, judge):
    judge(commit(sets(1, 2, 3)))
    swapped = commit(clears(2, 3), sets(3, 2))
    assert told(swapped) == [((2, 1), None), ((3, 1), None), (None, (3, 1)), (None, (2, 1))]
    judge(swapped)


def test_a_timer_that_is_set_again_and_keeps_its_generation_is_a_finding(commit, judge):
    judge(commit(sets(1)))
    with pytest.raises(Broken, match="a timer was set and kept its generation"):
        judge(commit(sets_without_a_new_generation(1)))


def test_a_row_that_came_and_went_within_a_commit_is_no_change(commit):
    assert commit(sets(1), clears(1)) == []
