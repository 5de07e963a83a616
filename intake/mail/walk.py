"""The parts of a mail, by an iterative walk over its octets that is bounded in depth, parts and lines (A23 to A27).

Headers are read by stdlib compat32. Bodies are cut at their boundaries here: the stdlib's own parser recurses once a level and
tries every line against every open boundary, so a small mail can keep it busy for minutes.
"""

import re
from collections.abc import Mapping
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32

import msgspec

from intake.mail.header import MAX_FIELDS, Header, plain_fields
from intake.mail.parameters import parameters
from intake.mail.transfer import decoded

MAX_HEADER_BYTES = 256 * 1024  # of the mail; a part's is held to a quarter of it
MAX_PART_HEADER_BYTES = 64 * 1024
MAX_HEADER_SEARCH_BYTES = 1024 * 1024
MAX_HEADER_LINES = 5_000
MAX_PARTS = 1_000
MAX_DEPTH = 50
MAX_BOUNDARY_LINES = 10_000
MAX_LINES_MENDED = 5
MAIL_TYPES = frozenset({"message/rfc822", "message/global", "message/news"})
_END_OF_HEADER = re.compile(rb"\n\r?\n")
_TYPE = re.compile(r"[a-z0-9!#$&^_.+\-]{1,100}/[a-z0-9!#$&^_.+\-]{1,100}\Z")
_KNOWN_FIELD = re.compile(rb"(?im)^(?:from|to|subject|date|message-id|mime-version|content-type|content-transfer-encoding):")
_parse_header = BytesHeaderParser(policy=compat32).parsebytes


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """A part without parts of its own: `raw[start:end]` is its body as it stood, `index` its place in the walk.

    `related` tells that it stands in a multipart/related; `alternative` names the innermost multipart/alternative around it, 0: none;
    `alone` that the mail has no other part.
    """

    index: int
    header: Header
    content_type: str
    parameters: Mapping[str, str]
    raw: bytes
    start: int
    end: int
    related: bool = False
    alternative: int = 0
    alone: bool = False

    @property
    def is_mail(self) -> bool:
        """Whether it is a whole mail in a mail (RFC 2046 5.2.1)."""
        return self.content_type in MAIL_TYPES

    def file_name(self) -> str:
        """The name it was given (RFC 2183 2.3, else RFC 2045 name), "" when none; a mail in a mail has one always."""
        disposition = self.header.raw("content-disposition")
        name = parameters(disposition).get("filename", "") if disposition else ""
        return name or self.parameters.get("name", "") or ("message.eml" if self.is_mail else "")

    def octets(self) -> tuple[bytes, str | None]:
        """The decoded octets, and a defect when not all of them could be decoded."""
        encoding = transfer_encoding(self.header)
        if encoding == "binary" and self.content_type.startswith(("text/", "message/")):
            encoding = "8bit"  # lines all the same, so that one mail is the same mail whichever door it came through
        return decoded(self.raw[self.start : self.end], encoding)


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """A mail taken apart: its header, its leaves in order, the types of its multiparts, and what was wrong with its form."""

    header: Header
    leaves: tuple[Leaf, ...]
    multiparts: frozenset[str] = frozenset()
    defects: tuple[str, ...]


class _Region(msgspec.Struct, frozen=True, kw_only=True):
    """Octets of one part, header and body, that are still to be walked."""

    start: int
    end: int
    depth: int = 0
    related: bool = False
    alternative: int = 0
    default_type: str = "text/plain"


def walk(raw: bytes) -> Walk:
    """Take a mail apart, whatever its octets are; the work is linear in them for each of at most 50 levels. Never raises."""
    return _Walker(_mended(raw)).walk()


def _mended(raw: bytes) -> bytes:
    """The mail with line feeds, and without what mailbox files and careless programs put before its header."""
    if b"\n" not in raw and b"\r" in raw:
        raw = raw.replace(b"\r", b"\n")
    start = 3 if raw.startswith(b"\xef\xbb\xbf") else 0
    while start < len(raw) and raw[start] in b"\r\n":
        start += 1
    if raw.startswith((b"From ", b">From "), start):
        start = raw.find(b"\n", start, start + 1_000) + 1 or start
    return raw[start:] if start else raw


