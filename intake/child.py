"""What the parsing child does: pure, on bytes in and bytes out, so that it can be killed at any time."""

from datetime import datetime

import msgspec

from intake.context import GenericMapping, ParseContext
from intake.mail.signature import signed_by
from intake.mail.tnef import unwrapped
from intake.mail.walk import walk
from intake.parse import parse
from itsm.notification import FilesFound, FilesWanted
from itsm.signal import DeliveryReport, Parsed, UserMessage
from rules.gist import with_gist


class ParseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One envelope to parse. `keys` are the TXT records of its DKIM signatures, by name, where they are to be verified."""

    format: str
    source: str
    received_at: datetime
    return_path: str | None
    body: bytes
    mapping: GenericMapping | None = None
    keys: dict[str, bytes] = {}


class ParseResult(msgspec.Struct, frozen=True, kw_only=True):
    """Its parts, at least one."""

    parts: tuple[Parsed, ...]


_decode = msgspec.msgpack.Decoder(ParseRequest).decode
_encode = msgspec.msgpack.Encoder().encode


def parse_one(request: bytes) -> bytes:
    """Parse one encoded request into an encoded result."""
    asked = _decode(request)
    context = ParseContext(source=asked.source, received_at=asked.received_at, mapping=asked.mapping, return_path=asked.return_path)
    parts = parse(asked.format, asked.body, context)
    if asked.keys:
        domain = signed_by(asked.body, asked.keys)
        parts = tuple(_signed(each, domain) for each in parts)
    return _encode(ParseResult(parts=tuple([_with_gist(each) for each in parts])))


def _signed(part: Parsed, domain: str) -> Parsed:
    return msgspec.structs.replace(part, signed_by=domain) if isinstance(part, UserMessage) else part


def _with_gist(part: Parsed) -> Parsed:
    if isinstance(part, DeliveryReport):
        return msgspec.structs.replace(part, message=with_gist(part.message))
    return with_gist(part) if isinstance(part, UserMessage) else part


_decode_files = msgspec.msgpack.Decoder(FilesWanted).decode


def files_of(request: bytes) -> bytes:
    """Take parts out of one mail, as an encoded request and answer."""
    asked = _decode_files(request)
    leaves = walk(asked.body).leaves
    if any(index >= len(leaves) for index in asked.part_indexes):
        leaves += unwrapped(leaves).files
    contents = tuple(leaves[index].octets()[0] if 0 <= index < len(leaves) else None for index in asked.part_indexes)
    return _encode(FilesFound(contents=contents))
