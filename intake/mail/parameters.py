"""Parameters of Content-Type and Content-Disposition (RFC 2045 5.1, RFC 2231), read by the stdlib under limits (A27)."""

from collections.abc import Mapping
from email.message import Message
from email.policy import compat32
from functools import lru_cache

from intake.mail.charset import decode
from intake.mail.header import eight_bit, text_of

MAX_PARAMETERS = 128
MAX_FIELD_CHARACTERS = 8_192
_FIELD = "content-type"


def parameters(value: str) -> Mapping[str, str]:
    """The parameters of a field's value by lower-case name; of a field with too many of them, none."""
    if ";" not in value or len(value) > MAX_FIELD_CHARACTERS or value.count(";") > MAX_PARAMETERS:
        return {}
    return _of_short(value) if len(value) <= 100 and value.isascii() else _read(value)


@lru_cache(maxsize=1024)
def _of_short(value: str) -> Mapping[str, str]:
    """Most mail has one of a few hundred values here."""
    return _read(value)


def _read(value: str) -> dict[str, str]:
    message = Message(policy=compat32)
    message.set_raw(_FIELD, eight_bit(value, guess=False))
    try:
        found = message.get_params([], _FIELD)
    except (ValueError, TypeError, AttributeError, IndexError, LookupError):
        return {}
    out: dict[str, str] = {}
    for name, written in found[1:]:
        key = name.strip().lower()
        out.setdefault(key, written if key == "boundary" and isinstance(written, str) else _text(written))
    return out


def _text(written: str | tuple[str | None, str | None, str]) -> str:
    """A plain value, or (charset, language, value) of RFC 2231 4, where each character of the value stands for one octet."""
    if isinstance(written, str):
        return text_of(written, guess=False)
    charset, _, value = written
    try:
        octets = value.encode("latin-1")
    except UnicodeError:  # raw 8-bit where RFC 2231 wants percent signs; decoded already
        octets = value.encode("utf-8", "replace")
    return text_of(decode(octets, charset or "utf-8", guess=False)[0], guess=False)
