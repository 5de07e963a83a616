"""What a thread is about: a subject without what programs and lists put before it (RFC 5256 2.1, in any language)."""

import re

from rules.forwarding import FORWARDS, MAX_SUBJECT_CHARACTERS

MAX_REPLY_LETTERS = 5  # Re, AW, SV, Antw, Odp, Ynt, Ответ, 回复: a longer word before a colon is a word of the subject
_BEFORE = re.compile(r"\A\s*(?:\[[^\]]{1,60}\]|([^\W\d_][\w.̇]{0,14})\s*(?:\[\d{1,3}\]|\(\d{1,3}\))?\s*[:：])")


def topic(subject: str) -> str:
    """The topic, case-folded; the whole subject where nothing else is left of it."""
    whole = rest = subject[:MAX_SUBJECT_CHARACTERS].casefold()
    while (found := _BEFORE.match(rest)) is not None and _says_nothing(found[1]):
        rest = rest[found.end() :]
    return " ".join(rest.split()) or " ".join(whole.split())


def _says_nothing(word: str | None) -> bool:
    """Whether what stands before is a tag in brackets (None) or the word of a program."""
    return word is None or len(word) <= MAX_REPLY_LETTERS or word in _FORWARDS


_FORWARDS = frozenset(each.casefold() for each in FORWARDS)
