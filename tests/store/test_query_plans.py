"""What is done for every item, claim or page finds its rows by an index: cost stays flat however many tickets there are."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import event

from itsm.envelope import Outcome
from itsm.errors import Conflict
from store import (
    budgets,
    credentials,
    entries,
    history,
    idempotency,
    inbox,
    outbox,
    outcomes,
    parts,
    process,
    refused,
    retention,
    series_rows,
    threads,
    tickets,
    timers,
    undeliverable,
)
from store.people_schema import WHOLE
from store.settings import Retention
from store.store import Store
from store.transaction import Tx

pytestmark = pytest.mark.sqlite_only("the plans of SQLite")

SMALL = frozenset({"process", "signing_key", "api_token", "counter", "directory", "totals"})
OF_FEW_ROWS = frozenset(
    index.name for table in WHOLE.sorted_tables for index in table.indexes if index.dialect_options["sqlite"]["where"] is not None
)
Statement = tuple[str, Any]


@pytest.fixture
def seen(store: Store) -> Iterator[list[Statement]]:
    """Every statement the store runs, with its parameters."""
    statements: list[Statement] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        statements.append((statement, parameters[0] if many else parameters))

    for engine in (store.engine, store._readers):
        event.listen(engine, "before_cursor_execute", listen)
    yield statements
    for engine in (store.engine, store._readers):
        event.remove(engine, "before_cursor_execute", listen)


def plan(store: Store, statement: str, parameters: Any) -> list[str]:
    connection = sqlite3.connect(store.file)
    details = [detail for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    connection.close()
    return details


def reads_all(detail: str) -> bool:
    """Whether a step reads a whole table: without an index, or by one of all rows of which it knows only the desk."""
    scan = re.match(r"SCAN (\w+)$", detail)
    search = re.match(r"SEARCH (\w+) USING (?:COVERING )?INDEX (\w+) \(desk_id=\?\)$", detail)
    if search:
        return search[1] not in SMALL and search[2] not in OF_FEW_ROWS
    return bool(scan) and scan[1] not in SMALL


def scans(store: Store, statements: list[Statement]) -> list[str]:
    """The statements that read a whole table; a page in the order of its index ends early and is none."""
    found = []
    for statement, parameters in statements:
        if re.match(r"(SELECT|UPDATE|DELETE|INSERT)", statement):
            details = plan(store, statement, parameters)
            in_order = "LIMIT" in statement and not any("TEMP B-TREE" in detail for detail in details)
            found += [f"{detail}: {statement}" for detail in details if reads_all(detail) and not in_order]
    return found


def _same(tx: Tx) -> None:
    with suppress(Conflict):  # there is no such envelope; its statement was run
        outcomes.record_same(tx, [(1, 2)], Outcome.DUPLICATE)


WORK: dict[str, Callable[[Tx], object]] = {
    "claim envelopes": lambda tx: inbox.claim(tx, process_id=1, limit=200, max_bytes=10**7),
    "raw bytes": lambda tx: inbox.raw_bytes(tx, [1, 2]),
    "record outcomes": lambda tx: outcomes.record(tx, [(1, 0, Outcome.CREATED)]),
    "begin parts": lambda tx: outcomes.begin(tx, [(1, 2)]),
    "release envelopes": lambda tx: inbox.release(tx, [1]),
    "release every claim": inbox.release_all,
    "quarantine": lambda tx: inbox.quarantine(tx, 1, "x"),
    "retry": lambda tx: inbox.retry(tx, 1),
    "find an envelope": lambda tx: inbox.find(tx, 1),
    "find by Message-ID": lambda tx: inbox.find_by_message_id(tx, "m@x"),
    "list quarantine": lambda tx: inbox.listed(tx, "quarantined"),
    "depth of pending": lambda tx: inbox.depth(tx, "pending"),
    "depth of quarantine": lambda tx: inbox.depth(tx, "quarantined"),
    "parts of an envelope": lambda tx: parts.of_inbox(tx, 1),
    "parts of a ticket": lambda tx: parts.of_ticket(tx, 1),
    "first answer": lambda tx: idempotency.first_answer(tx, "d", "k", b"h"),
    "keep refused": lambda tx: refused.keep(tx, "s", "r", b"b"),
    "tickets by id": lambda tx: tickets.by_ids(tx, [1, 2]),
    "tickets by number": lambda tx: tickets.by_numbers(tx, [1, 2]),
    "newest tickets": tickets.listed,
    "open tickets": lambda tx: tickets.listed(tx, state="open"),
    "tickets of a requester": lambda tx: tickets.listed(tx, requester="a@x"),
    "links of a ticket": lambda tx: tickets.links_of(tx, 1),
    "open tickets counted": tickets.open_counts,
    "entries of a ticket": lambda tx: entries.of_ticket(tx, 1),
    "participants": lambda tx: entries.participants(tx, [1]),
    "mails seen": lambda tx: threads.seen_before(tx, [b"k"]),
    "mails sent": lambda tx: threads.sent_before(tx, [b"k"]),
    "mails sent by id": lambda tx: threads.sent_by_ids(tx, [1]),
    "undeliverable addresses": lambda tx: undeliverable.among(tx, ["a@x"]),
    "lift undeliverable": lambda tx: undeliverable.lift_many(tx, ["a@x"]),
    "mails pending": lambda tx: threads.pending_in_inbox(tx, [b"k"]),
    "record one outcome for all parts": _same,
    "versions of series": lambda tx: series_rows.versions(tx, [1, 2]),
    "give numbers back": lambda tx: tickets.give_back_numbers(tx, range(5, 9)),
    "series by key": lambda tx: series_rows.by_keys(tx, [("s", "k")]),
    "open series": lambda tx: series_rows.open_by_source(tx, limit=50, source="s"),
    "budgets": lambda tx: budgets.used(tx, [("b", tx.now)]),
    "spend": lambda tx: budgets.spend(tx, {("b", tx.now): (1, 5)}),
    "timers due": lambda tx: timers.due(tx, 10),
    "next timer": timers.next_due,
    "generations of timers": lambda tx: timers.generations(tx, [("ticket", 1, "auto_close", 0)]),
    "claim notifications": lambda tx: outbox.claim(tx, process_id=1, limit=50),
    "expired sendings": outbox.release_expired,
    "release notifications": outbox.release_all,
    "rendered bytes": lambda tx: outbox.rendered_bytes(tx, [1]),
    "notifications of a ticket": lambda tx: outbox.listed(tx, ticket_id=1),
    "dead notifications": lambda tx: outbox.listed(tx, state="dead"),
    "notifications counted": outbox.counts,
    "oldest notification": outbox.oldest_queued,
    "append history": lambda tx: history.append_many(tx, [("ticket:1", "open", "a@x", (1,), b"{}")]),
    "history of a stream": lambda tx: history.of_stream(tx, "ticket:1"),
    "authenticate": lambda tx: credentials.authenticate(tx, "trd_x"),
    "retention": lambda tx: retention.sweep(tx, Retention()),
}


@pytest.mark.parametrize("name", WORK)
def test_no_whole_table_is_read(store: Store, seen: list[Statement], name: str) -> None:
    store.write(WORK[name]).result(10)
    assert scans(store, seen) == []


def test_heartbeat_and_accept_read_nothing_large(store: Store, seen: list[Statement], arrive: Callable[..., int]) -> None:
    arrive(message_id="m@x")
    store.write(lambda tx: process.heartbeat(tx, store.lease)).result(10)
    assert scans(store, seen) == []


PARTIAL = {
    "claim envelopes": "inbox_pending",
    "release every claim": "inbox_pending",
    "depth of pending": "inbox_pending",
    "list quarantine": "part_quarantined",
    "depth of quarantine": "inbox_quarantined",
    "open tickets": "ticket_open",
    "open tickets counted": "ticket_open",
    "open series": "series_open",
    "claim notifications": "outbox_due",
    "expired sendings": "outbox_sending",
    "dead notifications": "outbox_dead",
    "notifications counted": "outbox_held",
}


@pytest.mark.parametrize("name", PARTIAL)
def test_the_few_rows_in_a_state_are_found_by_their_own_index(store: Store, seen: list[Statement], name: str) -> None:
    store.write(WORK[name]).result(10)
    details = [detail for statement in seen for detail in plan(store, *statement)]
    assert any(PARTIAL[name] in detail for detail in details), details


def test_mails_that_are_in_order_wait_by_the_index_of_unsettled_ones(store: Store, seen: list[Statement]) -> None:
    store.write(lambda tx: outbox.claim(tx, process_id=1, limit=50)).result(10)
    details = plan(store, *seen[0])
    assert any("outbox_unsettled" in detail for detail in details), details
