"""What kind of mail this is, and, apart from it, whether it may be answered (RFC 3834 section 2)."""

import re
from collections.abc import Sequence

import msgspec

from intake.mail.header import Header
from intake.mail.walk import Leaf
from itsm.address import Address, local_part_of
from itsm.signal import MailKind

LOOP_MARK = "x-triaged-loop"
MAX_SUBJECT_CHARACTERS = 300
DAEMONS = frozenset({"mailer-daemon", "postmaster", "mailerdaemon", "mail-daemon", "post_master", "mailer_daemon"})
SILENT = frozenset(
    {"no-reply", "noreply", "do-not-reply", "donotreply", "no_reply", "do_not_reply", "no.reply", "nobody", "bounce", "bounces"}
)
_MACHINE_LOCAL_PART = re.compile(
    r"daemon|post_?master|bounces?(?:\Z|[+=\-])|(?:mail|smtp)[-_. ]?(?:delivery|system|service|server|gateway)|smtp_|system[-_. ]administrator|anti-?virus|delivery"
)
_LIST_BOUNCES = re.compile(r"(?:-bounces?|-owner|-errors)\Z|(?:owner-|bounces?[+=\-])")
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|non-?deliver|delivery (?:status|failure|failed|notification|report|has failed|error|problem|delayed)|returned mail|"
    r"mail (?:delivery|system error|could not)|failure notice|mail failure|message (?:delivery|undeliverable|could not be|not delivered|you sent blocked)|"
    r"unzustellbar|nicht zustellbar|non remis|retour du message|unable to deliver|returned to sender|delivery to the following|"
    r"warning: (?:message|could not)|there was an error sending",
    re.IGNORECASE,
)
_VACATION_SUBJECT = re.compile(
    r"out of (?:the )?office|auto(?:matic|mated)?[ -]?(?:reply|response|antwort)|autoreply|auto:|abwesenheit|automatische antwort|vacation|"
    r"away from (?:my|the) (?:mail|office|desk)|réponse automatique|absence du bureau|respuesta automática|risposta automatica|on holiday",
    re.IGNORECASE,
)
_COMPLAINT_SUBJECT = re.compile(r"complaint about message from ", re.IGNORECASE)
_LIST_FIELDS = ("list-id", "list-post", "list-unsubscribe", "mailing-list")
_BULK = frozenset({"list", "bulk", "junk"})
_BOUNCE_FIELDS = ("x-failed-recipients", "x-failed-recipients-text", "x-mailer-daemon-error")
_AUTO_REPLY_FIELDS = ("x-autoreply", "x-autorespond", "x-autoreply-from", "x-mail-autoreply", "x-autoresponse", "x-auto-reply-from")
_SES_KINDS = {"Bounce": MailKind.BOUNCE, "Complaint": MailKind.FEEDBACK}
_SES_NOTIFICATION = re.compile(r'\A\s*\{"(?:notification|event)Type":"([A-Za-z]{1,20})"')  # Amazon SES, "contents of notifications"


class Signs(msgspec.Struct, frozen=True, kw_only=True):
    """What the header says about who wrote it. `automatic` is the keyword of Auto-Submitted unless it is `no` (RFC 3834 5)."""

    header: Header
    subject: str
    local_part: str | None
    automatic: str
    null_path: bool
    report_type: str
    to_bounces: bool

    @property
    def machine(self) -> bool:
        """Whether it is worth asking the body for failed recipients; a person's mail is never asked."""
        return (
            self.null_path
            or self.local_part is None
            or bool(self.automatic or self.report_type)
            or self.to_bounces
            or _MACHINE_LOCAL_PART.search(self.local_part) is not None
            or any(self.header.has(name) for name in _BOUNCE_FIELDS)
        )


def signs_of(header: Header, sender: Address | None, recipients: Sequence[Address], subject: str, return_path: str | None) -> Signs:
    """Read the signs once; `return_path` is the reverse-path, "" or "<>" when null."""
    automatic = header.word("auto-submitted").partition(";")[0].partition("(")[0].strip()
    content_type = header.word("content-type")
    return Signs(
        header=header,
        subject=subject[:MAX_SUBJECT_CHARACTERS],
        local_part=local_part_of(sender.address) if sender else None,
        automatic="" if automatic == "no" else automatic,
        null_path=return_path is not None and not return_path.strip("<> \t"),
        report_type=content_type.partition("report-type")[2].lstrip(" =\"'") if "multipart/report" in content_type else "",
        to_bounces=any(_LIST_BOUNCES.search(local_part_of(each.address)) for each in recipients[:10]),
    )


