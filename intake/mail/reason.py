"""Why a mail was not delivered: RFC 3463 status codes, SMTP reply codes, and the words of mail systems. Pure tables."""

import re

REASONS = (
    "no_such_user", "no_such_host", "full", "disabled", "too_big", "blocked", "policy", "spam", "rate_limited", "expired", "network", "system", "other",
)  # fmt: skip
_STATUS = re.compile(r"(?<![\d.])[245]\.[0-7]\.\d{1,3}(?![\d.])")
_REPLY_CODE = re.compile(r"(?<![\d.])([45])[0-5]\d(?=[ \-#:\],])")
_DELAYED = (
    "warning message only", "has been delayed", "delayed for more", "not yet been delivered", "has been postponed", "will be retried", "will retry",
    "will continue to try", "attempts will continue", "temporary failure", "still being", "delivery is delayed", "delivery delayed", "could not be delivered for",
)  # fmt: skip
ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
_OF_STATUS = {  # RFC 3463 3: subject.detail
    "1.1": "no_such_user", "1.2": "no_such_host", "1.3": "no_such_user", "1.4": "no_such_user", "1.6": "no_such_user", "1.8": "policy", "1.10": "no_such_host",
    "2.1": "disabled", "2.2": "full", "2.3": "too_big", "2.4": "policy", "3.1": "full", "3.2": "system", "3.3": "system", "3.4": "too_big", "3.5": "system",
    "4.1": "network", "4.2": "network", "4.3": "no_such_host", "4.4": "no_such_host", "4.6": "network", "4.7": "expired", "5.0": "system", "5.3": "rate_limited",
    "6.1": "policy", "6.0": "policy", "6.6": "policy", "7.1": "policy", "7.2": "policy", "7.7": "policy", "7.8": "policy", "7.9": "policy", "7.20": "policy", "7.23": "policy",
    "7.24": "policy", "7.25": "blocked", "7.26": "policy", "7.27": "policy", "7.28": "rate_limited", "7.29": "policy",
}  # fmt: skip
_VAGUE = frozenset({"policy", "system", "disabled", "network", "no_such_host", "expired"})  # codes that many systems use for anything
_OF_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (  # most telling words first: the first one found decides
    ("network", ("too many hops", "hop count", "mail loop", "forwarded more than", "routing loop")),
    ("blocked", (
        "blacklist", "black list", "block list", "blocklist", "blocked", "spamhaus", "reputation", "dnsbl", "reverse dns", "ptr record", "rdns", "complaints",
        "reverse lookup", "banned", "reverse mapping", "client host", "client ip", "dynamic ip", "bad helo", "reverse hostname", "your ip", "[rbl",
    )),
    ("spam", ("spam", "virus", "malware", "unsolicited", "junk mail", "phish", "infected", "content filter", "banned content")),
    ("policy", ("after mail from", "sender address", "sender verify", "dmarc", "dkim", "relaying", "relay access", "relay not", "mail relay", "groups.google.com/support")),
    ("full", (
        "quota", "mailbox full", "mailbox is full", "over limit", "folder is full", "disk full", "insufficient system storage", "is full", "exceeded storage",
        "not enough space", "enough storage", "insufficient disk", "full mailbox", "mailbox has exceeded", "no space left", "mailbox size", "mailbox exceeds",
    )),
    ("too_big", (
        "message too large", "message size", "size limit", "too big", "exceeds maximum", "message length exceeds", "exceeded maximum", "size exceeds", "size is too",
    )),
    ("no_such_user", (
        "user unknown", "unknown user", "no such user", "user doesn", "user does not", "user not exist", "no mailbox", "invalid recipient", "not listed in",
        "unknown recipient", "not our customer", "mailbox unavailable", "mailbox not found", "no such recipient", "recipient not found", "isn't in", "not a known",
        "unknown address", "invalid address", "address unknown", "undeliverable address", "bad address", "no account", "unknown local", "invalid mailbox",
        "unknown or illegal", "no such person", "addressee unknown", "recipient unknown", "no such address", "no such mailbox", "not a registered",
        "address rejected", "invalid user", "have a yahoo", "unknown account", "user not found", "no valid recipients", "mailbox invalid", "has moved",
        "user not known", "no local user", "recipient rejected", "address has changed", "unknown: ", "no user", "unknown to", "address not found",
        "address couldn't be found", "email address you entered", "nicht bekannt", "unbekannt", "inconnu", "no existe",
    )),
    ("disabled", ("disabled", "suspended", "inactive", "deactivated", "account closed", "has been closed", "no longer", "is locked", "account locked", "discontinued")),
    ("no_such_host", (
        "host unknown", "domain not found", "host or domain name not found", "no such domain", "name service error", "unrouteable", "unroutable",
        "bad destination", "unknown host", "dns error", "mx record", "no route to", "name or service not known", "any host", "host not found", "no mx", "nullmx",
        "null mx", "domain name", "domain lookup", "illegal host", "no such host", "unknown domain", "domain unknown", "domain isn", "dns lookup",
        "domain is not", "couldn't be found", "could not be found",
    )),
    ("rate_limited", (
        "rate limit", "too many", "throttl", "slow down", "greylist", "graylist", "temporarily deferred", "concurrency", "excessive", "too fast",
    )),
    ("expired", (
        "expired", "retry timeout", "too long", "not been delivered within", "retries", "queue too", "retry time not reached", "gave up on", "giving up",
        "maximum time", "will be retried", "not yet been delivered", "has been delayed", "queue period", "attempts", "aborted after",
    )),
    ("network", (
        "connection", "network", "could not connect", "timed out", "unreachable", "not responding", "timeout", "unable to connect", "not reachable",
        "no answer", "requests to connect", "loop",
    )),
    ("policy", (
        "spf", "not permitted", "policy", "policies", "authenticat", "administrative prohibition", "administratively", "not authorized", "prohibited",
        "content rejected", "denied", "refused", "not allowed", "security", "rejected", "ssl", "tls", "verification", "permission", "restricted",
    )),
    ("no_such_user", ("does not exist", "doesn't exist", "not exist", "not found", "not a valid", "can't find")),
    ("system", ("system error", "internal", "configuration", "input/output", "service unavailable", "i/o error", "mailer error", "command", "cannot create", "server")),
)  # fmt: skip
_BESIDE_THE_POINT = re.compile(  # addresses, and set phrases of mail systems that name no reason
    r"[^\s<>@]{1,64}@[^\s<>@:]{1,255}|recipient address rejected: |delivery temporarily suspended: |i'm not going to try again|i've given up|gave up on it",
    re.IGNORECASE,
)
_REPLY = re.compile(r"(?:^|[\s:<(#\[])[45]\d\d[ \-]")
MAX_REPLY_CHARACTERS = 500


