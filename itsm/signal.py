"""What an envelope means once parsed: `Signal = UserMessage | MonitoringEvent | DeliveryReport | Act | TimerDue`."""

from datetime import datetime
from enum import StrEnum

import msgspec

from itsm.act import Act
from itsm.address import Address


class MailKind(StrEnum):
    """What kind of mail this is; whether it may be answered is `UserMessage.unanswerable`, a separate question."""

    HUMAN = "human"
    AUTO_REPLY = "auto_reply"
    BOUNCE = "bounce"
    FEEDBACK = "feedback"
    LIST = "list"
    MACHINE = "machine"


class Protection(StrEnum):
    """Whether a mail is signed or encrypted by its sender; nothing is verified or decrypted here."""

    NONE = "none"
    SIGNED = "signed"
    ENCRYPTED = "encrypted"


class EventStatus(StrEnum):
    """The state a monitoring event reports."""

    FIRING = "firing"
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"


class Severity(StrEnum):
    """Severity in our order, worst first; `severity_raw` keeps the sender's word."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    UNKNOWN = "unknown"


class ResolveScope(StrEnum):
    """Whose end a resolve states (design 4, series): one instance, or every instance begun before it."""

    INSTANCE = "instance"
    SERIES = "series"


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a mail kept as a file; `sha256` is the hex digest of the decoded bytes, `part_index` its place in the walk."""

    filename: str | None
    content_type: str
    size_bytes: int
    sha256: str
    inline: bool = False
    content_id: str | None = None
    part_index: int = 0


class FeedbackReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a complaint says (RFC 5965): its type (`abuse`, `fraud`, `virus`, `not-spam`, ...), who got the mail, and that mail's Message-ID."""

    feedback_type: str
    recipients: tuple[str, ...] = ()
    original_message_id: str | None = None


class Gist(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from a mail's subject and texts alone and is asked for when it is judged.

    `words` are those of subject and new words, folded, a blank around each. `said` stands for subject and new words, `new_said` for the
    new words alone, both without what changes from one automatic mail to the next. `text_sha256` is the hex digest of `text`.
    """

    words: str
    said: str
    new_said: str
    text_sha256: str


class UserMessage(msgspec.Struct, frozen=True, kw_only=True, tag="user_message"):
    """A parsed mail. Message identifiers are without angle brackets; `text` is all inline text, `reply_text` the new words.

    `content_sha256` hashes the decoded parts (sameness, design 4); `fallback_sha256` hashes From, Subject, Date and the
    decoded parts and is what two mails without Message-ID are compared by. `unanswerable` names the reason why no
    automatic answer may be sent (RFC 3834 section 2), or is None. `sent_by_us` is the value of our own loop mark.
    `signed_by` is the domain of From where we verified a DKIM signature of it ourselves, else "".
    `received_count` is the number of Received fields (RFC 5321 6.3), `flagged_as_spam` that X-Spam-Flag says YES, whoever
    wrote it. `authentication` holds the raw values of the Authentication-Results fields, topmost first. `forwarded` tells that
    its sender passes on a mail of somebody else. `text_words` are the distinct words of `text` as the search keeps them, "" where
    nobody has cut them yet; `gist` is what judging asks of the texts, None where nobody has made it yet.
    """

    kind: MailKind
    message_id: str | None
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    sender: Address | None
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    return_path: str | None = None
    subject: str = ""
    date: datetime | None = None
    text: str = ""
    text_words: str = ""
    gist: Gist | None = None
    reply_text: str = ""
    attachments: tuple[Attachment, ...] = ()
    authentication: tuple[str, ...] = ()
    unanswerable: str | None = None
    sent_by_us: str | None = None
    signed_by: str = ""
    received_count: int = 0
    protection: Protection = Protection.NONE
    forwarded: bool = False
    feedback: FeedbackReport | None = None
    flagged_as_spam: bool = False
    defects: tuple[str, ...] = ()
    content_sha256: bytes
    fallback_sha256: bytes


class ReportedRecipient(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient of a delivery report (RFC 3464 2.3); `permanent` is None when the report does not say."""

    address: str
    action: str | None = None
    status: str | None = None
    diagnostic: str | None = None
    permanent: bool | None = None
    reason: str | None = None


class DeliveryReport(msgspec.Struct, frozen=True, kw_only=True, tag="delivery_report"):
    """A bounce or delay notice about a mail somebody sent, with the mail it came as."""

    message: UserMessage
    recipients: tuple[ReportedRecipient, ...] = ()


class MonitoringEvent(msgspec.Struct, frozen=True, kw_only=True, tag="monitoring_event"):
    """What a monitoring system said of one series at one time (design 8).

    `series_key` is stable per problem within the source. `started_at` names the instance; None where the payload has no
    source time. `valid_until` is a stated end that lies in the future of the start. `scope` says whose end a resolve is.
    `flags` holds any of test, maintenance, flapping, nodata, unmapped_status, unmapped_severity.
    """

    source: str
    series_key: str
    status: EventStatus
    status_raw: str = ""
    severity: Severity = Severity.UNKNOWN
    severity_raw: str | None = None
    title: str
    text: str = ""
    links: tuple[str, ...] = ()
    started_at: datetime | None = None
    ended_at: datetime | None = None
    observed_at: datetime | None = None
    valid_until: datetime | None = None
    scope: ResolveScope = ResolveScope.SERIES
    labels: dict[str, str] = {}
    flags: tuple[str, ...] = ()


class TimerDue(msgspec.Struct, frozen=True, kw_only=True, tag="timer_due"):
    """A timer that came due; a `generation` other than the stored one makes it a recorded no-op."""

    subject_kind: str
    subject_id: int
    kind: str
    threshold: int = 0
    generation: int
    due_at: datetime


class Malformed(msgspec.Struct, frozen=True, kw_only=True, tag="malformed"):
    """What a parser returns instead of a signal; `reason` is one sentence for the person who looks at the quarantine."""

    reason: str
    detail: str = ""


Signal = UserMessage | MonitoringEvent | DeliveryReport | Act | TimerDue
Parsed = UserMessage | MonitoringEvent | DeliveryReport | Malformed
