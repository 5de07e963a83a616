"""A mail out of values: EmailMessage only, every header through one choke point, exactly one recipient (A03, RFC 3834 3).

The same values give the same bytes: the date and the boundary come from the row.
"""

import hashlib
import re
from datetime import datetime
from email.message import EmailMessage

import msgspec

from itsm.notification import AUTO_SUBMITTED, AutoSubmitted, Event
from notifier import mailbox
from notifier.events import clean_line
from notifier.headers import (
    MAX_MARK_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_SUBJECT_CHARACTERS,
    bracketed,
    mail_policy,
    mailbox_text,
    trimmed,
    usable_ids,
)

_TOKEN = re.compile(r"[a-z0-9!#$&^_.+\-]{1,100}")
WANTS_REPLIES = frozenset({Event.ACKNOWLEDGED, Event.REPLY, Event.UPDATED, Event.RESOLVED, Event.REOPENED, Event.STATUS, Event.MERGED})


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file that goes with a mail: what its name and type are said to be, and its octets."""

    filename: str
    content_type: str
    octets: bytes


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one mail, as values; what people wrote may hold anything. Identifiers have no angle brackets."""

    event: Event
    subject: str
    text: str
    html: str
    desk_name: str
    desk_address: str
    recipient: str
    recipient_name: str
    message_id: str
    in_reply_to: str | None
    references: tuple[str, ...]
    loop_mark: str
    date: datetime
    reply_address: str = ""
    files: tuple[File, ...] = ()
    language: str = "en"


def compose(draft: Draft) -> bytes:
    """The mail's bytes, CRLF and seven-bit but for addresses that need UTF-8; raises NoMailbox when an address is none."""
    desk, recipient = mailbox.path_of(draft.desk_address), mailbox.path_of(draft.recipient)
    mail = EmailMessage(policy=mail_policy(smtputf8=not (desk.isascii() and recipient.isascii())))
    mail["From"] = mailbox_text(draft.desk_name, desk)  # RFC 3834 3.1.1: named, and a person reads it
    mail["To"] = mailbox_text(draft.recipient_name, recipient)  # RFC 3834 3.1.3: exactly one recipient
    if draft.event in WANTS_REPLIES or draft.reply_address:
        mail["Reply-To"] = mailbox_text(
            draft.desk_name, mailbox.path_of(draft.reply_address) if draft.reply_address else desk
        )  # RFC 3834 3.1.2: only where replies are wanted
    mail["Subject"] = clean_line(draft.subject, MAX_SUBJECT_CHARACTERS)
    mail["Date"] = draft.date
    mail["Message-ID"] = bracketed((draft.message_id,))
    _thread(mail, draft)
    automatic = AUTO_SUBMITTED[draft.event]
    if automatic is not AutoSubmitted.NO:  # RFC 3834 5.2: a person's own words carry none
        mail["Auto-Submitted"] = automatic.value
        mail["X-Auto-Response-Suppress"] = "All"
    mail["X-Triaged-Loop"] = clean_line(draft.loop_mark, MAX_MARK_CHARACTERS)
    _body(mail, draft)
    mail["Content-Language"] = draft.language
    return mail.as_bytes()


def _thread(mail: EmailMessage, draft: Draft) -> None:
    """In-Reply-To and References (RFC 5322 3.6.4, RFC 3834 3.1.6)."""
    answered = usable_ids((draft.in_reply_to,) if draft.in_reply_to else ())
    known = usable_ids((*(each for each in draft.references if each not in answered), *answered))
    if answered:
        mail["In-Reply-To"] = bracketed(answered)
    if known:
        mail["References"] = bracketed(trimmed(known))


def _body(mail: EmailMessage, draft: Draft) -> None:
    """Text, then the same as HTML: the last is what a reader that can prefers (RFC 2046 5.1.4)."""
    mail.set_content(draft.text)
    mail.add_alternative(draft.html, subtype="html")
    _bound(mail, draft.message_id)
    for each in draft.files:
        _attach(mail, each)
    if draft.files:
        _bound(mail, f"files {draft.message_id}")


def _bound(mail: EmailMessage, text: str) -> None:
    """A boundary of our own: "=_" stands in no quoted-printable or base64 body, and nobody knows the identifier before the mail is sent."""
    mail.set_boundary("=_" + hashlib.sha256(text.encode()).hexdigest()[:32])
    for part in mail.iter_parts():
        del part["MIME-Version"]


def _attach(mail: EmailMessage, file: File) -> None:
    """A file, always in base64 and never shown in the text; a type that is none, or a mail or a multipart, is octets (RFC 2046 5.2.1)."""
    main, _, sub = file.content_type.lower().partition("/")
    if not (_TOKEN.fullmatch(main) and _TOKEN.fullmatch(sub)) or main in ("multipart", "message"):
        main, sub = "application", "octet-stream"
    name = clean_line(file.filename.replace("/", "_").replace("\\", "_"), MAX_NAME_CHARACTERS) or "file"
    mail.add_attachment(file.octets, maintype=main, subtype=sub, filename=name, cte="base64")
