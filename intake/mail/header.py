"""Header fields by our own bounded access: unfolded, RFC 2047 decoded, never raising (reliability 0.3, 0.4)."""

import re
from binascii import a2b_qp
from collections.abc import Iterable, Iterator

from intake.mail.charset import clean, decode
from intake.mail.transfer import base64_octets

MAX_FIELDS = 1_000
MAX_VALUE_CHARACTERS = 65_536
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?\r\n]*)\?=")
_FOLD = re.compile(r"[\r\n]+[ \t]*")
_FIELD = re.compile(r"([!-9;-~]+):([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)\r?\n")  # RFC 5322 2.2, 2.2.3


class Header:
    """The header of one part, by lower-case field name; values are raw text as it stood, unfolded."""

    __slots__ = ("_values", "count")

    def __init__(self, fields: Iterable[tuple[str, object]]) -> None:
        """Read the fields once, at most 1,000 of them and 64 Ki characters each."""
        self._values: dict[str, list[str]] = {}
        self.count = 0
        for name, value in fields:
            self.count += 1
            if self.count > MAX_FIELDS:
                break
            text = value if isinstance(value, str) else str(value)
            if "\n" in text or "\r" in text:
                text = _FOLD.sub(" ", text[:MAX_VALUE_CHARACTERS])
            self._values.setdefault(name.strip().lower(), []).append(text[:MAX_VALUE_CHARACTERS].strip())

    def raw(self, name: str) -> str | None:
        """The first value of a field as it stood, or None."""
        found = self._values.get(name)
        return found[0] if found else None

    def every(self, name: str) -> list[str]:
        """Every value of a field as it stood, topmost first."""
        return self._values.get(name, [])

    def word(self, name: str) -> str:
        """The first value in lower case without comments' content considered, "" when missing: for keyword fields."""
        return (self.raw(name) or "").strip().lower()

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self._values

    def named(self, prefix: str) -> Iterator[str]:
        """The names of fields that begin with a prefix."""
        return (name for name in self._values if name.startswith(prefix))


def plain_fields(octets: bytes) -> list[tuple[str, str]] | None:
    """The fields of a header in ASCII that has nothing else in it, most of those there are; None where the standard library must read it."""
    if not octets.isascii():
        return None
    text = octets.decode("ascii")
    fields: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        found = _FIELD.match(text, at)
        if found is None:
            return None
        fields.append((found[1], found[2]))
        at = found.end()
    return fields


def text_of(raw: str | None, *, guess: bool = True, charset: str | None = None) -> str:
    """A field's value as people read it: encoded words decoded (RFC 2047), raw 8-bit read by `eight_bit`, one line."""
    if not raw:
        return ""
    value = decode_words(raw, guess=guess, charset=charset) if "=?" in raw else eight_bit(raw, guess=guess, charset=charset)
    return clean(" ".join(value.split()) if "  " in value or "\t" in value or "\n" in value or "\r" in value else value)


def eight_bit(raw: str, *, guess: bool = True, charset: str | None = None) -> str:
    """Undo the surrogates that stand for raw octets: UTF-8 (RFC 6532), else `charset`, which the body has, else the ladder."""
    if raw.isascii():
        return raw
    octets = raw.encode("utf-8", "surrogateescape")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return decode(octets, charset, guess=guess)[0]


def decode_words(value: str, *, guess: bool = True, charset: str | None = None) -> str:
    """Decode encoded words. Octets of neighbours with one charset are joined first: some senders cut characters in two."""
    out: list[str] = []
    pending: list[bytes] = []
    name, end = "", 0
    for found in _ENCODED_WORD.finditer(value):
        between = value[end : found.start()]
        declared = found[1].partition("*")[0].lower()  # RFC 2231 5: charset*language
        apart = bool(between.strip()) or end == 0  # RFC 2047 6.2: blanks between two encoded words do not count
        if pending and (apart or declared != name):
            out.append(decode(b"".join(pending), name, guess=False)[0])
            pending = []
        if apart:
            out.append(eight_bit(between, guess=guess, charset=charset))
        name = declared
        pending.append(_octets(found[2], found[3]))
        end = found.end()
    if pending:
        out.append(decode(b"".join(pending), name, guess=False)[0])
    out.append(eight_bit(value[end:], guess=guess, charset=charset))
    return "".join(out)


def _octets(encoding: str, text: str) -> bytes:
    octets = text.encode("utf-8", "surrogateescape")
    return a2b_qp(octets, header=True) if encoding in "qQ" else base64_octets(octets)[0]
