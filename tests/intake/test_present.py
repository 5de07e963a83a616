"""The JSON of `triaged parse` (design 8)."""

import json
from datetime import UTC, datetime
from pathlib import Path

from intake.mail.parse import parse_mail
from intake.present import present
from itsm.signal import EventStatus, Malformed, MonitoringEvent, Severity

FIXTURES = Path(__file__).parents[1] / "fixtures" / "mail"
MAIL_FIELDS = {
    "kind", "message_id", "in_reply_to", "references", "from", "to", "cc", "reply_to", "subject", "date", "text", "reply_text", "attachments",
    "delivery_report", "authentication", "defects",
}  # fmt: skip
EVENT = MonitoringEvent(
    source="s", series_key="k", status=EventStatus.FIRING, status_raw="firing", severity=Severity.ERROR, severity_raw="high", title="t",
    started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), labels={"a": "b"},
)  # fmt: skip


def test_a_mail_has_every_field_of_the_contract():
    told = present((parse_mail((FIXTURES / "german-latin1.eml").read_bytes()),))
    assert told.keys() >= MAIL_FIELDS
    assert told["date"] == "2026-03-02T08:00:00Z"
    assert told["from"] == {"name": "Jürgen Müller", "address": "juergen@example.com"}
    assert told["delivery_report"] is None
    [attachment] = told["attachments"]
    assert attachment.keys() == {"filename", "content_type", "size_bytes", "sha256", "inline", "content_id"}
    json.dumps(told)


def test_a_bounce_has_its_recipients():
    told = present((parse_mail((FIXTURES / "bounce-words.eml").read_bytes()),))
    assert told["kind"] == "bounce"
    [recipient] = told["delivery_report"]["recipients"]
    assert recipient.keys() == {"address", "action", "status", "diagnostic", "permanent", "reason"}


def test_a_mail_without_anything_is_still_an_object():
    told = present((parse_mail(b""),))
    assert told["kind"] == "human"
    assert told["from"] is None
    assert told["date"] is None


def test_alerts_are_a_list_of_events():
    told = present((EVENT,))
    [event] = told["events"]
    assert event["severity"] == "error"
    assert event["started_at"] == "2026-01-02T03:04:05Z"
    assert event["ended_at"] is None
    assert "malformed" not in told


def test_what_is_broken_beside_good_events_is_told_too():
    told = present((EVENT, Malformed(reason="no status", detail="item 2")))
    assert len(told["events"]) == 1
    assert told["malformed"] == ["no status (item 2)"]


def test_what_cannot_be_parsed_is_an_error():
    assert present((Malformed(reason="not JSON"),)) == {"error": "not JSON"}