def status_in(text: str) -> str | None:
    """The first status code (RFC 3463 2) in a text."""
    found = _STATUS.search(text)
    return found[0] if found else None


def action_of(text: str) -> str | None:
    """The action a field names (RFC 3464 2.3.3), or `delayed` when a text says that it is only late."""
    folded = text.casefold()
    word = folded.partition("(")[0].strip()
    if word in ACTIONS:
        return word
    return "delayed" if any(each in folded for each in _DELAYED) else None


def permanent_of(action: str, status: str | None, text: str) -> bool:
    """Whether the failure is final (RFC 3463 3.1, RFC 5321 4.2.1). A failure that says nothing else is."""
    if action != "failed":
        return False
    if status:
        return status[0] == "5"
    code = _REPLY_CODE.search(text)
    return code is None or code[1] == "5"


def reason_of(diagnostic: str, status: str | None, about: str) -> str:
    """The reason: by a telling code, the words of the diagnostic or the SMTP reply, a vague code, the words of the whole report."""
    by_code = _OF_STATUS.get(status.partition(".")[2]) if status else None
    by_words = _by_words(diagnostic) or _by_words(_reply(about))
    if by_code is None or by_code in _VAGUE:
        return by_words or by_code or _by_words(about) or "other"
    if by_code == "no_such_user" and by_words and by_words != "disabled":
        return by_words  # 1.1 is written for anything
    return by_code


def _reply(about: str) -> str:
    """What follows the first SMTP reply code."""
    found = _REPLY.search(about)
    return about[found.start() : found.start() + MAX_REPLY_CHARACTERS] if found else ""


def _by_words(text: str) -> str | None:
    folded = _BESIDE_THE_POINT.sub(" ", text).casefold()
    return next((reason for reason, words in _OF_WORDS if any(word in folded for word in words)), None)
