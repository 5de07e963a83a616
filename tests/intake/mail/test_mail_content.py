"""What else a mail carries: uuencoded files, signatures and encryption, complaints, forwards (issue 5, items 1 to 3)."""

import binascii

import pytest

from intake.mail.forward import is_forward
from intake.mail.uuencode import MAX_FILES, without_files
from itsm.signal import MailKind, Protection
from tests.intake.mail.mails import TOP, message_of, mixed

FILE = b"begin 644 a.png\n" + b"".join(binascii.b2a_uu(b"x" * 45) for _ in range(3)) + b"`\nend\n"
REPORT = (
    b"From: feedback@isp.example\nTo: abuse@example.org\nSubject: FW: Earn money\n"
    b'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\n\n--b\n\nThis is an email abuse report.\n'
    b"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: %s\nUser-Agent: X/1.0\nVersion: 1\n%s\n"
    b"--b\nContent-Type: message/rfc822\n\nFrom: desk@example.org\nTo: Ana <ana@example.com>\nMessage-ID: <m1@example.org>\n\nhi\n--b--\n"
)


def test_a_uuencoded_file_in_a_text_is_named_and_is_no_word_of_the_sender():
    mail = message_of(TOP + b"\nSee the picture.\n\n" + FILE + b"\nAna\n")
    assert mail.reply_text == "See the picture.\n\n\nAna"
    assert "begin 644 a.png" in mail.text
    assert mail.defects == ("the text holds uuencoded files: a.png",)


@pytest.mark.parametrize("text", ["begin 644 now\nplease", "begin 644 a\nM!!!\n", "begin 9 a\nM!!\nend\n", "we begin 644 a\n"])
def test_what_only_looks_like_a_uuencoded_file_stays_text(text: str):
    assert without_files(text) == (text, ())


def test_at_most_fifty_uuencoded_files_are_looked_for():
    words, names = without_files((FILE.decode() + "words\n") * (MAX_FILES + 2))
    assert len(names) == MAX_FILES
    assert words.count("begin 644") == 2
    mail = message_of(TOP + b"\n" + FILE * 7)
    assert mail.defects == ("the text holds uuencoded files: a.png, a.png, a.png, a.png, a.png and 2 more",)
    assert mail.reply_text == mail.text.strip()


@pytest.mark.parametrize(
    ("head", "body", "protection"),
    [
        (b"Content-Type: text/plain\n", b"hello\n", Protection.NONE),
        (b'Content-Type: multipart/signed; boundary="b"; protocol="application/pgp-signature"\n', b"--b\n\nhello\n--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n", Protection.SIGNED),
        (b'Content-Type: multipart/encrypted; boundary="b"; protocol="application/pgp-encrypted"\n', b"--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b\nContent-Type: application/octet-stream\n\nx\n--b--\n", Protection.ENCRYPTED),
        (b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n", b"x\n", Protection.ENCRYPTED),
        (b"Content-Type: application/x-pkcs7-mime; name=smime.p7m\n", b"x\n", Protection.ENCRYPTED),
        (b"Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\n", b"x\n", Protection.SIGNED),
        (b"Content-Type: text/plain\n", b"-----BEGIN PGP MESSAGE-----\n\nabc=\n-----END PGP MESSAGE-----\n", Protection.ENCRYPTED),
        (b"Content-Type: text/plain\n", b"hi\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nhello\n-----BEGIN PGP SIGNATURE-----\nx\n-----END PGP SIGNATURE-----\n", Protection.SIGNED),
        (b"Content-Type: text/plain\n", b"new words\n\n> -----BEGIN PGP MESSAGE-----\n", Protection.NONE),
    ],
)  # fmt: skip
def test_signed_and_encrypted_mail_is_marked(head: bytes, body: bytes, protection: Protection):
    mail = message_of(TOP + head + b"\n" + body)
    assert mail.protection is protection
    assert any("encrypted" in each for each in mail.defects) is (protection is Protection.ENCRYPTED)


def test_the_words_inside_of_an_inline_signature_are_the_new_words():
    body = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nIt jams.\n- --- page 4 ---\n-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n"
    assert message_of(TOP + b"\n" + body).reply_text == "It jams.\n--- page 4 ---"


def test_a_complaint_is_read_to_its_type_and_recipient():
    mail = message_of(REPORT % (b"abuse", b"Original-Rcpt-To: <bo@example.com>\n"))
    assert mail.kind is MailKind.FEEDBACK
    assert mail.feedback is not None
    assert (mail.feedback.feedback_type, mail.feedback.recipients, mail.feedback.original_message_id) == (
        "abuse",
        ("bo@example.com",),
        "m1@example.org",
    )


def test_a_complaint_that_names_no_recipient_is_about_whom_the_mail_was_sent_to():
    mail = message_of(REPORT % (b"Fraud", b""))
    assert mail.feedback is not None
    assert (mail.feedback.feedback_type, mail.feedback.recipients) == ("fraud", ("ana@example.com",))


def test_a_complaint_without_the_standards_part_is_abuse():
    raw = b"From: staff@hotmail.example\nSubject: complaint about message from 192.0.2.1\n"
    raw += b'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: message/rfc822\n\nTo: ana@example.com\n\nx\n--b--\n'
    mail = message_of(raw)
    assert mail.feedback is not None
    assert (mail.feedback.feedback_type, mail.feedback.recipients, mail.feedback.original_message_id) == (
        "abuse",
        ("ana@example.com",),
        None,
    )


@pytest.mark.parametrize(
    "subject", ["Fwd: Printer", "FW: x", "WG: Drucker", "TR : imprimante", "[Fwd: x]", "RV: x", "转发：打印机", "Doorst: x"]
)
def test_a_forward_is_known_by_its_subject(subject: str):
    assert is_forward(subject, "")


@pytest.mark.parametrize("line", ["---------- Forwarded message ---------", "Begin forwarded message:", "-------- Weitergeleitete Nachricht --------", "> Begin forwarded message:"])  # fmt: skip
def test_a_forward_is_known_by_its_separator(line: str):
    assert is_forward("Printer", f"please have a look\n\n{line}\nFrom: x\n")


@pytest.mark.parametrize(
    "text", ["a forwarded message was lost", "Forwarded message", "x\n" * 300 + "---------- Forwarded message ---------"]
)
def test_other_mail_is_no_forward(text: str):
    assert not is_forward("Re: Fwd printing", text)


def test_what_had_to_be_said_of_a_part_names_the_part():
    mail = message_of(
        mixed(
            b"\nfine", b"Content-Type: text/plain; charset=x-unknown\n\nTuer", b"Content-Type: text/plain; charset=us-ascii\n\nT\xc3\xbcr"
        )
    )
    assert mail.defects == ("part 2: charset: unknown charset 'x-unknown'", "part 3: charset: not us-ascii, read as utf-8")


def test_remarks_that_are_too_many_are_counted():
    mail = message_of(mixed(*(b"Content-Type: text/plain; charset=x-%d\n\nhi" % at for at in range(40))))
    assert len(mail.defects) == 30
    assert mail.defects[-1] == "and 11 more remarks"
