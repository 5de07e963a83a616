"""Alerts, acts and timers through casework on a real store."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from itsm.act import ActorKind
from itsm.errors import Conflict, Permanent, Refused
from itsm.ticket import State
from itsm.token import read_message_id
from rules.monitoring import EventPolicy
from store import parts, series_rows
from store.schema import series
from tests.rules.worlds import changed


def body(status="firing", start="2026-03-23T10:00:00Z", end="0001-01-01T00:00:00Z", *names):
    alerts = [
        {
            "status": status,
            "labels": {"alertname": name, "severity": "critical"},
            "annotations": {"summary": f"{name} is full"},
            "startsAt": start,
            "endsAt": end,
        }
        for name in names or ("Disk",)
    ]
    return json.dumps({"version": "4", "status": status, "alerts": alerts}).encode()


def test_a_thousand_copies_make_one_incident_with_a_count(desk):
    for _ in range(20):
        desk.post(body())
    desk.triage()
    desk.post(body())
    desk.triage()
    (ticket,) = desk.tickets()
    assert (ticket.event_count, ticket.version, ticket.state) == (21, 1, State.NEW)
    assert len(desk.outbox("team_alert_opened")) == 1


def test_a_resolve_closes_its_incident_and_a_timer_ends_it(desk):
    desk.post(body())
    desk.post(body("resolved", end="2026-03-23T10:05:00Z"))
    desk.triage()
    (ticket,) = desk.tickets()
    assert (ticket.state, ticket.resolution_code) == (State.RESOLVED, "recovered")
    assert desk.tick(days=4) == 1
    assert desk.tickets()[0].state is State.CLOSED


def test_one_body_of_many_alerts_makes_an_incident_each_and_a_broken_one_stands_alone(desk):
    raw = json.loads(body("firing", "2026-03-23T10:00:00Z", "0001-01-01T00:00:00Z", "A", "B"))
    raw["alerts"].insert(1, {"labels": 5})
    where = desk.post(json.dumps(raw).encode())
    desk.triage()
    assert desk.inbox(where).outcomes == "CQC"
    assert len(desk.tickets()) == 2
    assert [part.outcome.value for part in desk.parts(where)] == ["created", "quarantined", "created"]


def test_a_body_nothing_can_be_read_of_is_quarantined_whole(desk):
    where = desk.post(b"{not json")
    desk.triage()
    assert desk.inbox(where).state == "quarantined"
    assert "format promises" in desk.inbox(where).reason


def test_silence_ends_an_alert_whose_resolve_was_lost(desk):
    desk.casework = changed(desk.casework, sources={"am": EventPolicy(expire_after_seconds=600)})
    desk.post(body())
    desk.triage()
    assert desk.tick(seconds=60) == 0
    assert desk.tick(seconds=600) == 1
    assert desk.tickets()[0].state is State.RESOLVED
    (row,) = desk.store.read(lambda tx: list(series_rows.by_keys(tx, {("am", k) for k in keys_of(desk, tx)}).values()))
    assert row.state.event_count == 1


def keys_of(desk, tx):
    return list(tx.connection.execute(select(series.c.series_key)).scalars())


def test_an_open_series_is_listed_with_its_incident(desk):
    desk.post(body())
    desk.triage()
    (row,) = desk.store.read(lambda tx: series_rows.open_by_source(tx, limit=10, source="am"))
    assert row.ticket_id == desk.tickets()[0].id
    assert desk.store.read(lambda tx: series_rows.open_by_source(tx, limit=10, source="other")) == []


def test_an_act_on_a_ticket_that_is_not_there_is_refused(desk):
    with pytest.raises(Permanent, match="no ticket number 4"):
        desk.act("note", 4, "x")


def test_an_act_over_an_old_version_is_a_conflict(desk, mail):
    desk.put(mail())
    desk.triage()
    desk.act("start", 1001)
    with pytest.raises(Conflict, match="version 2"):
        desk.act("start", 1001, version=1)
    assert desk.act("note", 1001, "x", version=2).version == 2


def test_a_refused_act_names_the_legal_ones_and_changes_nothing(desk, mail):
    desk.put(mail())
    desk.triage()
    with pytest.raises(Refused) as refused:
        desk.act("reopen", 1001)
    assert "resolve" in refused.value.legal
    assert desk.tickets()[0].version == 1


def test_acts_are_entries_and_history_too(desk, mail):
    desk.put(mail())
    desk.triage()
    desk.act("assign", 1001, assignee="ben")
    desk.act("note", 1001, "waiting for the part")
    desk.act("reply", 1001, "We are on it.", kind=ActorKind.AGENT)
    (ticket,) = desk.tickets()
    assert (ticket.assignee, ticket.state) == ("ben", State.IN_PROGRESS)
    assert [entry.visibility for entry in desk.entries(ticket)] == ["public", "internal", "public"]
    assert len(desk.store.read(lambda tx: parts.of_ticket(tx, ticket.id))) == 1


def test_a_timer_that_was_set_again_does_nothing_at_its_old_time(desk):
    desk.post(body())
    desk.post(body("resolved", end="2026-03-23T10:05:00Z"))
    desk.triage()
    desk.time += timedelta(days=2)
    desk.post(body("firing", "2026-03-23T10:06:00Z"))
    desk.triage()
    assert desk.tickets()[0].state is State.NEW
    assert desk.tick(days=2) == 0


def test_a_notice_that_is_never_sent_has_a_message_id_that_proves_nothing(desk):
    desk.post(body("resolved", end="2026-03-23T10:05:00Z"))
    desk.post(body())
    desk.post(body("firing", "2026-03-23T10:20:00Z", "0001-01-01T00:00:00Z", "Other"))
    desk.triage()
    never, sent = sorted(desk.outbox("team_alert_opened"), key=lambda each: each.suppressed_because is None)
    assert never.suppressed_because == "the episode is already over"
    assert read_message_id(desk.keys, never.message_id) is None
    assert read_message_id(desk.keys, sent.message_id) == sent.id
