"""The ledger finds what a proof is there to find: a loss, a double, a wrong ticket, a second answer."""

import sqlite3
import time

import pytest

from prove import ledger as books
from prove.clients import Clients, Ledger
from prove.crash import finish
from prove.daemon import Daemon
from prove.relay import RecordingRelay

WAIT_SECONDS = 180.0


def some_of_everything(ledger: Ledger) -> bool:
    replied = len(ledger.mails & set(ledger.replies)) > 2
    return replied and bool(ledger.answers) and len(ledger.resolved) > 2 and ledger.repeats > 5


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A life in peace, with some of everything."""
    folder = tmp_path_factory.mktemp("ledger")
    relay, ledger = RecordingRelay(), Ledger()
    daemon = Daemon(folder, relay.port)
    clients = Clients(daemon, ledger, relay, pause_seconds=0.02)
    try:
        daemon.start()
        daemon.wait_ready()
        clients.start()
        deadline = time.monotonic() + WAIT_SECONDS
        while not some_of_everything(ledger):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        clients.stop()
        assert finish(daemon, folder, ledger, relay, kills=0).findings == ()
    finally:
        clients.stop()
        daemon.close()
        relay.close()
    return folder, ledger, relay


def findings_after(lived, statement: str) -> tuple[str, ...]:
    """What the judge says of a store to which this was done; it is undone afterwards."""
    folder, ledger, relay = lived
    file = books.database(folder)
    before = file.read_bytes()
    connection = sqlite3.connect(file)
    changed = connection.execute(statement).rowcount
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    try:
        assert changed > 0
        return books.judge(folder, ledger, relay, kills=0).findings
    finally:
        file.write_bytes(before)


def test_a_mail_that_is_gone_is_found(lived):
    found = findings_after(
        lived, "DELETE FROM entry WHERE id = (SELECT max(id) FROM entry WHERE message_id IS NOT NULL AND direction = 'inbound')"
    )
    assert any("was acknowledged and is lost" in line for line in found)


def test_a_reply_on_another_ticket_is_found(lived):
    reply = "(SELECT id FROM entry WHERE message_id LIKE '%-reply-%' LIMIT 1)"
    found = findings_after(lived, f"UPDATE entry SET ticket_id = (SELECT min(id) FROM ticket WHERE requester = '') WHERE id = {reply}")
    assert any(line.startswith("reply ") for line in found)


def test_an_alert_that_stayed_open_is_found(lived):
    found = findings_after(lived, "UPDATE ticket SET state = 'new' WHERE requester = '' AND state = 'resolved'")
    assert any("was resolved and its ticket is open" in line for line in found)


def test_an_alert_that_made_two_tickets_is_found(lived):
    alerts = "(SELECT subject FROM ticket WHERE requester = '' ORDER BY id LIMIT 1)"
    found = findings_after(lived, f"UPDATE ticket SET subject = {alerts} WHERE requester = ''")
    assert any(line.startswith("alert ") and "entries" in line for line in found)


def test_a_mail_that_was_recorded_as_sent_and_was_not_is_found(lived):
    found = findings_after(
        lived, "UPDATE outbox SET message_id = 'nobody@nowhere' WHERE id = (SELECT min(id) FROM outbox WHERE state = 'sent')"
    )
    assert any("the relay never took it" in line for line in found)


def test_a_key_with_two_answers_is_found(lived):
    folder, ledger, relay = lived
    key = next(iter(ledger.answers))
    ledger.answers[key].add("in-1")
    try:
        assert any(line.startswith(f"the key {key} was answered by") for line in books.judge(folder, ledger, relay, kills=0).findings)
    finally:
        ledger.answers[key].discard("in-1")
