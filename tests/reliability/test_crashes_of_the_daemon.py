"""F01, F02, F04, F05, F10, F11: the daemon is killed or told to end at the worst instant, with its defence and without."""

import signal
import sqlite3
import threading
import time

import pytest

from prove.ledger import database, end_leases
from prove.relay import RecordingRelay
from tests.notifier.conftest import SILENCE, ScriptedRelay
from tests.reliability.lives import RELAY, Life, eventually

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])


@WITH_AND_WITHOUT
def test_what_was_not_yet_stored_was_not_acknowledged(site: Life, defended: bool) -> None:
    site.begin(without="" if defended else "answer_after_the_commit", TRIAGED_CRASH_AT="accept.before_commit")
    acknowledged = site.tries("one")
    assert site.ended() == -signal.SIGKILL
    site.begin()
    assert acknowledged is not defended
    assert site.tickets() == []  # so a yes would have been a lie
    if defended:
        assert site.tries("one")
        site.settle()
        assert len(site.tickets()) == 1


@WITH_AND_WITHOUT
def test_what_was_stored_and_not_acknowledged_is_sent_again_and_makes_one_ticket(site: Life, defended: bool) -> None:
    site.begin(TRIAGED_CRASH_AT="accept.after_commit")
    assert not site.tries("one")
    assert site.ended() == -signal.SIGKILL
    site.begin(without="" if defended else "sameness")
    assert site.tries("one")
    site.settle()
    assert len(site.tickets()) == (1 if defended else 2)


@WITH_AND_WITHOUT
def test_a_notice_nobody_was_woken_for_is_found_by_a_scan(site: Life, defended: bool) -> None:
    site.begin(TRIAGED_CRASH_AT="triage.after_commit")
    site.tries("one")
    assert site.ended() == -signal.SIGKILL
    site.begin(without="" if defended else "scan_of_the_outbox")
    if defended:
        site.settle()
    else:
        time.sleep(1.5)  # longer than the worker ever rests
    assert bool(site.sent()) is defended


@WITH_AND_WITHOUT
def test_a_mail_whose_sending_was_not_recorded_is_sent_again_byte_for_byte(site: Life, defended: bool) -> None:
    relay = RecordingRelay()
    try:
        site.configure(RELAY.format(port=relay.port))
        site.begin(TRIAGED_CRASH_AT="outbox.submitted")
        site.tries("one")
        assert site.ended() == -signal.SIGKILL
        site.file.write_text(site.file.read_text().replace("Test Desk", "Another Desk"))
        end_leases(site.directory)
        site.begin(without="" if defended else "stored_bytes")
        site.settle()
        uncertain = site.metric("triaged_outbox_uncertain_total")
        site.stop()
    finally:
        relay.close()
    again = [copies for copies in relay.copies.values() if len(copies) > 1]
    assert {len(copies) for copies in again} == {2}  # one more than there should be, under the same Message-ID
    assert len(again) <= uncertain
    assert all(len(set(copies)) == 1 for copies in again) is defended


@WITH_AND_WITHOUT
def test_a_daemon_that_is_told_to_end_under_load_drains_and_leaves_nothing_claimed(site: Life, defended: bool) -> None:
    site.begin(without="" if defended else "drain")
    acknowledged: set[str] = set()

    def send(sender: int) -> None:
        number = 0
        while site.tries(f"m{sender}-{number}", timeout=30.0):
            acknowledged.add(f"m{sender}-{number}")
            number += 1

    clients = [threading.Thread(target=send, args=(sender,)) for sender in range(3)]
    for each in clients:
        each.start()
    assert eventually(lambda: len(acknowledged) > 20)
    assert site.stop() == (0 if defended else -signal.SIGTERM)
    for each in clients:
        each.join(30)
    with sqlite3.connect(database(site.directory)) as connection:
        (lives,) = connection.execute("SELECT count(*) FROM process").fetchone()
        (claimed,) = connection.execute("SELECT count(*) FROM inbox WHERE claimed_by IS NOT NULL").fetchone()
        kept = {row[0].partition("@")[0] for row in connection.execute("SELECT message_id FROM inbox")}
    connection.close()
    assert acknowledged <= kept
    assert (lives == 0) is defended  # the lease of the process was given back
    if defended:
        assert claimed == 0
        assert site.lines()[-1]["event"] == "ended"


@WITH_AND_WITHOUT
def test_a_second_sigterm_ends_a_drain_that_lasts_and_what_was_acknowledged_stays(site: Life, defended: bool) -> None:
    relay = ScriptedRelay({"dot": SILENCE}, (), implicit_tls=False)
    try:
        site.configure(RELAY.format(port=relay.port) + "[process]\ndrain_seconds = 1.0\n")
        site.begin(without="" if defended else "second_signal")
        assert site.tries("one")
        assert eventually(lambda: bool(relay.taken))
        assert site.process is not None
        site.process.send_signal(signal.SIGTERM)
        site.until(lambda: "draining" in site.log.read_text() or not defended)
        time.sleep(0.2)
        site.process.send_signal(signal.SIGTERM)
        assert (site.ended() == 128 + signal.SIGTERM) is defended
    finally:
        relay.close()
    assert len(site.tickets()) == 1
