"""One mail from bytes to signal: `parse_mail`, the total function (ADR-0004)."""

import hashlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from intake.mail.addresses import addresses, read_addresses
from intake.mail.body import Content, content_of
from intake.mail.bounce import Failed, failed_recipients
from intake.mail.charset import clean
from intake.mail.feedback import feedback_of
from intake.mail.forward import is_forward
from intake.mail.header import Header, text_of
from intake.mail.identifiers import MAX_IDENTIFIERS, identifiers, message_identifier
from intake.mail.kind import LOOP_MARK, kind_of, signs_of, unanswerable
from intake.mail.protection import UNREADABLE, protection_of
from intake.mail.reply import new_words
from intake.mail.uuencode import told_of, without_files
from intake.mail.walk import walk
from itsm.address import Address
from itsm.signal import DeliveryReport, MailKind, Protection, UserMessage
from itsm.words import words as words_of

MAX_SUBJECT_CHARACTERS = 998
MAX_DATE_CHARACTERS = 200
MAX_AUTHENTICATION_FIELDS = 10
MAX_FIELDS_ALIKE = 50
MAX_DEFECTS = 30


def parse_mail(raw: bytes, *, return_path: str | None = None) -> UserMessage | DeliveryReport:
    """The mail in these bytes, whatever they are. `return_path` is the SMTP reverse-path; else the topmost field counts."""
    mail = walk(raw)
    header, content = mail.header, content_of(mail.leaves)
    path = return_path if return_path is not None else header.raw("return-path")
    defects = [*mail.defects, *content.defects]
    charset = next((leaf.parameters["charset"] for leaf in mail.leaves if "charset" in leaf.parameters), None)
    sender, subject = _sender(header, charset, defects), _subject(header, charset, defects)
    to, cc = _people(header, "to", charset, defects), _people(header, "cc", charset, defects)
    signs = signs_of(header, sender, to, subject, path)
    own = [each.address for each in (*to, *cc, *((sender,) if sender else ()))]
    failed = (
        failed_recipients(raw, mail.leaves, content.text, x_failed=header.raw("x-failed-recipients"), own=own)
        if signs.machine
        else Failed()
    )
    kind = kind_of(signs, mail.leaves, content.text, reported=failed.certain)
    protection = protection_of(mail, content.text)
    if protection is Protection.ENCRYPTED:
        defects.append(UNREADABLE)
    words, names = without_files(content.unquoted or content.text)
    if names:
        defects.append(told_of(names))
    message = UserMessage(
        kind=kind,
        message_id=message_identifier(header.raw("message-id")),
        in_reply_to=identifiers(header.raw("in-reply-to")),
        references=_references(header, defects),
        sender=sender,
        to=to,
        cc=cc,
        reply_to=addresses(header.raw("reply-to"), charset),
        return_path=clean(path)[:MAX_SUBJECT_CHARACTERS] if path is not None else None,
        subject=subject,
        date=date_of(header.raw("date")),
        text=content.text,
        text_words=words_of((content.text,)),
        reply_text=new_words(words) or content.text.strip(),
        attachments=content.attachments,
        authentication=tuple(clean(each) for each in header.every("authentication-results")[:MAX_AUTHENTICATION_FIELDS]),
        unanswerable=unanswerable(signs),
        sent_by_us=clean(header.raw(LOOP_MARK) or "")[:MAX_SUBJECT_CHARACTERS] or None,
        flagged_as_spam=header.word("x-spam-flag") == "yes",
        received_count=len(header.every("received")),
        protection=protection,
        forwarded=is_forward(subject, content.text),
        feedback=feedback_of(mail.leaves) if kind is MailKind.FEEDBACK else None,
        defects=_told(defects),
        content_sha256=content.sha256,
        fallback_sha256=_fallback(header, content),
    )
    return DeliveryReport(message=message, recipients=failed.recipients) if kind is MailKind.BOUNCE else message


def _told(defects: list[str]) -> tuple[str, ...]:
    """The defects as they are kept: at most 30, and the last says how many more there were."""
    kept = [clean(each) for each in defects[:MAX_DEFECTS]]
    return (*kept[:-1], f"and {len(defects) - MAX_DEFECTS + 1} more remarks") if len(defects) > MAX_DEFECTS else tuple(kept)


def _subject(header: Header, charset: str | None, defects: list[str]) -> str:
    whole = text_of(header.raw("subject"), charset=charset)
    if len(whole) > MAX_SUBJECT_CHARACTERS:
        defects.append(f"the subject was read up to {MAX_SUBJECT_CHARACTERS} characters")
    return whole[:MAX_SUBJECT_CHARACTERS]


def _people(header: Header, name: str, charset: str | None, defects: list[str]) -> tuple[Address, ...]:
    """The addresses of a field that should stand once and sometimes does not (RFC 5322 3.6); a remark where not all were read."""
    written = header.every(name)
    found = read_addresses(written[0] if len(written) == 1 else ", ".join(written[:MAX_FIELDS_ALIKE]), charset)
    if found.cut or len(written) > MAX_FIELDS_ALIKE:
        defects.append(f"of {name.capitalize()} the first {len(found.addresses)} addresses were read, the rest is only in the raw mail")
    return found.addresses


def _sender(header: Header, charset: str | None, defects: list[str]) -> Address | None:
    """Who wrote it: the one From address. Of several the one that Sender names (RFC 5322 3.6.2), else the first.

    A From that can be read in two ways has no sender, and neither have several From fields: nobody may be trusted by it.
    """
    written = header.every("from")
    found = read_addresses(written[0] if written else None, charset)
    senders = found.addresses
    if found.doubtful or len(set(written)) > 1:
        defects.append("From can be read in two ways")
        return None
    if len(senders) > 1:
        defects.append("From has several addresses")
        acting = {each.address.lower() for each in addresses(header.raw("sender"))}
        return next((each for each in senders if each.address.lower() in acting), senders[0])
    return senders[0] if senders else None


def _references(header: Header, defects: list[str]) -> tuple[str, ...]:
    """The identifiers of References; a remark where the ones in the middle were left out."""
    written = header.raw("references")
    if written and written.count("<") > MAX_IDENTIFIERS:
        defects.append(f"of References the first and the newest {MAX_IDENTIFIERS - 1} were read")
    return identifiers(written)


def date_of(raw: str | None) -> datetime | None:
    """The Date field as an aware UTC instant, None when it is missing or no date (RFC 5322 3.3)."""
    if not raw:
        return None
    try:
        found = parsedate_to_datetime(raw[:MAX_DATE_CHARACTERS])
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
