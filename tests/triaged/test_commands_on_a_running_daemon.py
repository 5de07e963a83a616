"""The verbs, beside a daemon that runs: what people see, what programs read, which exit code."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPORT = """From: Ana Silva <ana@example.com>
To: desk@example.org
Subject: Printer 4F jams
Message-ID: <printer@example.com>

The printer is broken again.
"""
BELL = """From: Eve <eve@example.com>
To: desk@example.org
Subject: =?utf-8?q?red=1b=5b31malert?=
Message-ID: <bell@example.com>

My screen is broken.\x1b[31m
"""


class World(NamedTuple):
    """A site with some traffic behind it."""

    site: object
    report: str
    alert: str
    empty: str


@pytest.fixture(scope="module")
def world(module_site) -> Iterator[World]:
    site = module_site
    site.start()
    report = site.mail(REPORT)
    site.mail(BELL)
    site.mail(REPORT)
    alert = site.alert({"title": "Disk full", "status": "firing", "severity": "critical", "id": "d1", "labels": {"host": "db1"}})
    empty = site.mail(REPORT.replace("printer@", "later@").replace("again", "today"), sender="", recipient="desk@example.org")
    site.settle()
    yield World(site, report, alert, empty)
    assert site.stop() == 0


def test_tickets_are_listed_for_people_and_for_programs(world: World) -> None:
    said = world.site.command("ticket", "list")
    assert said.code == 0
    assert "INC-1001" in said.out
    assert "Printer 4F jams" in said.out
    tickets = world.site.command("ticket", "list", "--json").json()
    assert {each["number"] for each in tickets} >= {"INC-1001"}
    assert all(isinstance(each["id"], str) for each in tickets)
    assert world.site.command("ticket", "list", "--state", "closed").err.strip() == "There is no such ticket."
    assert [each["source"] for each in world.site.command("ticket", "list", "--requester", "", "--json").json()] == ["generic"]


def test_no_control_character_of_a_stranger_reaches_the_terminal(world: World) -> None:
    said = world.site.command("ticket", "list").out + world.site.command("ticket", "show", "1002").out
    assert "\x1b" not in said


def test_a_ticket_is_shown_with_its_words_history_and_mails(world: World) -> None:
    said = world.site.command("ticket", "show", "inc-1001")
    for part in ("Printer 4F jams", "Ana Silva <ana@example.com>", "The printer is broken again.", "acknowledged", "you may", "open"):
        assert part in said.out
    [shown] = world.site.command("ticket", "show", "1001", "--json").json()
    assert shown["number"] == "INC-1001"
    assert shown["entries"][0]["author"] == "ana@example.com"
    assert {each["notification"]["event"] for each in shown["notifications"]} == {"acknowledged", "team_new"}


@pytest.mark.parametrize(
    ("id_", "told"),
    [
        ("INC-9", "there is no ticket INC-9"),
        ("what", "is no ID"),
        ("in-5", "there is no envelope in-5"),
        ("<no@x>", "no mail with the Message-ID <no@x>"),
    ],
)
def test_an_id_that_names_nothing_is_told(world: World, id_: str, told: str) -> None:
    said = world.site.command("explain", id_)
    assert said.code == 1
    assert told in said.err
    assert "Traceback" not in said.err


def test_an_act_is_done_or_refused_with_what_is_legal(world: World) -> None:
    said = world.site.command("ticket", "act", "1002", "pend", "--set", "reason=vendor")
    assert "INC-1002 is pending, version" in said.err
    [acted] = world.site.command("ticket", "act", "1002", "note", "--text", "called the vendor", "--json").json()
    assert acted["state"] == "pending"
    said = world.site.command("ticket", "act", "1002", "reopen")
    assert said.code == 1
    assert "you may: start, assign" in said.err
    said = world.site.command("ticket", "act", "1002", "start", "--version", "1")
    assert said.code == 5
    assert world.site.command("ticket", "act", "1002", "assign", "--set", "nonsense").code == 2
    assert world.site.command("ticket", "act", "1002", "fly").code == 2
    assert world.site.command("ticket", "act", "9", "start").code == 1


def test_a_decision_is_explained_by_number_envelope_and_message_id(world: World) -> None:
    for id_ in ("INC-1001", world.report, "<printer@example.com>"):
        said = world.site.command("explain", id_)
        assert "created INC-1001" in said.out
        assert "trust level 0" in said.out
    told = world.site.command("explain", "printer@example.com", "--json").json()
    assert [each["parts"][0]["outcome"] for each in told] == ["created", "duplicate"]
    assert told[0]["parts"][0]["ticket"] == "INC-1001"


def test_a_replay_judges_again_and_changes_nothing(world: World) -> None:
    before = world.site.command("verify", "--json").json()
    said = world.site.command("replay", "INC-1001")
    assert said.code == 0
    assert "part 0: created, opens incident" in said.out
    assert "dry run" in said.err
    assert [each["outcome"] for each in world.site.command("replay", world.alert, "--json").json()] == ["duplicate"]
    assert world.site.command("verify", "--json").json() == before


def test_both_laws_add_up(world: World) -> None:
    said = world.site.command("verify")
    assert said.code == 0
    assert "envelopes: 5 accepted = 0 pending + 5 done + 0 quarantined" in said.out
    [found] = world.site.command("verify", "--json").json()
    assert found["ok"] is True


def test_the_queues_are_listed_shown_and_explained(world: World) -> None:
    site = world.site
    assert "Nothing there." in site.command("queue", "list", "--of", "quarantine").err
    assert world.report in site.command("queue", "list", "--of", "inbox", "--state", "done").out
    sent = site.command("queue", "list", "--of", "outbox", "--state", "sent", "--json").json()
    acknowledged = next(each for each in sent if each["event"] == "acknowledged" and each["ticket_number"] == 1001)
    assert "relay said" in site.command("queue", "why", "--of", "outbox", acknowledged["id"]).out
    assert "INC-1001" in site.command("queue", "show", "--of", "outbox", "--raw", acknowledged["id"]).out
    assert "acknowledged" in site.command("queue", "show", "--of", "outbox", acknowledged["id"]).out
    assert "The printer is broken again." in site.command("queue", "show", "--of", "inbox", "--raw", world.report).out
    assert site.command("queue", "show", "--of", "inbox", "--json", "<printer@example.com>").json()[0]["id"] == world.report
    assert "is done" in site.command("queue", "why", "--of", "inbox", world.report.removeprefix("in-")).out
    assert site.command("queue", "hold", acknowledged["id"]).code == 5
    assert site.command("queue", "retry", "--of", "quarantine", world.report).code == 5
    assert site.command("queue", "drop", "--of", "quarantine", "--reason", "x", world.report).code == 5
    assert site.command("queue", "edit", world.report).code == 5
    assert site.command("queue", "show", "--of", "outbox", "12").code == 1
    assert site.command("queue", "show", "--of", "outbox", "x").code == 1


def test_tokens_are_made_listed_and_revoked(world: World) -> None:
    site = world.site
    secret = site.command("token", "create", "ci", "--scope", "messages:write", "--as", "agent:ben", "--days", "2").out.strip()
    assert secret.startswith("trd_")
    assert site.command("token", "create", "ci", "--scope", "admin").code == 5
    [other] = site.command("token", "create", "two", "--scope", "admin", "--as", "source:generic", "--json").json()
    assert other["acts_as"] == "source:generic"
    assert site.command("token", "create", "x", "--scope", "admin", "--as", "agent:nobody").code == 2
    assert "agent:ben" in site.command("token", "list").out
    assert {each["name"] for each in site.command("token", "list", "--json").json()} == {"admin", "ci", "two"}
    mail = REPORT.replace("printer@", "api@").encode()
    headers = {"Content-Type": "message/rfc822", "Authorization": f"Bearer {secret}"}
    assert site.request("POST", "/api/v1/messages", mail, headers)[0] == 202
    assert site.request("GET", "/api/v1/tickets", headers=headers)[0] == 403
    reader = {
        "Content-Type": "message/rfc822",
        "Authorization": "Bearer " + site.command("token", "create", "r", "--scope", "tickets:read").out.strip(),
    }
    assert site.request("POST", "/api/v1/messages", mail, reader)[0] == 403
    assert site.command("token", "revoke", "ci").code == 0
    assert site.command("token", "revoke", "ci").code == 1
    assert site.request("POST", "/api/v1/messages", mail, headers)[0] == 401
    assert site.request("POST", "/api/v1/messages", mail, {"Content-Type": "message/rfc822"})[0] == 202
    site.settle()


def test_the_health_of_the_daemon_is_asked(world: World) -> None:
    assert world.site.command("healthcheck").out == "ready\n"
    assert world.site.command("healthcheck", "--json").json() == [{"ready": True, "reasons": []}]
    assert world.site.probe("/healthz") == (200, b"ok\n")
    open_incidents = 'triaged_records_open{priority="P4",queue="desk",state="new",type="incident"}'
    world.site.until(lambda: world.site.metric(open_incidents) is not None)
    assert world.site.metric('triaged_conservation_difference{law="parts"}') == 0


def test_a_host_that_is_not_ours_is_refused(world: World) -> None:
    status, body = world.site.request("GET", "/healthz", headers={"Host": "evil.example.net"})
    assert status == 421
    assert "intake.http" in json.loads(body)["detail"]
    assert world.site.request("GET", "/healthz", headers={"Host": "localhost"})[0] == 200
    assert world.site.request("GET", "/nothing")[0] == 404
    assert world.site.request("DELETE", "/healthz")[0] == 405


def test_a_refused_body_can_be_looked_at_as_the_answer_says(world: World) -> None:
    status, body = world.site.request("POST", "/hooks/generic", b'{"title": ', headers={"Content-Type": "application/json"})
    assert status == 400
    assert "`triaged queue list --of refused`" in json.loads(body)["detail"]
    [kept] = world.site.command("queue", "list", "--of", "refused", "--json").json()
    assert kept["source"] == "generic"
    assert kept["id"] in world.site.command("queue", "list", "--of", "refused").out
    assert world.site.command("queue", "show", kept["id"], "--of", "refused", "--raw").out == '{"title": '
    assert "truncated" in world.site.command("queue", "show", kept["id"], "--of", "refused").out
    assert "kept for a week" in world.site.command("queue", "show", "1", "--of", "refused").err


def test_the_doctor_finds_nothing_that_fails(world: World) -> None:
    said = world.site.command("doctor")
    assert said.code == 0, said.out
    assert "runs and is ready" in said.out
    assert {each["state"] for each in world.site.command("doctor", "--json").json()} <= {"ok", "WARN"}


def test_a_second_daemon_is_refused(world: World) -> None:
    said = world.site.command("run")
    assert said.code == 5
    assert "another triaged works in" in said.err
    assert world.site.command("db", "upgrade").code == 5


def test_the_schema_is_told(world: World) -> None:
    assert "the newest this triaged knows" in world.site.command("db", "status").out
    assert world.site.command("db", "status", "--json").json()[0]["pending"] == []


def test_a_backup_is_made_beside_the_daemon_and_restored_elsewhere(world: World, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    assert world.site.command("backup", str(target)).out.strip() == str(target)
    assert world.site.command("backup", str(target)).code == 5
    assert "sha256" in world.site.command("backup", "--json", str(tmp_path / "second")).json()[0]
    assert world.site.command("restore", str(target)).code == 5
    other = tmp_path / "other.toml"
    other.write_text(f'[store]\npath = "{tmp_path / "restored"}"\n')
    said = world.site.command("restore", "--config", str(other), str(target))
    assert said.code == 0, said.err
    assert "Restored the backup of" in said.err
    assert world.site.command("restore", "--config", str(other), "--planned", "--json", str(target)).code == 0
    assert "INC-1001" in world.site.command("ticket", "list", "--config", str(other)).out


def test_a_log_line_holds_no_words_of_anybody(world: World) -> None:
    log = world.site.log.read_text()
    for words in ("Printer", "printer is broken", "Ana"):
        assert words not in log
