"""Kinds of mail, and which may not be answered (RFC 3834 section 2)."""

import pytest

from intake.mail.parse import parse_mail
from itsm.signal import DeliveryReport, MailKind
from tests.intake.mail.mails import message_of, mixed

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
        (mail("Auto-Submitted: no (a person)"), MailKind.HUMAN),
        (mail("Return-Path: <ana@example.com>"), MailKind.HUMAN),
        (mail(to="users-bounces@example.org", subject="Delivery failure of my mails", body="Please help."), MailKind.HUMAN),
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
        (mail("Auto-Submitted: auto-generated", subject="Undeliverable: x"), MailKind.BOUNCE),
        (mail(sender="", subject="Undeliverable: x"), MailKind.BOUNCE),
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
    ],
)  # fmt: skip
def test_what_may_not_be_answered(raw: bytes, why: str | None):
    assert message_of(raw).unanswerable == why


@pytest.mark.parametrize("name", ["mailer-daemon", "postmaster", "mailerdaemon", "mail-daemon", "post_master", "mailer_daemon"])
def test_what_a_mail_system_writes_is_a_bounce_and_never_answered(name: str):
    found = message_of(mail(sender=f"{name}@example.com", subject="Automatic reply: about your mail"))
    assert (found.kind, found.unanswerable) == (MailKind.BOUNCE, "it is an automatic answer")
    assert message_of(mail(sender=f"{name}@example.com")).unanswerable == "its address is not a person's (RFC 3834 2)"


@pytest.mark.parametrize("subject", ["Undeliverable: Printer", "Summary of the night"])
@pytest.mark.parametrize("body", [BOUNCED, "The night was quiet."])
def test_a_report_that_a_mail_system_made_by_itself_is_a_bounce_when_it_says_so(subject: str, body: str):
    found = message_of(mail("Auto-Submitted: auto-generated", sender="mailer-daemon@example.com", subject=subject, body=body))
    says_so = subject.startswith("Undeliverable") or body == BOUNCED
    assert found.kind is (MailKind.BOUNCE if says_so else MailKind.MACHINE)


SILENT = ["no-reply", "noreply", "do-not-reply", "donotreply", "no_reply", "do_not_reply", "no.reply", "nobody", "bounce", "bounces"]


@pytest.mark.parametrize("name", SILENT)
def test_an_address_that_wants_no_answer_is_a_machines(name: str):
    found = message_of(mail(sender=f"{name}@example.com"))
    assert (found.kind, found.unanswerable) == (MailKind.MACHINE, "its address is not a person's (RFC 3834 2)")


@pytest.mark.parametrize("name", ["owner-users", "bounce+7", "bounces+7", "users-request", "users-owner", "users-bounces"])
def test_the_addresses_of_a_list_get_no_answer(name: str):
    assert message_of(mail(sender=f"{name}@example.com")).unanswerable == "its address is not a person's (RFC 3834 2)"


@pytest.mark.parametrize(
    "field",
    [
        "List-Id: <users.example.com>",
        "List-Post: <mailto:users@example.com>",
        "List-Unsubscribe: <mailto:users-leave@example.com>",
        "Mailing-List: contact users-help@example.com",
        "Precedence: list",
        "Precedence: bulk",
        "Precedence: junk",
    ],
)
def test_what_comes_by_a_list_or_in_bulk_says_so(field: str):
    found = message_of(mail(field))
    assert (found.kind, found.unanswerable) == (MailKind.LIST, "it came by a list or in bulk (RFC 3834 2)")


@pytest.mark.parametrize(
    "name", ["X-Autoreply", "X-Autorespond", "X-Autoreply-From", "X-Mail-Autoreply", "X-Autoresponse", "X-Auto-Reply-From"]
)
def test_what_answers_by_itself_says_so(name: str):
    found = message_of(mail(f"{name}: yes"))
    assert (found.kind, found.unanswerable) == (MailKind.AUTO_REPLY, "it is an automatic answer")


@pytest.mark.parametrize("words", ["All", "AutoReply", "OOF", "DR, RN, NRN, OOF"])
def test_each_word_of_outlook_that_asks_for_silence_is_heard(words: str):
    assert message_of(mail(f"X-Auto-Response-Suppress: {words}")).unanswerable == (
        "it asks for no automatic answer (X-Auto-Response-Suppress)"
    )


@pytest.mark.parametrize(
    "signs",
    [
        {"fields": ["Return-Path: <>"]},
        {"fields": ["Auto-Submitted: auto-replied"]},
        {"fields": ["X-Failed-Recipients-Text: one"]},
        {"fields": ["X-Mailer-Daemon-Error: user unknown"]},
        {"sender": ""},
        {"sender": "mailer-daemon@example.com"},
        {"sender": "virus-daemon@example.com", "subject": "Delivery failure"},
        {"to": "bounces+7=x@example.org", "subject": "Delivery failure"},
        {"to": "users-errors@example.org", "subject": "Delivery failure"},
        {"to": "desk@example.org, owner-users@example.org", "subject": "Delivery failure"},
    ],
)
def test_a_machine_that_names_whom_it_did_not_reach_is_a_bounce_and_is_asked_for_them(signs):
    found = parse_mail(mail(*signs.get("fields", ()), **{name: text for name, text in signs.items() if name != "fields"}, body=BOUNCED))
    assert isinstance(found, DeliveryReport)
    assert (found.message.kind, [each.address for each in found.recipients]) == (MailKind.BOUNCE, ["x@example.net"])


def test_a_report_without_its_standard_part_is_asked_for_its_words():
    found = parse_mail(b"From: a@example.com\nSubject: x\n" + REPORT.replace(b"see below", BOUNCED.encode()) % b"delivery-status")
    assert isinstance(found, DeliveryReport)
    assert [each.address for each in found.recipients] == ["x@example.net"]


def test_words_about_a_failed_delivery_count_wherever_they_stand_in_300_characters_of_a_subject():
    notice = "failure notice"
    for before, kind in ((0, MailKind.BOUNCE), (300 - len(notice), MailKind.BOUNCE), (301 - len(notice), MailKind.MACHINE)):
        assert message_of(mail("Return-Path: <>", subject="x" * before + notice)).kind is kind


def test_only_ten_recipients_are_looked_at_for_the_return_address_of_a_list():
    def kind(people: int) -> MailKind:
        to = ", ".join([f"p{each}@example.org" for each in range(people)] + ["users-bounces@example.org"])
        return message_of(mail(to=to, subject="Delivery failure", body=BOUNCED)).kind

    assert (kind(9), kind(10)) == (MailKind.BOUNCE, MailKind.HUMAN)


def test_a_person_who_forwards_a_mail_as_a_file_complains_of_nobody():
    forwarded = mixed(b"Content-Type: text/plain\n\nsee this", b"Content-Type: message/rfc822\n\nSubject: x\n\ny")
    assert message_of(forwarded).kind is MailKind.HUMAN
    complaint = forwarded.replace(b"Subject: Printer", b"Subject: complaint about message from 192.0.2.1")
    assert message_of(complaint).kind is MailKind.FEEDBACK


def test_a_feedback_report_is_known_by_its_part_where_nothing_says_that_it_is_a_report():
    parts = (b"Content-Type: text/plain\n\nsee below", b"Content-Type: message/feedback-report\n\nFeedback-Type: abuse\n")
    assert message_of(mixed(*parts)).kind is MailKind.FEEDBACK


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
