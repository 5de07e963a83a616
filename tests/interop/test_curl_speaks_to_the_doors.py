"""curl at the HTTP door, at the API and, as the tutorial does, at the SMTP door."""

import json
import subprocess

ALERT = {
    "version": "4",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "DiskFull", "instance": "db1", "severity": "critical"},
            "annotations": {"summary": "Disk full on db1"},
            "startsAt": "2026-11-24T10:00:00Z",
        }
    ],
}
MAIL = "From: Ana <ana@example.org>\nTo: help@localhost\nSubject: The door is locked\nMessage-ID: <1@example.org>\n\nI cannot get in.\n"


def curl(site, *arguments, path="", data=""):
    address = f"http://127.0.0.1:{site.daemon.http_port}{path}" if path else ""
    command = ["curl", "--silent", "--show-error", "--max-time", "30", "--write-out", "\n%{http_code} %{content_type}", *arguments]
    done = subprocess.run([*command, *([address] if address else [])], input=data, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    body, _, last = done.stdout.rpartition("\n")
    status, _, kind = last.partition(" ")
    return int(status), kind, body


def post(site, path, data, *arguments, kind="application/json"):
    return curl(site, "--header", f"Content-Type: {kind}", "--data-binary", "@-", *arguments, path=path, data=data)


def test_three_copies_of_an_alert_make_one_incident(site):
    answers = [post(site, "/hooks/alertmanager", json.dumps(ALERT)) for _ in range(3)]
    assert [status for status, _, _ in answers] == [202, 202, 202]
    site.until(lambda: not site.objects("queue", "list", "--of", "inbox"))
    (ticket,) = site.objects("ticket", "list")
    assert ticket["subject"] == "Disk full on db1"


def test_a_body_that_is_not_json_is_answered_with_a_problem(site):
    status, kind, body = post(site, "/hooks/generic", "{")
    assert status == 400
    assert kind.startswith("application/problem+json")
    assert json.loads(body)["status"] == 400


def test_a_source_that_is_not_there_is_answered_with_the_nearest_name(site):
    status, _, body = post(site, "/hooks/alertmanger", json.dumps(ALERT))
    assert status == 404
    assert "alertmanager" in json.loads(body)["detail"]


def test_a_mail_by_the_api_sent_again_with_its_key_is_answered_from_memory(site):
    key = ("--header", "Idempotency-Key: k1")
    first, again, other = (post(site, "/api/v1/messages", mail, *key, kind="message/rfc822") for mail in (MAIL, MAIL, MAIL + "more"))
    assert first[0] == 202
    assert json.loads(again[2])["inbox_id"] == json.loads(first[2])["inbox_id"]
    assert other[0] == 409
    assert site.until(lambda: site.objects("ticket", "list"))


def test_a_mail_uploaded_by_smtp_becomes_a_ticket(site):
    server = f"smtp://127.0.0.1:{site.daemon.smtp_port}/client.example.org"
    options = ("--crlf", "--url", server, "--mail-from", "ana@example.org", "--mail-rcpt", "help@localhost", "--upload-file", "-")
    assert curl(site, *options, data=MAIL)[0] == 250
    (ticket,) = site.until(lambda: site.objects("ticket", "list"))
    assert ticket["subject"] == "The door is locked"


def test_the_probes_answer_without_a_token_and_reading_tickets_needs_one(site):
    assert curl(site, path="/healthz")[0] == 200
    assert curl(site, path="/readyz")[0] == 200
    assert curl(site, path="/api/v1/tickets")[0] == 401
    secret = site.command("token", "create", "reader", "--scope", "tickets:read").stdout.split()[-1]
    assert curl(site, "--header", f"Authorization: Bearer {secret}", path="/api/v1/tickets")[0] == 200
