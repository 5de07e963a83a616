"""What is told to whom: one notification is one recipient and one Message-ID (design 4, outbox)."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Event(StrEnum):
    """The occasions for a mail; each has a template of the same name in `notifier/templates`."""

    ACKNOWLEDGED = "acknowledged"
    REPLY = "reply"
    UPDATED = "updated"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    TEAM_NEW = "team_new"
    TEAM_REPLY = "team_reply"
    TEAM_ALERT_OPENED = "team_alert_opened"
    TEAM_ALERT_RESOLVED = "team_alert_resolved"
    COMMAND_RESULT = "command_result"
    STATUS = "status"
    MERGED = "merged"


class AutoSubmitted(StrEnum):
    """The Auto-Submitted value (RFC 3834 5): an answer to one mail, a notice of our own, or a person's own words."""

    REPLIED = "auto-replied"
    GENERATED = "auto-generated"
    NO = "no"


AUTO_SUBMITTED: dict[Event, AutoSubmitted] = {
    Event.ACKNOWLEDGED: AutoSubmitted.REPLIED,
    Event.REPLY: AutoSubmitted.NO,
    Event.UPDATED: AutoSubmitted.GENERATED,
    Event.RESOLVED: AutoSubmitted.GENERATED,
    Event.REOPENED: AutoSubmitted.GENERATED,
    Event.TEAM_NEW: AutoSubmitted.GENERATED,
    Event.TEAM_REPLY: AutoSubmitted.GENERATED,
    Event.TEAM_ALERT_OPENED: AutoSubmitted.GENERATED,
    Event.TEAM_ALERT_RESOLVED: AutoSubmitted.GENERATED,
    Event.COMMAND_RESULT: AutoSubmitted.REPLIED,
    Event.STATUS: AutoSubmitted.REPLIED,
    Event.MERGED: AutoSubmitted.GENERATED,
}
NULL_REVERSE_PATH = frozenset(
    {Event.ACKNOWLEDGED, Event.COMMAND_RESULT, Event.STATUS}
)  # RFC 3834 3.3: an automatic response goes out with <>, so it can never bounce


class DeliveryState(StrEnum):
    """The life of a row of the outbox."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"
    SUPPRESSED = "suppressed"
    HELD = "held"


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that goes with a mail: a part of a mail that is stored, by its place in the walk."""

    inbox_id: int
    part_index: int
    filename: str
    content_type: str
    size_bytes: int


class FilesWanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a child process is asked for: these parts of a stored mail."""

    body: bytes
    part_indexes: tuple[int, ...]


class FilesFound(msgspec.Struct, frozen=True, kw_only=True):
    """Their octets in the same order, None for a part that is not there."""

    contents: tuple[bytes | None, ...]


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the outbox. `message_id` (no angle brackets) is minted with the row and never changes.

    `facts` is what the template may say, already as text; `in_reply_to` and `references` are message identifiers.
    `suppressed_because` is set when the row is recorded but must not be sent. `reply_grant` is the grant its reply address carries.
    """

    id: int
    ticket_id: int
    ticket_number: int
    event: Event
    recipient: str
    recipient_name: str = ""
    message_id: str
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    facts: dict[str, str] = {}
    created_at: datetime
    due_at: datetime
    state: DeliveryState = DeliveryState.QUEUED
    attempts: int = 0
    suppressed_because: str | None = None
    reply_grant: int | None = None
    attachments: tuple[StoredFile, ...] = ()
