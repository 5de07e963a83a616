"""Mails in pieces for the tests of the parser."""

from intake.mail.body import Content, content_of
from intake.mail.parse import parse_mail
from intake.mail.walk import walk
from itsm.signal import DeliveryReport, UserMessage

TOP = b"From: Ana <ana@example.com>\nTo: desk@example.org\nSubject: Printer\nMessage-ID: <1@example.com>\n"
MIXED = TOP + b'Content-Type: multipart/mixed; boundary="b"\n\n'


def mixed(*parts: bytes) -> bytes:
    """A multipart/mixed mail of these parts, each with its own header."""
    return MIXED + b"".join(b"--b\n" + each + b"\n" for each in parts) + b"--b--\n"


def content(raw: bytes) -> Content:
    """What a mail says and carries."""
    return content_of(walk(raw).leaves)


def message_of(raw: bytes) -> UserMessage:
    """The mail itself, also of a delivery report."""
    parsed = parse_mail(raw)
    return parsed.message if isinstance(parsed, DeliveryReport) else parsed
