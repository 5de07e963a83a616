"""Message identifiers (RFC 5322 3.6.4), read by a linear scan."""

import re

from intake.mail.charset import clean

MAX_IDENTIFIERS = 100
MAX_CHARACTERS = 998
_BRACKETED = re.compile(r"<([^<>\s]{1,998})>")


def identifiers(raw: str | None) -> tuple[str, ...]:
    """Every identifier of a field, without angle brackets, in order, each once."""
    if not raw:
        return ()
    found = [each for each in _BRACKETED.findall(raw) if each]
    if not found:
        found = [word.strip("<>,;\"'") for word in raw.split() if "@" in word]
    if len(found) > MAX_IDENTIFIERS:  # the root and the newest: what threading needs (RFC 5322 3.6.4)
        found = [found[0], *found[1 - MAX_IDENTIFIERS :]]
    return tuple(dict.fromkeys(clean(each)[:MAX_CHARACTERS] for each in found if each))


def message_identifier(raw: str | None) -> str | None:
    """The Message-ID, None when there is none; one without brackets counts as written."""
    found = identifiers(raw)
    if found:
        return found[0]
    written = clean(raw or "").strip().strip("<>").strip()
    return written[:MAX_CHARACTERS] if written and " " not in written else None
