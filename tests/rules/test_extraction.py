"""Mails of monitors read as alerts: templates with named blanks, bounded, and what does not fit stays a mail."""

import sys
from datetime import UTC, datetime, timedelta

import pytest

from itsm.address import Address
from itsm.envelope import Channel, Envelope
from itsm.signal import EventStatus, MailKind, Severity, UserMessage
from rules import extraction
from rules.extraction import Extraction, compile_extractions, extract
from rules.predicate import PredicateError
from rules.ruleset import compile_ruleset, facts_of_mail
from rules.settings import RulesSettings

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
ENVELOPE = Envelope(id=1, channel=Channel.SMTP, source="smtp", received_at=AT, size_bytes=1)
NAGIOS = Extraction(
    key="nagios",
    when={"from": "nagios@mon.example"},
    source="nagios",
    subject="** {kind} Service Alert: {host}/{service} is {state} **",
    body=("Additional Info: {info}",),
    series="{host}/{service}",
    title="{service} on {host}: {state}",
    status="{state}",
    severity="{state}",
    severities={"critical": Severity.CRITICAL, "WARNING": Severity.WARNING},
)
SUBJECT = "** PROBLEM Service Alert: web1/HTTP is CRITICAL **"


def mail(subject=SUBJECT, text="Hello\n\nAdditional Info: timeout\n", sender="nagios@mon.example", kind=MailKind.MACHINE, date=AT):
    return UserMessage(
        kind=kind, message_id=None, sender=Address(address=sender), subject=subject, text=text, date=date, content_sha256=b"", fallback_sha256=b""
    )  # fmt: skip


def read(message, *extractions):
    compiled, errors = compile_extractions(extractions or (NAGIOS,))
    assert not errors
    return extract(message, ENVELOPE, compiled, facts_of_mail(message, ENVELOPE, 0))


def test_a_monitors_mail_is_read_into_an_event():
    event = read(mail())
    assert (event.source, event.series_key, event.title) == ("nagios", "web1/HTTP", "HTTP on web1: CRITICAL")
    assert (event.status, event.status_raw, event.severity, event.flags) == (EventStatus.FIRING, "CRITICAL", Severity.CRITICAL, ())
    assert event.labels == {"kind": "PROBLEM", "host": "web1", "service": "HTTP", "state": "CRITICAL", "info": "timeout"}
    assert (event.started_at, event.observed_at, event.ended_at) == (None, AT, None)


@pytest.mark.parametrize(
    ("word", "status", "flags"),
    [
        ("OK", EventStatus.RESOLVED, ("unmapped_severity",)),
        ("ACKNOWLEDGED", EventStatus.ACKNOWLEDGED, ("unmapped_severity",)),
        ("WEIRD", EventStatus.FIRING, ("unmapped_status", "unmapped_severity")),
        ("warning", EventStatus.FIRING, ()),
    ],
)
def test_words_are_mapped_and_what_is_unknown_is_flagged(word, status, flags):
    event = read(mail(subject=SUBJECT.replace("CRITICAL", word)))
    assert (event.status, event.flags) == (status, flags)
    assert (event.ended_at is not None) is (status is EventStatus.RESOLVED)


@pytest.mark.parametrize(
    "message",
    [
        mail(subject="Weekly report"),
        mail(subject="** PROBLEM Service Alert: web1/HTTP is ** and more"),
        mail(subject="** PROBLEM Service Alert: /HTTP is CRITICAL **"),
        mail(subject="** PROBLEM Service Alert: " + "x" * 600 + "/HTTP is CRITICAL **"),
        mail(sender="ana@corp.example"),
        mail(kind=MailKind.BOUNCE),
    ],
)
def test_what_does_not_fit_stays_a_mail(message):
    assert read(message) is None


