"""Delivery reports: whom they name, whether it is final, and why (RFC 3464, RFC 3463, the wording of mail systems)."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.mail.bounce import MAX_RECIPIENTS
from intake.mail.parse import parse_mail
from intake.mail.reason import REASONS, action_of, permanent_of, reason_of, status_in
from itsm.signal import DeliveryReport, ReportedRecipient

TOP = b"Return-Path: <>\nFrom: mailer-daemon@mx.example.net\nTo: desk@example.org\nSubject: failure notice\n"
DSN = b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n--b\n\nSee below.\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\n'


def report(raw: bytes) -> tuple[ReportedRecipient, ...]:
    parsed = parse_mail(raw)
    assert isinstance(parsed, DeliveryReport)
    return parsed.recipients


def dsn(*blocks: bytes) -> tuple[ReportedRecipient, ...]:
    return report(TOP + DSN + b"\n\n".join(blocks) + b"\n--b--\n")


def words(body: str) -> list[tuple[str, bool | None, str | None]]:
    return [
        (each.address, each.permanent, each.reason) for each in report(TOP + b"Content-Type: text/plain; charset=utf-8\n\n" + body.encode())
    ]


def test_fields_of_a_report_are_unfolded_and_typed():
    [one] = dsn(
        b"FINAL-Recipient: RFC822; <x@example.net>\nAction: Failed (bad)\nStatus: 5.7.1 (policy)\nDiagnostic-Code: smtp;\n 550 5.7.1 Message\n\trejected"
    )
    assert (one.address, one.action, one.status, one.permanent, one.reason) == ("x@example.net", "failed", "5.7.1", True, "policy")
    assert one.diagnostic == "smtp; 550 5.7.1 Message rejected"


def test_a_final_recipient_that_is_no_address_gives_way_to_the_original_one():
    [one] = dsn(b"Final-Recipient: rfc822; jdoe\nOriginal-Recipient: rfc822; john@example.net\nAction: failed")
    assert one.address == "john@example.net"
    [local] = dsn(b"Final-Recipient: rfc822; jdoe\nAction: failed\nStatus: 5.1.1")
    assert (local.address, local.reason) == ("jdoe", "no_such_user")
    [named] = dsn(b"Final-Recipient: rfc822; John <john@example.net>\nAction: failed")
    assert named.address == "john@example.net"


def test_a_recipient_stands_once():
    assert len(dsn(b"Final-Recipient: rfc822; x@y.example\nAction: failed", b"Final-Recipient: rfc822; X@y.example\nAction: failed")) == 1


def test_a_vague_status_gives_way_to_the_one_in_the_diagnostic():
    [one] = dsn(b"Final-Recipient: rfc822; x@y.example\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 552 5.2.2 full")
    assert (one.status, one.reason) == ("5.2.2", "full")
    [other] = dsn(b"Final-Recipient: rfc822; x@y.example\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 452 4.2.2 full")
    assert other.status == "5.0.0"


def test_who_got_it_is_no_failure():
    [one] = dsn(b"Final-Recipient: rfc822; x@y.example\nAction: delivered\nStatus: 2.0.0")
    assert (one.action, one.permanent) == ("delivered", False)


def test_a_report_in_a_text_part_is_a_report_too():
    [one] = report(TOP + b"\nFinal-Recipient: rfc822; x@y.example\nAction: failed\nStatus: 5.1.1\n")
    assert (one.address, one.status) == ("x@y.example", "5.1.1")


def test_a_report_names_at_most_two_hundred():
    assert len(dsn(*(b"Final-Recipient: rfc822; u%d@y.example\nAction: failed" % number for number in range(500)))) == MAX_RECIPIENTS


def test_a_report_without_recipients_is_still_one():
    assert report(TOP + DSN + b"\n--b--\n") == ()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("An error has occurred while delivering to the following recipients:\n\nfull@e.example: 552 5.2.2 Mailbox full\ngone@e.example: 550 5.1.1 User unknown\n\n    Below is a copy of the original message:\n\nTo: x@y.example\n",
         [("full@e.example", True, "full"), ("gone@e.example", True, "no_such_user")]),
        ("Your mail could not be delivered to: <x@e.example>\nAs their mailbox is full.\n", [("x@e.example", True, "full")]),
        ("A message is delayed for more than 10 minutes for:\n\nx@e.example: Network error on destination MXs\n", [("x@e.example", False, "network")]),
        ("----- Transcript of session follows -----\n421 e.example Deferred: Connection timed out\n\n----- Unsent message follows -----\nReceived: by mx\nTo: x@e.example\n",
         [("x@e.example", False, "network")]),
        ("It was impossible.\n\nReturn-Path: <desk@example.org>\nTo: X <x@e.example>\n", [("x@e.example", True, "other")]),
        ("There was an error delivering your mail to <postmaster@e.example>.\n\nDNS lookup failure: host e.example not found\n", [("postmaster@e.example", True, "no_such_host")]),
        ("This mail to desk@example.org says nothing.\n", []),
    ],
)  # fmt: skip
def test_the_wording_of_mail_systems(body: str, found: list[tuple[str, bool, str]]):
    assert words(body) == found


def test_the_returned_mail_tells_whom_it_was_for():
    raw = (
        TOP
        + b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\nDelivery report unavailable\n--b\nContent-Type: message/rfc822\n\nFrom: desk@example.org\nTo: <x@e.example>\n\nhi\n--b--\n'
    )
    assert [each.address for each in report(raw)] == ["x@e.example"]


def test_x_failed_recipients_is_believed():
    raw = TOP + b"X-Failed-Recipients: x@e.example,\n y@e.example\n\nYour message was rejected.\n"
    assert [each.address for each in report(raw)] == ["x@e.example", "y@e.example"]


def test_a_bounce_without_from_logs_nothing(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        assert report(b"Return-Path: <>\nSubject: failure notice\n\n<x@e.example>:\nno such user\n")
    assert caplog.records == []


@pytest.mark.parametrize("fields", [b"From: \xff\xfe\n", b"From: mailer-daemon@x.example\nContent-Type: multipart/mixed\n", b"From: (((\n"])
def test_detectors_that_trip_are_not_heard(fields: bytes):
    parse_mail(b"Return-Path: <>\nSubject: failure notice\n" + fields + b"\nunknown user <x@e.example>\n")


def test_a_report_of_many_nested_parts_is_not_given_to_the_detectors():
    nested = b"".join(b"--b\nContent-Type: multipart/mixed; boundary=c%d\n\n" % number for number in range(60))
    assert report(TOP + b"Content-Type: multipart/mixed; boundary=b\n\n" + nested + b"<x@e.example>: 550 no such user\n")


@pytest.mark.parametrize(
    ("diagnostic", "status", "about", "reason"),
    [
        ("", "5.1.1", "", "no_such_user"),
        ("", "5.1.2", "", "no_such_host"),
        ("", "5.2.2", "", "full"),
        ("", "5.2.1", "", "disabled"),
        ("", "5.3.4", "", "too_big"),
        ("", "4.4.7", "", "expired"),
        ("", "5.7.25", "", "blocked"),
        ("smtp; 550 5.1.1 Mailbox over quota", "5.1.1", "", "full"),
        ("smtp; 550 5.1.1 inactive", "5.1.1", "", "no_such_user"),
        ("smtp; 550 5.2.1 User unknown", "5.2.1", "", "no_such_user"),
        ("smtp; 554 Blocked, see spamhaus.org", None, "", "blocked"),
        ("smtp; 554 message looks like spam", None, "", "spam"),
        ("smtp; 550 relaying denied", None, "", "policy"),
        ("smtp; 421 too many connections", None, "", "rate_limited"),
        ("smtp; 554 too many hops", None, "", "network"),
        ("x; Message size exceeds fixed limit", None, "", "too_big"),
        ("", None, "<full@spam.example>: 550 user unknown", "no_such_user"),
        ("", None, "Recipient address rejected: Mailbox full", "full"),
        ("", None, "Connection refused", "network"),
        ("", None, "The account is disabled", "disabled"),
        ("", None, "internal error", "system"),
        ("", None, "has been in the queue too long", "expired"),
        ("", None, "nobody knows", "other"),
        ("", "5.9.9", "", "other"),
    ],
)  # fmt: skip
def test_reasons(diagnostic: str, status: str | None, about: str, reason: str):
    assert reason_of(diagnostic, status, about) == reason


@given(st.text(max_size=80), st.one_of(st.none(), st.from_regex(r"[245]\.[0-7]\.[0-9]{1,2}", fullmatch=True)), st.text(max_size=80))
def test_every_reason_has_a_name(diagnostic: str, status: str | None, about: str):
    assert reason_of(diagnostic, status, about) in REASONS


@pytest.mark.parametrize(
    ("action", "status", "text", "permanent"),
    [
        ("delayed", "5.0.0", "", False),
        ("failed", "5.0.0", "", True),
        ("failed", "4.4.7", "", False),
        ("failed", None, "550 no", True),
        ("failed", None, "451 later", False),
        ("failed", None, "no code", True),
    ],
)  # fmt: skip
def test_what_is_final(action: str, status: str | None, text: str, permanent: bool):
    assert permanent_of(action, status, text) is permanent


def test_codes_and_actions_in_words():
    assert status_in("see 192.4.2.1 or version 3.5.2, (#5.1.1)") == "5.1.1"
    assert status_in("none") is None
    assert action_of("Relayed (to a gateway)") == "relayed"
    assert action_of("THIS IS A WARNING MESSAGE ONLY") == "delayed"
    assert action_of("went wrong") is None


def test_each_of_many_recipients_has_the_reason_that_stands_by_its_name():
    said = [("no mailbox here by that name. (#5.1.1)", "no_such_user"), ("the mailbox is full. (#5.2.2)", "full")]
    names = [f"u{at:02}@example.net" for at in range(60)]
    lines = "".join(f"<{name}>:\n{said[at % 2][0]}\n\n" for at, name in enumerate(names))
    found = parse_mail(f"Return-Path: <>\nFrom: mailer-daemon@example.com\nSubject: failure notice\n\nHi.\n\n{lines}".encode())
    assert isinstance(found, DeliveryReport)
    assert {each.address: each.reason for each in found.recipients} == {name: said[at % 2][1] for at, name in enumerate(names)}


@pytest.mark.parametrize("written", ["'x@example.net'", "user=x@example.net", "x@example.net.", "<X@EXAMPLE.NET>", "`x@example.net'"])
def test_a_recipient_is_known_among_the_signs_around_it(written):
    text = f"a@example.net: mailbox full (#5.2.2)\n\n{written}: no such user (#5.1.1)\n"
    head = (
        b"Return-Path: <>\nFrom: mailer-daemon@example.com\nX-Failed-Recipients: a@example.net, x@example.net\nSubject: failure notice\n\n"
    )
    found = parse_mail(head + text.encode())
    assert isinstance(found, DeliveryReport)
    assert {each.address: each.reason for each in found.recipients} == {"a@example.net": "full", "x@example.net": "no_such_user"}
