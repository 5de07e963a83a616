"""`verify`: a store that is well has no findings, and each way of being unwell has its sentence."""

from collections.abc import Callable

import pytest

from itsm.decision import Reasons
from itsm.envelope import Outcome
from itsm.identifier import inbox_text
from store import outcomes, parts, totals, verify
from store.store import Store

Arrive = Callable[..., int]


def findings(store: Store) -> list[str]:
    return store.read(lambda tx: list(verify.findings(tx)))


def sql(store: Store, *statements: str) -> None:
    for statement in (each if store.settings.postgres is None else each.replace("x'00'", "'\\x00'::bytea") for each in statements):
        store.write(lambda tx, each=statement: tx.connection.exec_driver_sql(each).rowcount).result(10)


@pytest.fixture
def ended(store: Store, arrive: Arrive) -> int:
    """An envelope of two parts: one linked, with its row, one a duplicate."""
    inbox_id = arrive(b"two parts")
    store.write(lambda tx: outcomes.record(tx, [(inbox_id, 0, Outcome.LINKED), (inbox_id, 1, Outcome.DUPLICATE)])).result(10)
    linked = (inbox_id, 0, "user_message", Outcome.LINKED, None, Reasons(code="known", sentence="seen before"))
    store.write(lambda tx: parts.insert_many(tx, [linked])).result(10)
    store.write(lambda tx: parts.insert_many(tx, [])).result(10)
    return inbox_id


def test_a_store_that_is_well_has_no_findings(store: Store, ended: int) -> None:
    assert findings(store) == []
    balance = store.read(totals.balance)
    assert (balance.accepted, balance.done, balance.parts, balance.outcomes["linked"], balance.outcomes["duplicate"]) == (1, 1, 2, 1, 1)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE inbox SET outcomes = 'L.'", "state done, 2 parts and outcomes 'L.' do not agree"),
        ("UPDATE inbox SET outcomes = 'LDD'", "parts 2 is not outcomes 3 + waiting 0"),
        ("UPDATE inbox SET outcomes = 'L?'", "parts 2 is not outcomes 1 + waiting 0"),
        ("UPDATE inbox SET state = 'lost'", "accepted 1 is not pending 0 + done 0 + quarantined 0"),
        ("UPDATE inbox SET state = 'pending', done_at = NULL", "state pending, 2 parts and outcomes 'LD' do not agree"),
        ("UPDATE inbox SET done_at = NULL", "do not agree"),
        ("UPDATE inbox SET outcomes = '', part_count = 0", "its row says linked, its envelope says nothing"),
        ("UPDATE inbox SET size_bytes = 10", "9 of its 10 bytes are there"),
        ("UPDATE part SET outcome = 'created'", "part 0: its row says created, its envelope says L"),
        ("UPDATE part SET inbox_id = 404", "in-404 part 0: its envelope is missing"),
        ("UPDATE part SET ticket_id = 404", "part names ticket 404, which is not there"),
        ("INSERT INTO raw VALUES (1, 404, 0, x'00')", "raw names inbox 404, which is not there"),
        ("INSERT INTO outbox_raw VALUES (1, 404, 0, x'00')", "outbox_raw names outbox 404, which is not there"),
        ("INSERT INTO totals VALUES (1, 'accepted', 1)", "accepted 2 is not pending 0 + done 1 + quarantined 0"),
        ("INSERT INTO totals VALUES (1, 'parts', 1)", "parts 3 is not outcomes 2 + waiting 0"),
    ],
)
def test_what_does_not_agree_is_told(store: Store, ended: int, statement: str, told: str) -> None:
    sql(store, statement)
    assert [finding for finding in findings(store) if told in finding], findings(store)


def test_bytes_that_are_still_needed_and_gone_are_told(store: Store, arrive: Arrive, ended: int) -> None:
    waiting = arrive()
    sql(store, "DELETE FROM raw")
    assert findings(store) == [f"{inbox_text(waiting)}: its bytes are missing"]


TICKET = (
    "INSERT INTO ticket (desk_id, id, number, type, state, subject, impact, urgency, priority, requester, requester_name, team, assignee, "
    "service, tags, source, group_key, severity, event_count, reopen_count, pending_reason, resolution_code, opened_at, updated_at, version) "
    "VALUES (1, 7, 1001, 'incident', 'new', 's', 3, 3, 5, '', '', '', '', '', '[]', '', '', '', 0, 0, '', '', 0, 0, 1)"
)


def test_a_ticket_without_history_is_told(store: Store) -> None:
    sql(store, TICKET)
    assert findings(store) == ["history ticket:7: the whole stream is missing"]


def test_rendered_mail_that_is_gone_is_told(store: Store) -> None:
    sql(
        store,
        "INSERT INTO outbox (desk_id, id, ticket_id, ticket_number, event, state, recipient, recipient_name, message_id, message_id_sha256, "
        "reference_ids, facts, created_at, due_at, reverse_path) "
        "VALUES (1, 9, 7, 1001, 'reply', 'queued', 'a@x', '', 'm@x', x'00', '[]', '{}', 0, 0, 'v@x')",
    )
    assert findings(store) == ["notification 9: it was rendered and its bytes are missing", "outbox names ticket 7, which is not there"]


@pytest.mark.sqlite_only("PostgreSQL cannot be told to forget a foreign key")
def test_an_entry_without_its_ticket_is_told(store: Store) -> None:
    sql(store, "PRAGMA foreign_keys = OFF")
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql(
            "INSERT INTO entry (desk_id, id, ticket_id, direction, visibility, author, author_name, verified, kind, subject, text, reply_text, "
            "note, created_at) VALUES (1, 1, 404, 'desk', 'internal', '', '', 0, 'words', '', '', '', '', 0)"
        )
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
    assert findings(store) == ["entry row 1 names a ticket that is not there"]


@pytest.mark.sqlite_only("PostgreSQL checks its files itself")
def test_a_damaged_file_is_told(store: Store, arrive: Arrive) -> None:
    for _ in range(50):
        arrive(message_id="m@x")
    sql(store, "PRAGMA writable_schema = ON")
    sql(
        store,
        "UPDATE sqlite_master SET sql = replace(sql, '(desk_id, message_id_sha256)', '(desk_id, size_bytes)') WHERE name = 'inbox_message_id'",
    )
    again = Store(store.settings, clock=store.clock)
    assert [finding for finding in findings(again) if finding.startswith("the database file is damaged")]
    again.close()
