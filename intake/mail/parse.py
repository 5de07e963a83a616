"""One mail from bytes to signal: `parse_mail`, the total function (ADR-0004)."""

import hashlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from intake.mail.addresses import addresses
from intake.mail.body import Content, content_of
from intake.mail.bounce import Failed, failed_recipients
from intake.mail.charset import clean
from intake.mail.header import Header, text_of
from intake.mail.identifiers import identifiers, message_identifier
from intake.mail.kind import BOUNCE_LOCAL_PARTS, LOOP_MARK, kind_of, unanswerable
from intake.mail.reply import new_words
from intake.mail.walk import Walk, walk
from itsm.address import Address, local_part_of
from itsm.signal import DeliveryReport, MailKind, UserMessage

MAX_SUBJECT_CHARACTERS = 998
MAX_AUTHENTICATION_FIELDS = 10


def parse_mail(raw: bytes, *, return_path: str | None = None) -> UserMessage | DeliveryReport:
    """The mail in these bytes, whatever they are. `return_path` is the SMTP reverse-path; else the topmost field counts."""
    mail = walk(raw)
    header = mail.header
    content = content_of(mail.leaves)
    path = return_path if return_path is not None else header.raw("return-path")
    senders = addresses(header.raw("from"))
    sender = senders[0] if len(senders) == 1 else _one_sender(senders, header)
    subject = text_of(header.raw("subject"))[:MAX_SUBJECT_CHARACTERS]
    failed = _failed(raw, mail, content.text, sender) if _may_report(header, sender, path) else Failed()
    recipients = failed.recipients
    kind = kind_of(header, sender, subject, path, reported=failed.certain)
    message = UserMessage(
        kind=kind,
        message_id=message_identifier(header.raw("message-id")),
        in_reply_to=identifiers(header.raw("in-reply-to")),
        references=identifiers(header.raw("references")),
        sender=sender,
        to=addresses(", ".join(header.every("to")[:50])),
        cc=addresses(", ".join(header.every("cc")[:50])),
        reply_to=addresses(header.raw("reply-to")),
        return_path=path,
        subject=subject,
        date=date_of(header.raw("date")),
        text=content.text,
        reply_text=new_words(content.text),
        attachments=content.attachments,
        authentication=tuple(clean(each) for each in header.every("authentication-results")[:MAX_AUTHENTICATION_FIELDS]),
        unanswerable=unanswerable(header, sender, path, subject),
        sent_by_us=header.raw(LOOP_MARK),
        received_count=len(header.every("received")),
        defects=tuple(dict.fromkeys((*mail.defects, *content.defects))),
        content_sha256=content.sha256,
        fallback_sha256=_fallback(header, content),
    )
    return DeliveryReport(message=message, recipients=recipients) if kind is MailKind.BOUNCE else message


def _failed(raw: bytes, mail: Walk, text: str, sender: Address | None) -> Failed:
    own = [each.address for name in ("to", "cc") for each in addresses(mail.header.raw(name))]
    own = [*own, sender.address] if sender else own
    return failed_recipients(raw, mail.leaves, text, x_failed=mail.header.raw("x-failed-recipients"), own=own)


def _one_sender(senders: tuple[Address, ...], header: Header) -> Address | None:
    """Several From addresses: the Sender field says which one acts (RFC 5322 3.6.2), else the first; none: nobody."""
    if not senders:
        return None
    acting = {each.address.lower() for each in addresses(header.raw("sender"))}
    return next((each for each in senders if each.address.lower() in acting), senders[0])


def _may_report(header: Header, sender: Address | None, path: str | None) -> bool:
    """Whether it is worth looking for failed recipients: only machine mail is asked, never a person's."""
    if path is not None and path.strip("<> ") == "":
        return True
    if "report" in header.word("content-type") or header.has("x-failed-recipients") or sender is None:
        return True
    if header.word("auto-submitted").partition(";")[0].strip() not in ("", "no"):
        return True
    local = local_part_of(sender.address)
    return local in BOUNCE_LOCAL_PARTS or "daemon" in local or local.startswith(("postmaster", "bounce", "mailer")) or "delivery" in local


def date_of(raw: str | None) -> datetime | None:
    """The Date field as an aware UTC instant, None when it is missing or no date (RFC 5322 3.3)."""
    if not raw:
        return None
    try:
        found = parsedate_to_datetime(raw[:200])
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _fallback(header: Header, content: Content) -> bytes:
    """What two mails without Message-ID are compared by (design 4, sameness)."""
    digest = hashlib.sha256()
    for name in ("from", "subject", "date"):
        octets = (header.raw(name) or "").encode("utf-8", "surrogateescape")
        digest.update(len(octets).to_bytes(4) + octets)
    digest.update(content.sha256)
    return digest.digest()
