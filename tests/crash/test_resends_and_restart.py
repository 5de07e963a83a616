"""Killed while alerts come again that the state cache knows: every delivery keeps its one outcome, no incident is made twice (P1, P2)."""

import json
import sqlite3
import time
import urllib.error
import urllib.request
from itertools import count

import pytest

from prove import ledger as books
from prove.daemon import Daemon
from prove.ports import free_ports

ALERTS, DELIVERIES, WAIT_SECONDS = 7, 40, 60.0
FIRING = [{"labels": {"alertname": f"A{number}"}, "status": "firing", "startsAt": "2026-03-23T10:00:00Z"} for number in range(ALERTS)]


def post(daemon, more=""):
    """The inbox id that was acknowledged, None when nothing was."""
    body = json.dumps({"version": "4", "alerts": FIRING, "externalURL": more}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.http_port}/hooks/alertmanager", body)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["inbox_id"]
    except (urllib.error.URLError, OSError):
        return None


def rows(folder, query):
    connection = sqlite3.connect(f"file:{folder}/var/triaged.sqlite?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def triaged(daemon, folder, more=""):
    """Post and wait until it is triaged: the first is judged in full, and from then on the body is known whole."""
    found = post(daemon, more)
    assert books.comes_to_nothing(lambda: books.pending(folder)), "what was accepted is not triaged"
    return found


def ended_at_the_door(folder):
    return rows(folder, "SELECT count(*) FROM inbox WHERE raw_of IS NOT NULL")[0][0]


@pytest.mark.parametrize(
    ("step", "times", "whole"),
    [
        ("triage.before_commit", 4, False),  # each body differs as a whole: the worker ends it
        ("triage.after_commit", 4, False),
        ("accept.before_commit", 9, True),  # the same octets: the door ends them
        ("accept.after_commit", 9, True),
    ],
)
def test_a_kill_between_resends_loses_no_outcome_and_doubles_no_incident(tmp_path, step, times, whole):
    daemon = Daemon(tmp_path, *free_ports(1))
    try:
        daemon.start(crash_at=f"{step}:{times}")
        assert daemon.wait_ready()
        names = count()
        acknowledged = [triaged(daemon, tmp_path, "" if whole else str(next(names))) for _ in range(2)]
        deadline = time.monotonic() + WAIT_SECONDS
        while daemon.alive() and time.monotonic() < deadline:
            acknowledged += [each for each in [post(daemon, "" if whole else str(next(names)))] if each]
        assert not daemon.alive(), "the step was never reached"
        books.end_leases(tmp_path)
        daemon.start()
        assert daemon.wait_ready()
        acknowledged += [triaged(daemon, tmp_path) for _ in range(2)]  # what was learned before died with the process
        before = ended_at_the_door(tmp_path)
        acknowledged += [post(daemon) for _ in range(DELIVERIES)]
        assert books.comes_to_nothing(lambda: books.pending(tmp_path)), "what was accepted is not triaged"
    finally:
        daemon.kill()
    assert ended_at_the_door(tmp_path) - before == DELIVERIES
    assert bool(before) or not whole, "it was killed before the door ended anything"
    stored = rows(tmp_path, "SELECT id, state, outcomes FROM inbox ORDER BY id")
    assert {f"in-{each}" for each, _, _ in stored} >= set(acknowledged)
    assert [(state, outcomes) for _, state, outcomes in stored[:1]] == [("done", "C" * ALERTS)]
    assert {(state, outcomes) for _, state, outcomes in stored[1:]} == {("done", "D" * ALERTS)}
    assert rows(tmp_path, "SELECT count(*) FROM ticket") == [(ALERTS,)]