def kind_of(signs: Signs, leaves: Sequence[Leaf], text: str, *, reported: bool) -> MailKind:
    """The kind, most telling sign first. `reported` tells that the mail, which is a `machine`'s, names recipients of a failed delivery."""
    if _is_feedback(signs, leaves):
        return MailKind.FEEDBACK
    if signs.local_part in SILENT:
        told = _SES_NOTIFICATION.match(text)
        if told and told[1] in _SES_KINDS:
            return _SES_KINDS[told[1]]
    if signs.report_type.startswith("delivery-status") or any(signs.header.has(name) for name in _BOUNCE_FIELDS):
        return MailKind.BOUNCE
    daemon = signs.local_part in DAEMONS
    if _VACATION_SUBJECT.match(signs.subject) and not daemon:
        return MailKind.AUTO_REPLY
    if _is_bounce(signs, daemon=daemon, reported=reported):
        return MailKind.BOUNCE
    if signs.automatic == "auto-replied" or _answers_by_itself(signs.header) or signs.report_type.startswith("disposition-notification"):
        return MailKind.AUTO_REPLY
    if signs.null_path and _VACATION_SUBJECT.search(signs.subject):
        return MailKind.AUTO_REPLY
    if _is_list(signs.header):
        return MailKind.LIST
    return MailKind.MACHINE if signs.automatic or signs.null_path or signs.local_part in SILENT else MailKind.HUMAN


def _is_feedback(signs: Signs, leaves: Sequence[Leaf]) -> bool:
    """RFC 5965, or the form of Outlook.com's junk mail reporting, which has no report type."""
    if signs.report_type.startswith("feedback-report") or any(leaf.content_type == "message/feedback-report" for leaf in leaves):
        return True
    return _COMPLAINT_SUBJECT.match(signs.subject) is not None and any(leaf.is_mail for leaf in leaves)


def _is_bounce(signs: Signs, *, daemon: bool, reported: bool) -> bool:
    """Without a report type it takes two signs: who wrote it, and what it says."""
    named = _BOUNCE_SUBJECT.search(signs.subject) is not None
    if daemon:
        return reported or named or signs.automatic != "auto-generated"
    if signs.null_path or signs.local_part is None or signs.automatic:
        return reported or named
    return reported and named


def _answers_by_itself(header: Header) -> bool:
    return header.word("precedence") == "auto_reply" or any(header.has(name) for name in _AUTO_REPLY_FIELDS)


def _is_list(header: Header) -> bool:
    """RFC 2919, RFC 2369: a list says so; Precedence is its unofficial elder."""
    return header.word("precedence") in _BULK or any(header.has(name) for name in _LIST_FIELDS)


def _asks_for_silence(header: Header) -> bool:
    """Microsoft's field, which other programs write and read as well (MS-OXCMAIL 2.2.3.2.14)."""
    return any(word in header.word("x-auto-response-suppress") for word in ("all", "autoreply", "oof"))


def unanswerable(signs: Signs) -> str | None:
    """Why no automatic answer may be sent, or None."""
    header = signs.header
    if signs.automatic:
        return "it is automatic (Auto-Submitted, RFC 3834 2)"
    if signs.null_path:
        return "null reverse-path (RFC 3834 2)"
    if header.has(LOOP_MARK):
        return "it carries a loop mark of triaged"
    if _is_list(header) or next(header.named("list-"), None):
        return "it came by a list or in bulk (RFC 3834 2)"
    if _asks_for_silence(header):
        return "it asks for no automatic answer (X-Auto-Response-Suppress)"
    if _answers_by_itself(header) or _VACATION_SUBJECT.match(signs.subject):
        return "it is an automatic answer"
    if signs.local_part is None:
        return "no usable From address"
    local = signs.local_part
    if (
        local in DAEMONS
        or local in SILENT
        or local.startswith(("owner-", "bounce+", "bounces+"))
        or local.endswith(("-request", "-owner", "-bounces"))
    ):
        return "its address is not a person's (RFC 3834 2)"
    return None
