"""Kinds of mail, and which may not be answered (RFC 3834 section 2)."""

import pytest

from itsm.signal import MailKind
from tests.intake.mail.mails import message_of

REPORT = b'Content-Type: multipart/report; report-type=%s; boundary="b"\n\n--b\n\nsee below\n--b--\n'


def mail(
    *fields: str, sender: str = "Ana <ana@example.com>", to: str = "desk@example.org", subject: str = "Printer", body: str = "It is broken."
) -> bytes:
    written = [f"To: {to}", f"Subject: {subject}", *fields]
    if sender:
        written.insert(0, f"From: {sender}")
    return ("\n".join(written) + f"\n\n{body}\n").encode()


BOUNCED = "Hi. This is the qmail-send program.\n\n<x@example.net>:\nSorry, no mailbox here by that name. (#5.1.1)\n"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (mail(), MailKind.HUMAN),
        (mail("Auto-Submitted: no"), MailKind.HUMAN),
        (mail(subject="Re: Undelivered Mail Returned to Sender"), MailKind.HUMAN),
        (mail(subject="Delivery failure of my mails", body=BOUNCED), MailKind.HUMAN),
        (mail(subject="Fwd: Automatic reply: x"), MailKind.HUMAN),
        (mail(sender="DHL <delivery@example.com>", body="Your parcel could not be delivered to <ana@example.net>."), MailKind.HUMAN),
        (mail("Auto-Submitted: auto-generated"), MailKind.MACHINE),
        (mail("Auto-Submitted: auto-generated (cron)"), MailKind.MACHINE),
        (mail("Return-Path: <>"), MailKind.MACHINE),
        (mail(sender="no-reply@example.com"), MailKind.MACHINE),
        (mail("Auto-Submitted: auto-generated", sender="mailer-daemon@example.com", body="Summary of the night"), MailKind.MACHINE),
        (mail("Auto-Submitted: auto-replied; x=y"), MailKind.AUTO_REPLY),
        (mail("X-Autoreply: yes"), MailKind.AUTO_REPLY),
        (mail("Precedence: auto_reply"), MailKind.AUTO_REPLY),
        (mail(subject="Out of Office: Printer"), MailKind.AUTO_REPLY),
        (mail(subject="Automatische Antwort: Drucker"), MailKind.AUTO_REPLY),
        (mail("Return-Path: <>", subject="Ana: vacation"), MailKind.AUTO_REPLY),
        (mail("Return-Path: <>", subject="Automatic reply: x", body="Write to <bob@example.com>."), MailKind.AUTO_REPLY),
        (b"From: a@example.com\nSubject: Read: x\n" + REPORT % b"disposition-notification", MailKind.AUTO_REPLY),
        (mail("List-Id: <users.example.com>"), MailKind.LIST),
        (mail("Precedence: bulk"), MailKind.LIST),
        (mail(sender="mailer-daemon@example.com"), MailKind.BOUNCE),
        (mail("Return-Path: <>", subject="Undeliverable: x"), MailKind.BOUNCE),
        (mail("Return-Path: <>", body=BOUNCED), MailKind.BOUNCE),
        (mail(sender="", subject="Returned mail", body=BOUNCED), MailKind.BOUNCE),
        (mail("Auto-Submitted: auto-replied", subject="failure notice", body=BOUNCED), MailKind.BOUNCE),
        (mail(to="users-bounces@example.org", subject="Delivery failure", body=BOUNCED), MailKind.BOUNCE),
        (mail("List-Id: <users.example.com>", to="users-bounces@example.org", subject="Delivery failure", body=BOUNCED), MailKind.BOUNCE),
        (mail("X-Failed-Recipients: x@example.net"), MailKind.BOUNCE),
        (b"From: a@example.com\nSubject: x\n" + REPORT % b"delivery-status", MailKind.BOUNCE),
        (b"From: a@example.com\nSubject: x\n" + REPORT % b'"feedback-report"', MailKind.FEEDBACK),
        (b"From: a@example.com\nSubject: complaint about message from 192.0.2.1\nContent-Type: message/rfc822\n\nSubject: x\n\ny", MailKind.FEEDBACK),
        (mail(subject="complaint about message from my neighbour"), MailKind.HUMAN),
        (mail(sender="no-reply@sns.example.com", body='{"notificationType":"Complaint","complaint":{}}'), MailKind.FEEDBACK),
        (mail(sender="no-reply@sns.example.com", body='{"notificationType":"Bounce","bounce":{}}'), MailKind.BOUNCE),
        (mail(sender="no-reply@sns.example.com", body='{"notificationType":"Delivery"}'), MailKind.MACHINE),
    ],
)  # fmt: skip
def test_kinds(raw: bytes, kind: MailKind):
    assert message_of(raw).kind is kind


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (mail(), None),
        (mail("Auto-Submitted: no", "X-Auto-Response-Suppress: None", "Precedence: normal"), None),
        (mail("Auto-Submitted: auto-generated"), "it is automatic (Auto-Submitted, RFC 3834 2)"),
        (mail("Return-Path: <>"), "null reverse-path (RFC 3834 2)"),
        (mail("X-Triaged-Loop: anything"), "it carries a loop mark of triaged"),
        (mail("List-Help: <mailto:x@example.com>"), "it came by a list or in bulk (RFC 3834 2)"),
        (mail("Precedence: junk"), "it came by a list or in bulk (RFC 3834 2)"),
        (mail("X-Auto-Response-Suppress: OOF, AutoReply"), "it asks for no automatic answer (X-Auto-Response-Suppress)"),
        (mail("X-Autorespond: yes"), "it is an automatic answer"),
        (mail(subject="Autoreply: x"), "it is an automatic answer"),
        (mail(sender=""), "no usable From address"),
        (mail(sender="noreply@example.com"), "its address is not a person's (RFC 3834 2)"),
        (mail(sender="Postmaster <POSTMASTER@example.com>"), "its address is not a person's (RFC 3834 2)"),
        (mail(sender="owner-users@example.com"), "its address is not a person's (RFC 3834 2)"),
        (mail(sender="users-request@example.com"), "its address is not a person's (RFC 3834 2)"),
        (mail(sender="bounces+7@example.com"), "its address is not a person's (RFC 3834 2)"),
    ],
)  # fmt: skip
def test_what_may_not_be_answered(raw: bytes, why: str | None):
    assert message_of(raw).unanswerable == why


def test_our_own_mark_and_the_hops_are_kept():
    found = message_of(b"Received: from a by b\nReceived: from c by d\n" + mail("X-Triaged-Loop: token <1@example.org>"))
    assert (found.sent_by_us, found.received_count) == ("token <1@example.org>", 2)


def test_results_of_authentication_are_kept_topmost_first():
    found = message_of(b"Authentication-Results: mx.example.org;\n dmarc=pass\nAuthentication-Results: evil\n" + mail())
    assert found.authentication == ("mx.example.org; dmarc=pass", "evil")


def test_of_several_from_addresses_the_sender_field_names_who_acts():
    found = message_of(mail("Sender: b@example.com", sender="a@example.com, b@example.com"))
    assert found.sender is not None
    assert (found.sender.address, found.defects) == ("b@example.com", ("From has several addresses",))
    first = message_of(mail(sender="a@example.com, b@example.com"))
    assert first.sender is not None
    assert first.sender.address == "a@example.com"


def test_fields_that_stand_twice_are_read_together():
    found = message_of(mail("To: second@example.org", "Cc: c@example.org"))
    assert [each.address for each in found.to] == ["desk@example.org", "second@example.org"]
    assert [each.address for each in found.cc] == ["c@example.org"]
