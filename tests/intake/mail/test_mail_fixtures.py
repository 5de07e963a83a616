"""Whole mails, from bytes to what `triaged parse --json` prints."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from intake.mail.body import attachment_bytes
from intake.mail.parse import parse_mail
from intake.present import present
from itsm.address import Address
from itsm.signal import DeliveryReport, MailKind, UserMessage

FIXTURES = Path(__file__).parents[2] / "fixtures" / "mail"
NAMES = sorted(each.name for each in FIXTURES.glob("*.eml"))


def read(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def message(name: str) -> UserMessage:
    parsed = parse_mail(read(name))
    return parsed.message if isinstance(parsed, DeliveryReport) else parsed


def test_a_plain_mail_is_read_whole():
    mail = message("plain.eml")
    assert mail.kind is MailKind.HUMAN
    assert mail.sender == Address(name="Ana Example", address="ana@example.com")
    assert mail.to == (Address(name="Help Desk", address="desk@example.org"),)
    assert mail.subject == "Printer on the third floor"
    assert mail.message_id == "plain-1@example.com"
    assert mail.date == datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    assert mail.text.endswith("Third floor")
    assert mail.reply_text == "Hello,\n\nthe printer on the third floor does not print any more."
    assert mail.defects == ()
    assert mail.unanswerable is None


def test_a_reply_gives_its_new_words_and_its_thread():
    mail = message("reply.eml")
    assert mail.reply_text == "Thank you, it prints again. Grüße!"
    assert "> Does it print now?" in mail.text
    assert mail.in_reply_to == ("token.7@desk.example.org",)
    assert mail.references == ("plain-1@example.com", "token.7@desk.example.org")


def test_german_in_latin_1_with_an_attachment():
    mail = message("german-latin1.eml")
    assert mail.sender == Address(name="Jürgen Müller", address="juergen@example.com")
    assert mail.subject == "Störung im Büro"
    assert mail.text.startswith("Grüß Gott,")
    [picture] = mail.attachments
    assert (picture.filename, picture.content_type, picture.size_bytes, picture.inline) == ("Störung.png", "image/png", 70, False)
    octets = attachment_bytes(read("german-latin1.eml"), picture.part_index)
    assert octets is not None
    assert octets.startswith(b"\x89PNG")
    assert attachment_bytes(read("german-latin1.eml"), 99) is None
    assert attachment_bytes(read("german-latin1.eml"), -1) is None


def test_raw_latin_1_without_any_declaration_is_guessed_and_recorded():
    mail = message("undeclared-latin1.eml")
    assert mail.subject == "Grüße aus Köln"
    assert mail.sender == Address(name="Jürgen", address="juergen@example.com")
    assert "Tür des Kühlraums schließt" in mail.text
    assert mail.defects == ("charset: no charset given, read as cp1252",)


def test_of_an_alternative_the_plain_text_is_read_and_its_picture_is_inline():
    mail = message("alternative-related.eml")
    assert mail.text == "This line was wrapped by the sender's program and flows."
    [picture] = mail.attachments
    assert (picture.content_id, picture.inline) == ("logo@example.com", True)


def test_html_alone_is_turned_into_words():
    mail = message("html-only.eml")
    assert mail.text.split() == ["Die", "Tür", "klemmt.", "•", "oben", "•", "unten"]


def test_a_broken_multipart_gives_what_can_be_read_and_says_what_was_wrong():
    mail = message("broken-multipart.eml")
    assert mail.text == "The first part can be read."
    assert [each.filename for each in mail.attachments] == ["bill.pdf"]
    assert mail.defects == ("the last boundary is missing", "part 2: base64 is incomplete", "part 1: charset: unknown charset 'x-unknown'")


def test_a_multipart_without_boundary_is_read_as_text():
    assert message("no-boundary.eml").text == "The words are still there."


def test_a_line_that_is_no_field_does_not_end_the_header():
    mail = message("garbled-header.eml")
    assert (mail.subject, mail.text) == ("A line too many", "Still read.")
    assert mail.defects == ("a line in a header is no field",)


def test_a_mail_in_a_mail_is_one_attachment_and_its_words_are_not_ours():
    mail = message("forwarded-mail.eml")
    assert mail.text == "Please look at the attached mail."
    [inner] = mail.attachments
    assert (inner.filename, inner.content_type) == ("message.eml", "message/rfc822")
    kept = attachment_bytes(read("forwarded-mail.eml"), inner.part_index)
    assert kept is not None
    parsed = parse_mail(kept)
    assert isinstance(parsed, UserMessage)
    assert (parsed.message_id, parsed.text) == ("inner-1@example.net", "The inner words are not ours.")


def test_an_out_of_office_note_is_an_automatic_reply_nobody_answers():
    mail = message("out-of-office.eml")
    assert mail.kind is MailKind.AUTO_REPLY
    assert mail.return_path == "<>"
    assert mail.unanswerable == "it is automatic (Auto-Submitted, RFC 3834 2)"


def test_a_delivery_status_notification_names_each_recipient():
    parsed = parse_mail(read("bounce-dsn.eml"))
    assert isinstance(parsed, DeliveryReport)
    assert parsed.message.kind is MailKind.BOUNCE
    nobody, full = parsed.recipients
    assert (nobody.address, nobody.action, nobody.status, nobody.permanent, nobody.reason) == (
        "nobody@example.net",
        "failed",
        "5.1.1",
        True,
        "no_such_user",
    )
    assert nobody.diagnostic == "smtp; 550 5.1.1 <nobody@example.net>: Recipient address rejected: User unknown"
    assert (full.address, full.action, full.status, full.permanent, full.reason) == ("full@example.net", "delayed", "4.2.2", False, "full")


def test_a_bounce_in_words_is_understood():
    parsed = parse_mail(read("bounce-words.eml"))
    assert isinstance(parsed, DeliveryReport)
    [recipient] = parsed.recipients
    assert (recipient.address, recipient.permanent, recipient.reason) == ("nobody@example.net", True, "no_such_user")


@pytest.mark.parametrize(
    ("name", "kind"), [("feedback.eml", MailKind.FEEDBACK), ("list.eml", MailKind.LIST), ("winmail.eml", MailKind.HUMAN)]
)
def test_kinds_of_other_mail(name: str, kind: MailKind):
    assert message(name).kind is kind


def test_a_winmail_dat_is_kept_as_it_is():
    [attachment] = message("winmail.eml").attachments
    assert (attachment.filename, attachment.content_type) == ("winmail.dat", "application/ms-tnef")


def test_an_invitation_without_words_is_told_in_words():
    mail = message("calendar.eml")
    assert mail.text == "Toner change, third floor\nStart: 20260302T100000Z\nPlace: Room 3\nBring gloves\nand patience"
    assert [each.filename for each in mail.attachments] == ["invite.ics"]


def test_a_uuencoded_file_is_decoded():
    [attachment] = message("uuencoded.eml").attachments
    assert attachment_bytes(read("uuencoded.eml"), attachment.part_index) == b"hello world"


def test_two_from_fields_mean_that_nobody_is_trusted():
    mail = message("two-forms.eml")
    assert mail.sender is None
    assert mail.defects == ("From can be read in two ways",)
    assert mail.unanswerable == "no usable From address"
    assert mail.authentication == ("mx.example.org; dmarc=pass header.from=evil.example",)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_line_ends_make_no_difference(name: str, line_end: bytes):
    raw = read(name)
    assert b"\r" not in raw
    assert present((parse_mail(raw.replace(b"\n", line_end)),)) == present((parse_mail(raw),))


@pytest.mark.parametrize("name", NAMES)
def test_a_mail_has_the_same_hashes_whichever_door_it_came_through(name: str):
    raw = read(name)
    one, two = parse_mail(raw), parse_mail(b"From ana@example.com Mon Mar  2 09:00:00 2026\r\n" + raw.replace(b"\n", b"\r\n") + b"\r\n\r\n")
    one, two = (each.message if isinstance(each, DeliveryReport) else each for each in (one, two))
    assert (one.content_sha256, one.fallback_sha256) == (two.content_sha256, two.fallback_sha256)


def test_other_words_are_another_mail():
    raw = read("plain.eml")
    other = parse_mail(raw.replace(b"third floor does", b"fourth floor does"))
    assert isinstance(other, UserMessage)
    assert other.content_sha256 != message("plain.eml").content_sha256
    same_words = parse_mail(raw.replace(b"Subject: P", b"Subject: A p"))
    assert isinstance(same_words, UserMessage)
    assert same_words.content_sha256 == message("plain.eml").content_sha256
    assert same_words.fallback_sha256 != message("plain.eml").fallback_sha256


def test_the_reverse_path_of_the_door_counts_more_than_the_field():
    parsed = parse_mail(read("plain.eml"), return_path="")
    assert isinstance(parsed, UserMessage)
    assert parsed.return_path == ""
    assert parsed.unanswerable == "null reverse-path (RFC 3834 2)"
    assert parsed.kind is MailKind.MACHINE