class _Walker:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.defects: list[str] = []
        self.leaves: list[Leaf] = []
        self.multiparts: set[str] = set()
        self.seen = self.boundary_lines = 0

    def walk(self) -> Walk:
        root: Header | None = None
        waiting = [_Region(start=0, end=len(self.raw))]
        while waiting:
            region = waiting.pop()
            self.seen += 1
            if self.seen > MAX_PARTS:
                self.defects.append(f"more than {MAX_PARTS} parts: the rest is only in the raw mail")
                break
            header, body = self._header(region)
            root = root or header
            waiting.extend(reversed(self._enter(region, header, body)))
        return Walk(
            header=root or Header(()),
            leaves=tuple(self.leaves),
            multiparts=frozenset(self.multiparts),
            defects=tuple(dict.fromkeys(self.defects)),
        )

    def _header(self, region: _Region) -> tuple[Header, int]:
        """The header of a part and where its body begins."""
        start, raw = region.start, self.raw
        if raw.startswith((b"\n", b"\r\n"), start, region.end):
            return Header(()), start + (1 if raw[start] == 10 else 2)
        found = _END_OF_HEADER.search(raw, start, min(region.end, start + MAX_HEADER_SEARCH_BYTES))
        end, body = (found.start() + 1, found.end()) if found else (region.end, region.end)
        limit = MAX_PART_HEADER_BYTES if region.depth else MAX_HEADER_BYTES
        if end - start > limit or raw.count(b"\n", start, end) > MAX_HEADER_LINES:
            self.defects.append(f"a header was read up to {limit} bytes and {MAX_HEADER_LINES} lines only")
            cut = b"\n".join(raw[start : min(end, start + limit)].split(b"\n", MAX_HEADER_LINES)[:MAX_HEADER_LINES])
            return Header(_parse_header(cut + b"\n\n").raw_items()), body if found else start + len(cut)
        header, body = self._fields(start, end, body)
        if header.count > MAX_FIELDS:
            self.defects.append(f"a header was read up to {MAX_FIELDS} fields only")
        return header, body

    def _fields(self, start: int, end: int, body: int) -> tuple[Header, int]:
        """Read a header; a line that is no field ends it, unless well-known fields come after it: then the line is left out."""
        octets = self.raw[start:end]
        plain = plain_fields(octets)
        if plain is not None:
            return Header(plain), body
        for _ in range(MAX_LINES_MENDED):
            message = _parse_header(octets)
            fields = tuple(message.raw_items())
            left = _left_over(message)
            if not left.strip():
                return Header(fields), body
            if not _KNOWN_FIELD.search(left):
                break
            self.defects.append("a line in a header is no field")
            octets = octets[: len(octets) - len(left)] + left.partition(b"\n")[2]
        self.defects.append("a header ends without a blank line")
        return Header(fields), max(start, end - len(left))

    def _enter(self, region: _Region, header: Header, body: int) -> list[_Region]:
        """The parts inside a multipart, or none and one more leaf."""
        content_type, named = _content_type(header, region.default_type)
        if content_type.startswith("multipart/"):
            if region.depth < MAX_DEPTH:
                inside = self._children(region, content_type, named.get("boundary", ""), body)
                if inside:
                    self.multiparts.add(content_type)
                    return inside
                content_type = "text/plain"  # RFC 2046 5.1.1 asks for a boundary; what has none is read as it stands
                self.defects.append("a multipart without its boundary is read as text")
            else:
                self.defects.append(f"parts nest deeper than {MAX_DEPTH}: the rest is kept in one piece")
        leaf = Leaf(
            index=len(self.leaves), header=header, content_type=content_type, parameters=named, raw=self.raw, start=body, end=region.end,
            related=region.related, alternative=region.alternative, alone=region.depth == 0,
        )  # fmt: skip
        self.leaves.append(leaf)
        return []

    def _children(self, region: _Region, content_type: str, boundary: str, body: int) -> list[_Region]:
        related = region.related or content_type == "multipart/related"
        alternative = self.seen if content_type == "multipart/alternative" else region.alternative
        default = "message/rfc822" if content_type == "multipart/digest" else "text/plain"  # RFC 2046 5.1.5
        return [
            _Region(start=start, end=end, depth=region.depth + 1, related=related, alternative=alternative, default_type=default)
            for start, end in self._between_boundaries(boundary, body, region.end)
        ]

    def _between_boundaries(self, boundary: str, start: int, end: int) -> list[tuple[int, int]]:
        """Where the parts begin and end (RFC 2046 5.1.1); a missing last boundary is forgiven."""
        needle = b"--" + boundary.rstrip().encode("utf-8", "surrogateescape")
        if len(needle) == 2:
            return []
        found: list[tuple[int, int]] = []
        opened = -1
        at = start if self.raw.startswith(needle, start, end) else self._next_line(needle, start, end)
        while at >= 0:
            self.boundary_lines += 1
            if self.boundary_lines > MAX_BOUNDARY_LINES or len(found) > MAX_PARTS:
                self.defects.append("too many boundary lines: the rest is in the last part")
                break
            after = self.raw.find(b"\n", at, end)
            after = end if after < 0 else after + 1
            rest = self.raw[at + len(needle) : min(after, at + len(needle) + 100)].strip()
            if rest in (b"", b"--"):
                if opened >= 0:
                    found.append((opened, self._before(at, opened)))
                opened = -1 if rest else after
                if rest:
                    break
            at = self._next_line(needle, after - 1, end)
        if opened >= 0:
            if at < 0:
                self.defects.append("the last boundary is missing")
            found.append((opened, end))
        return found

    def _next_line(self, needle: bytes, start: int, end: int) -> int:
        at = self.raw.find(b"\n" + needle, start, end)
        return at + 1 if at >= 0 else -1

    def _before(self, line: int, opened: int) -> int:
        """The end of the part before a boundary line: the line break belongs to the boundary."""
        end = line - 1
        if end > opened and self.raw[end - 1] == 13:
            end -= 1
        return max(end, opened)


def transfer_encoding(header: Header) -> str:
    """The keyword of Content-Transfer-Encoding in lower case, "" when there is none."""
    return header.word("content-transfer-encoding").partition(";")[0].strip()


def _left_over(message: Message) -> bytes:
    """The octets a header parser left as the body, as they stand: without the fields that would have it decode them."""
    for name in ("content-type", "content-transfer-encoding"):
        del message[name]
    left = message.get_payload(decode=True)
    return left if isinstance(left, bytes) else b""


def _content_type(header: Header, default: str) -> tuple[str, Mapping[str, str]]:
    """The type in lower case with its parameters; what cannot be read is the default (RFC 2045 5.2)."""
    written = header.raw("content-type")
    if written is None:
        return default, {}
    name = written.partition(";")[0].strip().lower()
    if not _TYPE.match(name):
        name = "text/html" if name in ("html", "text/htm") else "multipart/mixed" if "boundary=" in written.lower() else "text/plain"
    return name, parameters(written)
