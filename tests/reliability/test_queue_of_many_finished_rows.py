"""F74: the cost of a claim does not grow with what was finished long ago, and retention removes it."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from store import inbox, outbox, retention
from store.settings import Retention, StoreSettings
from store.store import Store
from tests.store.conftest import NOON, SetClock

FINISHED = 20_000
STEPS_A_TICK = 50  # instructions of SQLite's machine between two calls of the counter
MORE = 1.5  # times the steps of an empty queue a claim may cost beside the finished rows

INBOX = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
INSERT INTO inbox (desk_id, id, state, channel, source, format, received_at, forward_paths, peer, size_bytes, part_count, outcomes, done_at)
SELECT 1, i, 'done', 'smtp', 'smtp', 'mail', 1, '[]', '', 1, 1, 'C', 1 FROM n
"""
OUTBOX = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
INSERT INTO outbox (desk_id, id, ticket_id, ticket_number, event, state, recipient, recipient_name, message_id, message_id_sha256,
                    reference_ids, facts, created_at, due_at)
SELECT 1, i, i % 100, i, 'resolved', 'sent', 'a@x', '', i || '@x', CAST(i AS BLOB), '[]', '{{}}', 1, 1 FROM n
"""
INDEXES = ("inbox_pending", "outbox_due")


def steps_of_claims(store: Store) -> int:
    """What SQLite's machine does to claim from both queues, in ticks of instructions."""
    ticks = 0

    def tick() -> int:
        nonlocal ticks
        ticks += 1
        return 0

    def work(tx) -> None:
        connection: sqlite3.Connection = tx.connection.connection.driver_connection
        connection.set_progress_handler(tick, STEPS_A_TICK)
        try:
            assert inbox.claim(tx, process_id=1, limit=200, max_bytes=10**7) == []
            assert outbox.claim(tx, process_id=1, limit=50) == []
            outbox.release_expired(tx)
            inbox.depth(tx, inbox.PENDING)
        finally:
            connection.set_progress_handler(None, 0)

    store.write(work).result(60)
    return ticks


@pytest.mark.parametrize("defended", [True, False])
def test_a_claim_beside_many_finished_rows_costs_no_more_than_one_in_an_empty_queue(tmp_path: Path, defended: bool) -> None:
    store = Store(StoreSettings(path=str(tmp_path / "var")), clock=lambda: NOON)
    if not defended:
        for name in INDEXES:
            store.write(lambda tx, each=name: tx.connection.exec_driver_sql(f"DROP INDEX {each}").rowcount).result(10)
    before = steps_of_claims(store)
    for statement in (INBOX, OUTBOX):
        store.write(lambda tx, each=statement: tx.connection.exec_driver_sql(each.format(count=FINISHED)).rowcount).result(60)
    after = steps_of_claims(store)
    store.close()
    assert (after <= MORE * before + 20) is defended, (before, after)


@pytest.mark.parametrize("defended", [True, False])
def test_finished_rows_go_with_their_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    clock = SetClock()
    store = Store(StoreSettings(path=str(tmp_path / "var")), clock=clock)
    store.write(lambda tx: tx.connection.exec_driver_sql(INBOX.format(count=1_200)).rowcount).result(60)
    kept = Retention() if defended else Retention(finished_rows_days=10**5)
    clock.now = NOON + timedelta(days=1)
    rounds = 0
    while store.write(lambda tx: retention.sweep(tx, kept)).result(60).total:
        rounds += 1
    (left,) = store.read(lambda tx: tx.connection.exec_driver_sql("SELECT count(*) FROM inbox").one())
    store.close()
    assert (left == 0) is defended
    assert rounds == (3 if defended else 0)  # a bounded number of rows a commit
