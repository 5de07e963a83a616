"""Statements that go to the driver itself: nobody can tell from what comes back, nor from what is heard of them."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import bindparam, event, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from itsm.errors import Conflict
from store.bulk import BulkInsert
from store.driver import run
from store.lookup import Lookup, Query, among
from store.schema import DESK_ID, budget
from store.store import Store

_keep = BulkInsert(budget, "desk_id", "key", "window_start", "used")
ROWS = [(DESK_ID, f"key {number}", number, 10 * number) for number in range(12)]


@pytest.fixture
def kept(store: Store) -> Store:
    store.write(lambda tx: _keep(tx, ROWS)).result(10)
    return store


@pytest.fixture
def heard(kept: Store) -> Iterator[list[tuple[str, bool]]]:
    """The statements on budgets that somebody who listens hears of, and whether they were for many rows."""
    found: list[tuple[str, bool]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, many: bool) -> None:
        if "budget" in statement:
            found.append((statement, many))

    engines = {kept.engine, kept._readers}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", listen)
    yield found
    for engine in engines:
        event.remove(engine, "before_cursor_execute", listen)


def test_who_listens_to_an_engine_hears_every_statement(kept: Store, heard: list[tuple[str, bool]]) -> None:
    kept.write(lambda tx: run(tx.connection, "DELETE FROM budget WHERE desk_id = 1", ()).rowcount).result(10)
    kept.write(lambda tx: _keep(tx, ROWS[:1])).result(10)
    kept.write(lambda tx: _keep(tx, ROWS[1:3])).result(10)
    assert [(statement.split()[0], many) for statement, many in heard] == [("DELETE", False), ("INSERT", False), ("INSERT", True)]


def test_a_row_that_is_refused_is_told_as_sqlalchemy_tells_it(kept: Store) -> None:
    with pytest.raises((IntegrityError, Conflict)):  # as each engine says it
        kept.write(lambda tx: _keep(tx, ROWS[:1])).result(10)
    with pytest.raises(DBAPIError) as refused:
        kept.read(lambda tx: run(tx.connection, "SELECT nothing FROM budget WHERE desk_id = 1", ()))
    assert "nothing" in str(refused.value)


def test_a_query_gives_its_columns_by_name_and_takes_its_values_by_place(kept: Store) -> None:
    query = (
        select(budget.c.key, budget.c.used)
        .where(budget.c.desk_id == bindparam("desk_id"), budget.c.used >= bindparam("least"))
        .order_by(budget.c.used)
        .limit(bindparam("limit"))
    )
    dear = Query(query, "limit", "desk_id", "least")
    found = kept.read(lambda tx: [(row.key, row.used) for row in dear(tx.connection, 2, DESK_ID, 55)])
    assert found == [("key 6", 60), ("key 7", 70)]


def test_what_a_statement_returns_comes_by_place(kept: Store) -> None:
    change = Query(text("UPDATE budget SET used = :used WHERE desk_id = :desk_id AND key = :key RETURNING used"), "desk_id", "key", "used")
    assert kept.write(lambda tx: change(tx.connection, DESK_ID, "key 3", 7)).result(10) == [(7,)]


def test_a_value_that_a_statement_does_not_bind_is_refused(kept: Store) -> None:
    with pytest.raises(AssertionError, match="the statement binds"):
        kept.read(lambda tx: Query(text("SELECT :a"), "b")(tx.connection, 1))


def test_a_look_up_by_more_than_keys(kept: Store) -> None:
    here = (budget.c.desk_id == bindparam("desk_id"), budget.c.used > bindparam("more"), among(budget.c.key))
    lookup = Lookup(select(budget).where(*here).order_by(budget.c.used), "more")
    found = kept.read(
        lambda tx: [(row.desk_id, row.key, row.window_start, row.used) for row in lookup(tx, ["key 1", "key 3", "key 4"], 15)]
    )
    assert found == ROWS[3:5]
