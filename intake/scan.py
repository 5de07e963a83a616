"""The look at a header before anyone parses: Message-ID and the number of Received fields; total and linear."""

import re

from intake.mail.identifiers import message_identifier

SCANNED_BYTES = 65_536
_MESSAGE_ID = re.compile(rb"(?im)^message-id[ \t]*:((?:[^\r\n]|\r?\n[ \t])*)")
_END = re.compile(rb"\r?\n\r?\n")


def header_block(raw: bytes) -> bytes:
    """The first 64 KiB of the header."""
    head = raw[:SCANNED_BYTES]
    end = _END.search(head)
    return head[: end.start()] if end else head


def message_id_of(raw: bytes) -> str | None:
    """The Message-ID without angle brackets, or None."""
    found = _MESSAGE_ID.search(header_block(raw))
    if found is None:
        return None
    return message_identifier(found[1].decode("utf-8", "surrogateescape").replace("\r", " ").replace("\n", " "))


def received_count(raw: bytes) -> int:
    """How many hops the mail has seen (RFC 5321 6.3)."""
    head = header_block(raw).lower()
    return head.count(b"\nreceived:") + head.startswith(b"received:")
