"""What kind of mail this is, and, apart from it, whether it may be answered (RFC 3834 section 2)."""

import re

from intake.mail.header import Header
from itsm.address import Address, local_part_of
from itsm.signal import MailKind

LOOP_MARK = "x-triaged-loop"
BOUNCE_LOCAL_PARTS = frozenset({"mailer-daemon", "postmaster", "mailerdaemon", "mail-daemon", "post_master", "mailer_daemon"})
SILENT_LOCAL_PARTS = frozenset({"no-reply", "noreply", "do-not-reply", "donotreply", "no_reply", "do_not_reply", "bounce", "bounces"})
BOUNCE_SUBJECTS = re.compile(
    r"(?:undeliver|non-?deliver|delivery (?:status|failure|failed|notification|report|has failed|error|problem|delayed)|returned mail|"
    r"mail (?:delivery|system error|could not)|failure notice|mail failure|message (?:delivery|undeliverable|could not be|not delivered|you sent blocked)|"
    r"unzustellbar|nicht zustellbar|non remis|retour du message|unable to deliver|returned to sender|delivery to the following|"
    r"warning: (?:message|could not)|message status - undeliverable|there was an error sending)",
    re.IGNORECASE,
)
VACATION_SUBJECTS = re.compile(
    r"(?:out of (?:the )?office|auto(?:matic|mated)?[ -]?(?:reply|response|antwort)|autoreply|auto:|abwesenheit|automatische antwort|vacation|"
    r"away from (?:my|the) (?:mail|office|desk)|réponse automatique|absence du bureau|respuesta automática|risposta automatica|on holiday)",
    re.IGNORECASE,
)
BOUNCE_TYPES = ("delivery-status", "disposition-notification")
BOUNCE_FIELDS = ("x-failed-recipients", "x-failed-recipients-text", "x-mailer-daemon-error")
AUTO_REPLY_FIELDS = ("x-autoreply", "x-autorespond", "x-autoreply-from", "x-mail-autoreply", "x-autoresponse", "x-auto-reply-from")


def kind_of(header: Header, sender: Address | None, subject: str, return_path: str | None, *, reported: bool) -> MailKind:
    """The kind, most telling sign first. `reported` tells that the body names recipients of a failed delivery."""
    content_type = header.word("content-type")
    report_type = content_type.partition("report-type")[2].lstrip(" =\"'")
    if "feedback-report" in report_type or header.has("x-feedback-id-arf") or "message/feedback-report" in content_type:
        return MailKind.FEEDBACK
    local = local_part_of(sender.address) if sender else ""
    auto = header.word("auto-submitted").partition(";")[0].strip()
    null_path = return_path is not None and return_path.strip("<> ") == ""
    if report_type.startswith(BOUNCE_TYPES[0]) or any(header.has(name) for name in BOUNCE_FIELDS):
        return MailKind.BOUNCE
    if VACATION_SUBJECTS.search(subject) and not BOUNCE_SUBJECTS.search(subject) and not reported:
        return MailKind.AUTO_REPLY
    if (local in BOUNCE_LOCAL_PARTS or null_path or not sender) and (reported or BOUNCE_SUBJECTS.search(subject)):
        return MailKind.BOUNCE
    if local in BOUNCE_LOCAL_PARTS and auto != "auto-generated":
        return MailKind.BOUNCE
    if BOUNCE_SUBJECTS.match(subject) and (reported or auto not in ("", "no")):
        return MailKind.BOUNCE
    if auto == "auto-replied" or any(header.has(name) for name in AUTO_REPLY_FIELDS) or header.word("precedence") == "auto_reply":
        return MailKind.AUTO_REPLY
    if report_type.startswith(BOUNCE_TYPES[1]):
        return MailKind.AUTO_REPLY
    if null_path and VACATION_SUBJECTS.search(subject):
        return MailKind.AUTO_REPLY
    if _is_list(header):
        return MailKind.LIST
    if auto not in ("", "no") or null_path:
        return MailKind.MACHINE
    return MailKind.HUMAN


def _is_list(header: Header) -> bool:
    """RFC 2919, RFC 2369: a list says so; Precedence is its unofficial elder."""
    return any(header.has(name) for name in ("list-id", "list-post", "list-unsubscribe", "mailing-list")) or header.word("precedence") in (
        "list",
        "bulk",
        "junk",
    )


def unanswerable(header: Header, sender: Address | None, return_path: str | None, subject: str) -> str | None:
    """Why no automatic answer may be sent, or None."""
    auto = header.word("auto-submitted").partition(";")[0].strip()
    if auto not in ("", "no"):
        return "it is automatic (Auto-Submitted, RFC 3834 2)"
    if return_path is not None and return_path.strip("<> ") == "":
        return "null reverse-path (RFC 3834 2)"
    if header.has(LOOP_MARK):
        return "it carries a loop mark of triaged"
    if _is_list(header) or next(header.named("list-"), None):
        return "it came by a list or in bulk (RFC 3834 2)"
    suppress = header.word("x-auto-response-suppress")
    if any(word in suppress for word in ("all", "autoreply", "oof")):
        return "it asks for no automatic answer (X-Auto-Response-Suppress)"
    if any(header.has(name) for name in AUTO_REPLY_FIELDS) or VACATION_SUBJECTS.match(subject):
        return "it is an automatic answer"
    if sender is None:
        return "no usable From address"
    local = local_part_of(sender.address)
    if local in BOUNCE_LOCAL_PARTS | SILENT_LOCAL_PARTS or local.startswith(("owner-", "bounces+", "bounce+")) or local.endswith(("-request", "-owner")):
        return "its address is not a person's (RFC 3834 2)"
    return None
