"""What arrived, before anyone understood it, and the ways a part of it can end (design 2, 4)."""

from datetime import datetime
from enum import StrEnum

import msgspec

MAIL_FORMAT = "rfc822"


class Channel(StrEnum):
    """The door an envelope came through."""

    SMTP = "smtp"
    HTTP = "http"
    IMAP = "imap"
    PIPE = "pipe"


class Outcome(StrEnum):
    """How a part ended. Every part ends in exactly one; `code` is its letter in the envelope's row."""

    CREATED = "created"
    APPENDED = "appended"
    LINKED = "linked"
    DUPLICATE = "duplicate"
    SUPPRESSED = "suppressed"
    RECORDED = "recorded"
    REFUSED = "refused"
    QUARANTINED = "quarantined"
    DROPPED = "dropped"

    @property
    def code(self) -> str:
        """One stable letter; once stored it never changes."""
        return OUTCOME_CODES[self]


OUTCOME_CODES: dict[Outcome, str] = {
    Outcome.CREATED: "C",
    Outcome.APPENDED: "A",
    Outcome.LINKED: "L",
    Outcome.DUPLICATE: "D",
    Outcome.SUPPRESSED: "S",
    Outcome.RECORDED: "R",
    Outcome.REFUSED: "F",
    Outcome.QUARANTINED: "Q",
    Outcome.DROPPED: "X",
}
PENDING_CODE = "."  # a part without outcome yet
OUTCOME_OF_CODE: dict[str, Outcome] = {code: outcome for outcome, code in OUTCOME_CODES.items()}


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the door knows about the bytes it took; the bytes themselves are stored beside it.

    `source` names the configured alert source, mailbox or listener; `format` is `rfc822` or the adapter's file name.
    `reverse_path` is the MAIL FROM (RFC 5321 4.1.1.2): "" for the null reverse-path, None where the door has none.
    `login` is the SMTP AUTH identity, or the name of the API token. `message_id` is what the header scan found.
    `edited_from` names the envelope this one was edited from in quarantine.
    """

    id: int
    channel: Channel
    source: str
    format: str = MAIL_FORMAT
    received_at: datetime
    reverse_path: str | None = None
    forward_paths: tuple[str, ...] = ()
    peer: str = ""
    login: str | None = None
    size_bytes: int
    message_id: str | None = None
    edited_from: int | None = None
