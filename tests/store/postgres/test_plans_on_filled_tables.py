"""On PostgreSQL the planner decides by what the tables hold: with thousands of tickets in them, nothing of the hot path reads a whole table."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from math import inf
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from bench.growth.fill import FIRST_MILLISECOND, SECONDS_BETWEEN, TABLES
from prove.postgres import PostgresServer
from store.settings import PostgresSettings, StoreSettings
from store.store import Store
from tests.casework.desks import TestDesk, mail
from tests.conftest import EMPTY
from tests.store.test_query_plans import OF_FEW_ROWS, WORK

__all__ = ["mail"]
pytestmark = pytest.mark.postgres_only("its planner")

TICKETS = 5_000
FILLED = "triaged_filled"
FEW_ROWS = 500  # a table of so few is read in one or two pages, whatever the planner does
AFTER = datetime.fromtimestamp(FIRST_MILLISECOND / 1000 + TICKETS * SECONDS_BETWEEN, UTC)
Statement = tuple[str, Any]


@pytest.fixture(scope="module")
def filled(postgres_server: PostgresServer) -> Iterator[str]:
    """A database to copy: closed tickets with all that belongs to them, two in a hundred open, and the planner knows of them."""
    postgres_server.make_database(FILLED, template=EMPTY)
    with psycopg.connect(postgres_server.url(FILLED)) as connection:
        for table, columns, rows in TABLES:
            with connection.cursor().copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy:
                for number in range(TICKETS):
                    for row in rows(number):
                        copy.write_row(row)
        connection.execute("UPDATE ticket SET state = 'new' WHERE number % 50 = 0")
        connection.execute(
            "INSERT INTO search_words SELECT desk_id, id, ticket_id, array_to_tsvector(ARRAY['broken', 'w' || id]) FROM entry"
        )
        connection.execute(f"INSERT INTO counter (desk_id, name, next) VALUES (1, 'ticket', {1001 + TICKETS})".encode())
    postgres_server.sql("VACUUM ANALYZE", database=FILLED)
    yield FILLED
    postgres_server.drop_database(FILLED)


@pytest.fixture
def settings(filled: str, engine: str, postgres_server: PostgresServer, tmp_path: Any) -> Iterator[StoreSettings]:
    name = f"plans_{id(tmp_path)}"
    yield StoreSettings(path=str(tmp_path), postgres=PostgresSettings(url=postgres_server.make_database(name, template=filled), writers=1))
    postgres_server.drop_database(name)


@pytest.fixture
def store(settings: StoreSettings) -> Iterator[Store]:
    opened = Store(settings, clock=lambda: AFTER, lease_clock=lambda: AFTER)
    yield opened
    opened.close()


def listened(store: Store) -> list[Statement]:
    """Every statement that the store runs from now on, with its parameters."""
    found: list[Statement] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        found.append((statement, parameters[0] if many else parameters))

    for each in (store.engine, store._readers):
        event.listen(each, "before_cursor_execute", listen)
    return found


def nodes(plan: dict[str, Any], limit: float = inf) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each step, and whether one above it stops it before it has read everything: then more rows match than are asked for."""
    yield plan, plan["Plan Rows"] > limit
    if plan["Node Type"] == "Limit":
        limit = plan["Plan Rows"]
    elif plan["Node Type"] in ("Sort", "Aggregate", "Hash"):
        limit = inf
    for each in plan.get("Plans", ()):
        yield from nodes(each, limit)


def reads_all(node: dict[str, Any], large: set[str]) -> bool:
    """Whether a step reads a large table from end to end, or by an index of all its rows of which it knows only the desk."""
    if node["Node Type"] == "Seq Scan":
        return node["Relation Name"] in large
    index = node.get("Index Name", "")
    only_desk = re.fullmatch(r"\((\w+\.)?desk_id = \S+\)", node.get("Index Cond", "(desk_id = 1)"))
    return bool(index and only_desk) and index not in OF_FEW_ROWS and any(index.startswith(each) for each in large)


def read_whole(store: Store, statements: list[Statement]) -> list[str]:
    """The steps that read a whole table, and their statement."""
    sizes = "SELECT relname, reltuples FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    found = []
    with store.engine.connect() as connection:
        large = {name for name, rows in connection.exec_driver_sql(sizes) if rows > FEW_ROWS}
        assert {"ticket", "entry", "outbox", "inbox", "series", "history"} <= large
        for statement, parameters in statements:
            if not statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")):
                continue
            plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
            for node, ends_early in nodes(plan[0]["Plan"]):
                if reads_all(node, large) and not ends_early:
                    found.append(f"{node.get('Relation Name')} by {node.get('Index Name')} {node.get('Index Cond')}: {statement}")
    return found


@pytest.mark.parametrize("name", WORK)
def test_no_whole_table_is_read(store: Store, name: str) -> None:
    statements = listened(store)
    store.write(WORK[name]).result(60)
    assert statements or name == "give numbers back"  # which a replica keeps in memory
    assert read_whole(store, statements) == []


@pytest.fixture
def desk(settings: StoreSettings) -> Iterator[TestDesk]:
    made = TestDesk(settings)
    made.time = AFTER
    yield made
    made.store.close()


def alert(name: str, status: str = "firing") -> bytes:
    alerts = [{"status": status, "labels": {"alertname": name}, "startsAt": "2025-01-02T10:00:00Z"}]
    return json.dumps({"version": "4", "alerts": alerts}).encode()


def test_the_way_of_mails_replies_and_alerts_reads_no_whole_table(desk: TestDesk, mail: Callable[..., bytes]) -> None:
    statements = listened(desk.store)
    desk.put(mail("one"))
    desk.put(mail("two", subject="The door is stuck"))
    desk.triage()
    desk.put(mail("reply", In_Reply_To=f"<{desk.outbox('acknowledged')[0].message_id}>"))
    desk.post(alert("disk"))
    desk.post(alert("old17"))
    desk.triage()
    desk.post(alert("disk", "resolved"))
    desk.triage()
    desk.tick(seconds=1)
    assert len({statement for statement, _ in statements}) > 40
    assert read_whole(desk.store, statements) == []


@pytest.mark.parametrize(("index", "name"), [("outbox_ticket", "notifications of a ticket"), ("entry_ticket", "entries of a ticket")])
def test_a_missing_index_would_be_seen(store: Store, index: str, name: str) -> None:
    statements = listened(store)
    store.write(WORK[name]).result(60)
    store.write(lambda tx: tx.connection.exec_driver_sql(f"DROP INDEX {index}").rowcount).result(60)
    assert read_whole(store, statements) != []
