"""The same alert by mail and by webhook is one incident, in any order."""

import json

import pytest

from rules.extraction import Extraction

BY_MAIL = Extraction(
    key="checks",
    when={"from": "monitor@corp.example"},
    source="checks",
    subject="[{status}] {check} on {host}",
    series="{host}/{check}",
    title="{check} on {host}",
)


@pytest.fixture
def desk(make_desk):
    return make_desk(extraction=(BY_MAIL,))


def by_mail(desk, mail, status, name):
    where = desk.put(
        mail(name, f"[{status}] disk on web1", "It is full.", sender="monitor@corp.example", Auto_Submitted="auto-generated"), later=5
    )
    desk.triage()
    return where


def by_webhook(desk, status):
    body = {"status": status, "title": "disk on web1", "key": "web1/disk"}
    where = desk.post(json.dumps(body).encode(), format_="generic", source="checks")
    desk.triage()
    return where


@pytest.mark.parametrize("first", ["mail", "webhook"])
def test_the_same_alert_by_both_doors_is_one_incident(desk, mail, first):
    doors = [lambda: by_mail(desk, mail, "down", "a1"), lambda: by_webhook(desk, "firing")]
    for door in doors if first == "mail" else reversed(doors):
        door()
    (ticket,) = desk.tickets()
    assert (ticket.source, ticket.group_key, ticket.state.value) == ("checks", "web1/disk", "new")
    by_mail(desk, mail, "ok", "a2")
    (ticket,) = desk.tickets()
    assert ticket.state.value == "resolved"
    assert not desk.outbox("acknowledged")


def test_a_mail_of_the_monitor_that_fits_no_extraction_is_a_ticket_of_its_own(desk, mail):
    desk.put(mail("r1", "Weekly report", "all well", sender="monitor@corp.example"))
    desk.triage()
    (ticket,) = desk.tickets()
    assert (ticket.subject, ticket.group_key) == ("Weekly report", "")


def test_the_same_mail_twice_makes_one_incident(desk, mail):
    by_mail(desk, mail, "down", "a1")
    by_mail(desk, mail, "down", "a1")
    assert len(desk.tickets()) == 1
