"""Tokens that prove we wrote something: Message-IDs, VERP addresses, reply addresses, the loop mark (design 6).

All are HMAC-SHA256 cut to at least 80 bits, base32 in lower case (mail systems fold case), compared in constant time.
`keys` are (key id 1..255, secret); the first mints, all verify, so a key can be retired slowly. Each purpose has its own
prefix inside the MAC, so a token of one kind never passes as another.
"""

import base64
import hmac
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from itsm.address import canonical
from itsm.ticket import MAX_NUMBER

Keys = Sequence[tuple[int, bytes]]
(OWN_MAC_OCTETS, RECIPIENT_MAC_OCTETS, VERP_MAC_OCTETS, REPLY_MAC_OCTETS, MARK_MAC_OCTETS) = 10, 10, 12, 16, 16
MESSAGE_ID_CHARACTERS = 47  # 1 key id + 8 row id + 10 + 10 = 29 octets in base32 without padding
VERP_PREFIX = "bounces+"  # the local-part of a reverse-path is this and the token
VERP_CHARACTERS = 34  # 1 + 8 + 12 = 21 octets
REPLY_CHARACTERS = 44  # 1 + 5 + 5 + 16 = 27 octets
MARK_CHARACTERS = 28  # 1 + 16 = 17 octets
_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648 6, in lower case
_PAIRS = tuple(first + second for first in _DIGITS for second in _DIGITS)  # two digits at once: ten bits


class ReplyToken(msgspec.Struct, frozen=True, kw_only=True):
    """What a reply address binds: the ticket's number and the grant whose row holds person, role and expiry."""

    ticket_number: int
    grant: int


def _mac(secret: bytes, purpose: bytes, body: bytes, octets: int) -> bytes:
    begun = _begun(secret).copy()
    begun.update(purpose + b"\0" + body)
    return begun.digest()[:octets]


@lru_cache(maxsize=16)  # the keys of a desk are few; to begin with one anew takes longer than the rest
def _begun(secret: bytes) -> hmac.HMAC:
    return hmac.new(secret, digestmod="sha256")


def _encode(octets: bytes) -> str:
    """Base32 without padding; a mail mints several, and this takes a third of the time of the standard library's."""
    characters = (8 * len(octets) + 4) // 5
    even = characters + characters % 2
    number = int.from_bytes(octets) << (5 * even - 8 * len(octets))
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(5 * even - 10, -1, -10)])[:characters]


def _decode(text: str, characters: int) -> bytes | None:
    """The octets of a token, None unless it is the one spelling we write (any case)."""
    if len(text) != characters or not text.isascii():
        return None
    try:
        octets = base64.b32decode(text.upper() + "=" * (-characters % 8))
    except ValueError:
        return None
    return octets if _encode(octets) == text.lower() else None


def _secret(keys: Keys, key_id: int) -> bytes | None:
    return next((secret for each, secret in keys if each == key_id), None)


def mint_message_id(keys: Keys, outbox_id: int, recipient: str, domain: str) -> str:
    """The Message-ID (no angle brackets, RFC 5322 3.6.4) of a row of the outbox, bound to the one recipient."""
    key_id, secret = keys[0]
    body = bytes([key_id]) + outbox_id.to_bytes(8)
    own = _mac(secret, b"message-id", body, OWN_MAC_OCTETS)
    to = _mac(secret, b"recipient", body + canonical(recipient).encode("utf-8", "surrogatepass"), RECIPIENT_MAC_OCTETS)
    return f"{_encode(body + own + to)}@{domain}"


def read_message_id(keys: Keys, message_id: str) -> int | None:
    """The row of the outbox a Message-ID names, None when its MAC is not ours."""
    octets = _decode(message_id.partition("@")[0], MESSAGE_ID_CHARACTERS)
    secret = _secret(keys, octets[0]) if octets else None
    if octets is None or secret is None:
        return None
    body, own = octets[:9], octets[9 : 9 + OWN_MAC_OCTETS]
    return int.from_bytes(body[1:]) if hmac.compare_digest(own, _mac(secret, b"message-id", body, OWN_MAC_OCTETS)) else None


def matches_recipient(keys: Keys, message_id: str, address: str) -> bool:
    """Whether we minted this Message-ID for this very address: only its reader can know it."""
    octets = _decode(message_id.partition("@")[0], MESSAGE_ID_CHARACTERS)
    secret = _secret(keys, octets[0]) if octets else None
    if octets is None or secret is None:
        return False
    to = _mac(secret, b"recipient", octets[:9] + canonical(address).encode("utf-8", "surrogatepass"), RECIPIENT_MAC_OCTETS)
    return hmac.compare_digest(octets[9 + OWN_MAC_OCTETS :], to)


def mint_verp(keys: Keys, outbox_id: int) -> str:
    """The token in the reverse-path of a notification, so that its bounce finds it."""
    key_id, secret = keys[0]
    body = bytes([key_id]) + outbox_id.to_bytes(8)
    return _encode(body + _mac(secret, b"verp", body, VERP_MAC_OCTETS))


def read_verp(keys: Keys, token: str) -> int | None:
    """The row of the outbox a VERP token names, None when it is not ours."""
    octets = _decode(token, VERP_CHARACTERS)
    secret = _secret(keys, octets[0]) if octets else None
    if octets is None or secret is None:
        return None
    return int.from_bytes(octets[1:9]) if hmac.compare_digest(octets[9:], _mac(secret, b"verp", octets[:9], VERP_MAC_OCTETS)) else None


def mint_reply(keys: Keys, token: ReplyToken) -> str:
    """The token of a reply address: key id 1, ticket number 5, grant 5, MAC 16 octets (design 6)."""
    if not 0 < token.ticket_number <= MAX_NUMBER or not 0 <= token.grant <= MAX_NUMBER:
        raise ValueError("a ticket number or grant does not fit its five octets")
    key_id, secret = keys[0]
    body = bytes([key_id]) + token.ticket_number.to_bytes(5) + token.grant.to_bytes(5)
    return _encode(body + _mac(secret, b"reply", body, REPLY_MAC_OCTETS))


def read_reply(keys: Keys, text: str) -> ReplyToken | None:
    """What a reply token binds, None when it is not ours."""
    octets = _decode(text, REPLY_CHARACTERS)
    secret = _secret(keys, octets[0]) if octets else None
    if octets is None or secret is None:
        return None
    body = octets[:11]
    if not hmac.compare_digest(octets[11:], _mac(secret, b"reply", body, REPLY_MAC_OCTETS)):
        return None
    return ReplyToken(ticket_number=int.from_bytes(body[1:6]), grant=int.from_bytes(body[6:11]))


def mint_mark(keys: Keys, message_id: str) -> str:
    """The value of X-Triaged-Loop: the Message-ID it was written for, under our MAC."""
    key_id, secret = keys[0]
    return _encode(bytes([key_id]) + _mac(secret, b"loop", message_id.encode("utf-8", "surrogatepass"), MARK_MAC_OCTETS)) + f" {message_id}"


def is_our_mark(keys: Keys, value: str) -> bool:
    """Whether an X-Triaged-Loop value was written by us."""
    token, _, message_id = value.strip().partition(" ")
    octets = _decode(token, MARK_CHARACTERS)
    secret = _secret(keys, octets[0]) if octets else None
    if octets is None or secret is None:
        return False
    return hmac.compare_digest(octets[1:], _mac(secret, b"loop", message_id.strip().encode("utf-8", "surrogatepass"), MARK_MAC_OCTETS))
