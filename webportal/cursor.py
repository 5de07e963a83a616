"""Cursors: where a page of a list ended, opaque to whoever gives it back. They hold an identifier, so inserts move nothing."""

import base64
import binascii

from itsm.errors import MalformedInput
from itsm.identifier import MAX_IDENTIFIER

OCTETS = 8


def written(identifier: int, kind: str) -> str:
    """The cursor after a row; `kind` is one letter, so that a cursor of another list is not taken."""
    return base64.urlsafe_b64encode(kind.encode("ascii") + identifier.to_bytes(OCTETS)).decode().rstrip("=")


def read(cursor: str, kind: str) -> int:
    """The identifier in a cursor; raises MalformedInput for one that this list did not give."""
    try:
        octets = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    identifier = int.from_bytes(octets[1:])
    if len(octets) != OCTETS + 1 or octets[:1] != kind.encode("ascii") or identifier > MAX_IDENTIFIER:
        raise MalformedInput("cursor is not one that this list gave; leave it out to begin anew")
    return identifier
