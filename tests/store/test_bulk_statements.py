"""Bulk statements: rows as tuples in the caller's order, whatever order the statement binds them in."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import bindparam, text, update
from sqlalchemy.exc import IntegrityError

from itsm.errors import Conflict
from store import budgets, tickets
from store.bulk import ROWS_A_BLOCK, Bulk, BulkInsert
from store.desk_schema import counter
from store.schema import DESK_ID
from store.store import Store
from store.transaction import Tx

AT = datetime(2026, 11, 25, tzinfo=UTC)


def test_rows_are_put_in_the_order_of_the_statement_and_counted(store: Store) -> None:
    here = counter.c.desk_id == bindparam("desk")
    change = Bulk(update(counter).where(here, counter.c.name == bindparam("which")).values(next=bindparam("to")), "desk", "which", "to")

    def work(tx: Tx) -> tuple[int, object]:
        tickets.draw_numbers(tx, 3)
        return change(tx, [(DESK_ID, "ticket", 42), (DESK_ID, "nothing", 1)]), tx.connection.execute(
            text("SELECT next FROM counter")
        ).scalar_one()

    assert store.write(work).result() == (1, 42)


def test_no_rows_are_no_statement(store: Store) -> None:
    broken = Bulk(text("INSERT INTO nowhere VALUES (:a)"), "a")
    assert store.write(lambda tx: broken(tx, [])).result() == 0


@pytest.mark.parametrize("count", [1, ROWS_A_BLOCK - 1, ROWS_A_BLOCK, ROWS_A_BLOCK + 1, 3 * ROWS_A_BLOCK + 2])
def test_rows_in_blocks_are_the_rows_that_were_given(store: Store, count: int) -> None:
    keep = BulkInsert(counter, *("next", "name", "desk_id"), on_conflict="(desk_id, name) DO UPDATE SET next = excluded.next")
    rows = [(number, f"counter {number}", DESK_ID) for number in range(count)]

    def work(tx: Tx) -> tuple[int, list[tuple[int, str]]]:
        keep(tx, [(-1, "counter 0", DESK_ID)])  # one of them is there already
        written = keep(tx, rows)
        query = text("SELECT next, name FROM counter WHERE name LIKE 'counter %'")
        return written, sorted((row.next, row.name) for row in tx.connection.execute(query))

    assert store.write(work).result() == (count, [(number, name) for number, name, _ in rows])


def test_a_block_with_a_row_that_is_refused_leaves_nothing(store: Store) -> None:
    keep = BulkInsert(counter, "desk_id", "name", "next")
    twice = [(DESK_ID, f"counter {number % ROWS_A_BLOCK}", 1) for number in range(ROWS_A_BLOCK + 1)]
    with pytest.raises((IntegrityError, Conflict)):  # as each engine says it
        store.write(lambda tx: keep(tx, twice)).result()
    query = text("SELECT count(*) FROM counter WHERE name LIKE 'counter %'")
    assert store.read(lambda tx: tx.connection.execute(query).scalar_one()) == 0


def test_one_budget_of_many_that_is_used_up_refuses_them_all(store: Store) -> None:
    store.write(lambda tx: budgets.spend(tx, {("full", AT): (2, 2)})).result()
    with pytest.raises(Conflict):
        store.write(lambda tx: budgets.spend(tx, {("empty", AT): (1, 2), ("full", AT): (1, 2)})).result()
    assert store.read(lambda tx: budgets.used(tx, [("empty", AT), ("full", AT)])) == {("full", AT): 2}


def test_more_than_a_budget_has_is_refused_where_nobody_took_of_it_yet(store: Store) -> None:
    with pytest.raises(Conflict):
        store.write(lambda tx: budgets.spend(tx, {("new", AT): (3, 2)})).result()
    assert store.read(lambda tx: budgets.used(tx, [("new", AT)])) == {}


def test_budgets_of_many_limits_are_taken_from_each_under_its_own(store: Store) -> None:
    amounts = {(f"of {limit} {number}", AT): (1, limit) for limit in (1, 2, 3) for number in range(2 * ROWS_A_BLOCK + 1)}
    store.write(lambda tx: budgets.spend(tx, amounts)).result()
    store.write(lambda tx: budgets.spend(tx, {key: each for key, each in amounts.items() if each[1] > 1})).result()
    assert set(store.read(lambda tx: budgets.used(tx, amounts)).values()) == {1, 2}
    with pytest.raises(Conflict):
        store.write(lambda tx: budgets.spend(tx, {("of 2 0", AT): (1, 2), ("of 3 0", AT): (1, 3)})).result()
    assert store.read(lambda tx: budgets.used(tx, [("of 3 0", AT)])) == {("of 3 0", AT): 2}


def test_numbers_that_are_given_back_are_drawn_next(store: Store) -> None:
    def draw(count: int, used: int) -> Callable[[Tx], list[int]]:
        def work(tx: Tx) -> list[int]:
            drawn = tickets.draw_numbers(tx, count)
            tickets.give_back_numbers(tx, drawn[used:])
            return list(drawn[:used])

        return work

    first = store.write(draw(10, 3)).result()
    assert store.write(draw(2, 2)).result() == [first[-1] + 1, first[-1] + 2]


def test_numbers_somebody_drew_after_us_stay_with_them(store: Store) -> None:
    def work(tx: Tx) -> int:
        ours = tickets.draw_numbers(tx, 10)
        theirs = tickets.draw_numbers(tx, 1)
        tickets.give_back_numbers(tx, ours[3:])
        assert tickets.draw_numbers(tx, 1)[0] > theirs[0]
        return theirs[0]

    assert store.write(work).result() > 0
