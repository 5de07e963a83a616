"""Mail addresses as values: what was written, and the one form under which a person is known."""

import re
import unicodedata
from functools import lru_cache

import msgspec

_BLANK = re.compile(r"[\s<>,;]")
MAX_ADDRESS_CHARACTERS = 320  # RFC 5321 4.5.3.1.1 and 4.5.3.1.2: 64 octets local-part, "@", 255 octets domain.


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A display name (may be empty) and an addr-spec as written by the originator (RFC 5322 3.4)."""

    name: str = ""
    address: str


def canonical(address: str) -> str:
    """The form under which an address is compared and stored as a key: NFC, case-folded, without surrounding blanks.

    The local-part is folded too: RFC 5321 2.4 lets a receiver treat it as case-sensitive, but a help desk that takes
    `Ana@` and `ana@` for two people answers one of them with a stranger's number.
    """
    return _folded(address) if len(address) <= MAX_ADDRESS_CHARACTERS else _folded.__wrapped__(address)


@lru_cache(maxsize=4_096)  # one mail asks for the same few addresses thirty times
def _folded(address: str) -> str:
    text = address.strip()
    if text.isascii():  # nearly all are, and for them the two are the same
        return text.lower()
    return unicodedata.normalize("NFC", text).casefold()


def domain_of(address: str) -> str:
    """The canonical domain of an addr-spec, or "" when it has none."""
    return canonical(address).rpartition("@")[2] if "@" in address else ""


def local_part_of(address: str) -> str:
    """The canonical local-part of an addr-spec; the whole text when there is no "@"."""
    text = canonical(address)
    return text.rpartition("@")[0] if "@" in text else text


def is_mailbox(address: str) -> bool:
    """Whether it looks like one mail address: no blanks, one "@", something on each side of it."""
    local, at, domain = address.partition("@")
    return bool(local and at and domain) and "@" not in domain and len(address) <= MAX_ADDRESS_CHARACTERS and not _BLANK.search(address)
