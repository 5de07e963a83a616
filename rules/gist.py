"""What judging asks of a mail's own words and of nothing else: made where the mail is parsed, so that the one thread that decides need not."""

import hashlib
import re
from string import digits

import msgspec

from itsm.signal import Gist, UserMessage
from rules.predicate import folded

MAX_CHARACTERS = 4_096  # of subject and new words, that the type is told by
MAX_SAID_CHARACTERS = 2_000  # of a mail's new text: what says the same begins the same
_DIGIT = re.compile(r"\d")
_TAG = re.compile(r"\[[^\]]{1,40}\]")
_BETWEEN_WORDS = re.compile(r"\W+")
_BLANKS = {code: " " for code in range(128) if _BETWEEN_WORDS.match(chr(code))}


def gist_of(message: UserMessage) -> Gist:
    """The gist of a mail: the one that came with it, else made here."""
    return message.gist or _gist(message)


def with_gist(message: UserMessage) -> UserMessage:
    """The mail with its gist in it. Whoever changes its subject or texts afterwards must take it out again."""
    return msgspec.structs.replace(message, gist=_gist(message))


def _gist(message: UserMessage) -> Gist:
    new_words = message.reply_text or message.text
    text_said = said(new_words)
    return Gist(
        words=spaced(f"{message.subject}\n{new_words}"[:MAX_CHARACTERS]),
        said=digest(f"{said(message.subject)}\n{text_said}"),
        new_said=digest(text_said or message.subject.casefold()),
        text_sha256=hashlib.sha256(message.text.encode("utf-8", "surrogatepass")).hexdigest(),
    )


def spaced(text: str) -> str:
    """The words of a text, folded, with one blank before and after each."""
    found = folded(text)
    if found.isascii():  # the same in a twentieth of the time
        return f" {' '.join(found.translate(_BLANKS).split())} ".replace("  ", " ")
    return f" {_BETWEEN_WORDS.sub(' ', found).strip()} ".replace("  ", " ")


def said(text: str) -> str:
    """What a text says, without what changes from one automatic mail to the next: tags, numbers, dates, times, identifiers.

    Word by word: one expression for all of it takes eight times as long, for it looks for a digit from each place anew.
    """
    begun = text[:MAX_SAID_CHARACTERS].casefold()
    found = _TAG.sub(" ", begun) if "[" in begun else begun
    if _has_digit(found):
        found = " ".join([each for each in found.split() if each.isalpha() or not _DIGIT.search(each)])
    return " ".join((found.translate(_BLANKS) if found.isascii() else _BETWEEN_WORDS.sub(" ", found)).split())


def _has_digit(text: str) -> bool:
    """The same as the expression in a twentieth of the time where the text is ASCII."""
    return any(digit in text for digit in digits) if text.isascii() else _DIGIT.search(text) is not None


def digest(text: str) -> str:
    """Sixteen characters that stand for a text in the key of a budget."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