def test_a_blank_that_no_line_fills_matters_only_where_it_is_used():
    assert "info" not in read(mail(text="no such line")).labels
    wants = Extraction(
        key="x", when={"from": "nagios@mon.example"}, source="n", body=("Host: {host}", "State: {state}"), series="{host}", status="{state}"
    )
    assert read(mail(text="Host: web1"), wants) is None
    assert read(mail(text=""), wants) is None
    event = read(mail(text="a\nHost: web1\nHost: web2\nState: UP"), wants)
    assert (event.series_key, event.status, event.title, event.severity_raw) == ("web1", EventStatus.RESOLVED, SUBJECT, None)


def test_a_title_without_its_blank_makes_no_event():
    wants = Extraction(
        key="x", when={"from": "nagios@mon.example"}, source="n", body=("H: {h}", "T: {t}"), series="{h}", status="up", title="{t}"
    )
    assert read(mail(text="H: a"), wants) is None


def test_an_empty_subject_is_titled_by_its_series():
    wants = Extraction(key="x", when={"from": "nagios@mon.example"}, source="n", body=("H: {h}",), series="{h}", status="up")
    assert read(mail(subject="", text="H: a"), wants).title == "a"


def test_a_subject_without_blanks_must_be_the_same():
    wants = Extraction(
        key="x", when={"from": "nagios@mon.example"}, source="n", subject="Alert", body=("H: {h}",), series="{h}", status="down"
    )
    assert read(mail(subject="Alert", text="H: a"), wants) is not None
    assert read(mail(subject="Alerts", text="H: a"), wants) is None


def test_the_first_extraction_that_fits_is_taken():
    other = Extraction(key="x", when={"from": "nagios@mon.example"}, source="other", subject="{all}", series="{all}", status="down")
    assert read(mail(), NAGIOS, other).source == "nagios"
    assert read(mail(subject="Disk full"), NAGIOS, other).source == "other"


@pytest.mark.parametrize("date", [None, AT - timedelta(days=3), AT + timedelta(days=3)])
def test_a_date_that_cannot_be_believed_gives_way_to_the_receipt(date):
    assert read(mail(date=date)).observed_at == AT


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"when": {}}, "`when` is empty"),
        ({"when": {"sender": "x"}}, "unknown field"),
        ({"subject": "{a}{b}", "body": (), "series": "{a}", "status": "{b}", "title": "", "severity": ""}, "nothing between"),
        ({"subject": "{a", "body": ()}, "closing brace"),
        ({"subject": "{a b}"}, "without a name"),
        ({"series": "{nothing}"}, "neither subject nor body fills"),
        ({"series": "all"}, "of one series"),
        ({"body": ("Host: {host}",)}, "two blanks have one name"),
    ],
)
def test_an_extraction_that_cannot_be_used_is_told_with_its_key(changed, said):
    fields = {name: getattr(NAGIOS, name) for name in NAGIOS.__struct_fields__} | changed
    _, errors = compile_ruleset(RulesSettings(extraction=(Extraction(**fields),)))
    assert [error.rule for error in errors] == ["extraction"]
    assert "extraction 'nagios'" in errors[0].message
    assert said in errors[0].message


def test_two_extractions_of_one_key_are_refused():
    _, errors = compile_extractions((NAGIOS, NAGIOS))
    assert errors == ("extraction 'nagios': another one has this key",)


@pytest.mark.parametrize(
    "subject", ["** " * 40_000, "** a Service Alert: " + "/" * 100_000, "** a Service Alert: " + " is " * 30_000 + " **", "/ is " * 30_000]
)
def test_a_mail_made_to_hang_costs_no_more_calls_than_any_other(subject):
    message = mail(subject=subject, text=("Additional Info" * 50 + "\n") * 2_000)
    compiled, _ = compile_extractions((NAGIOS,))
    facts = facts_of_mail(message, ENVELOPE, 0)
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        extract(message, ENVELOPE, compiled, facts)
    finally:
        sys.setprofile(None)
    assert calls < 10 * extraction.MAX_LINES


def test_a_template_error_is_one_of_predicates():
    with pytest.raises(PredicateError):
        extraction._template("{}")
