"""What a mail says and what it carries: inline texts in order, everything else as attachments (mail 22 to 33)."""

import hashlib
import re

import msgspec

from intake.mail.calendar import words_of_event
from intake.mail.charset import clean, decode
from intake.mail.html import html_charset, html_text, without_quotes
from intake.mail.tnef import unwrapped
from intake.mail.walk import Leaf, walk
from itsm.signal import Attachment

MAX_TEXT_BYTES = 1024 * 1024
MAX_HTML_BYTES = 512 * 1024
MAX_ALL_TEXT_BYTES = 4 * 1024 * 1024
MAX_TEXT_CHARACTERS = 512 * 1024
MAX_GUESSES = 10  # of a charset, about a millisecond each
HTML_TYPES = frozenset({"text/html", "text/x-amp-html"})
TEXT_TYPES = frozenset({"text/plain", "text/enriched", "text/richtext", "text/markdown"}) | HTML_TYPES
MAX_NAME_CHARACTERS = 250
_NOT_A_NAME = re.compile(r"[\x00-\x1f\x7f]+")


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """The text and files of a mail, the hash of its decoded parts, and what had to be said about them.

    `unquoted` is the text without what HTML parts mark as quoted or signature; "" when they mark nothing, or everything.
    """

    text: str
    unquoted: str = ""
    attachments: tuple[Attachment, ...]
    sha256: bytes
    defects: tuple[str, ...]


class _Text(msgspec.Struct, frozen=True, kw_only=True):
    """A part that is read: its octets, and whether an HTML one."""

    leaf: Leaf
    octets: bytes
    is_html: bool


def content_of(leaves: tuple[Leaf, ...]) -> Content:
    """Read every leaf once. Of an alternative the plain text is read, and the HTML only where no plain text says anything."""
    defects: list[str] = []
    digest = hashlib.sha256()
    texts: list[_Text] = []
    files: list[Attachment] = []
    events: list[bytes] = []
    for leaf in leaves:
        octets, defect = leaf.octets()
        if defect:
            defects.append(defect if leaf.alone else f"part {leaf.index + 1}: {defect}")
        disposition = leaf.header.word("content-disposition").partition(";")[0].strip()
        name = leaf.file_name()
        sha256 = hashlib.sha256(octets)
        is_words = leaf.content_type.startswith("text/")
        same = hashlib.sha256(octets.rstrip()) if is_words else sha256  # one blank line more at the end is the same mail
        digest.update(leaf.content_type.encode("utf-8", "replace") + b"\0" + same.digest())
        if _is_text(leaf, disposition, name):
            texts.append(_Text(leaf=leaf, octets=octets, is_html=leaf.content_type in HTML_TYPES))
            continue
        if leaf.content_type == "text/calendar":
            events.append(octets)
        files.append(_attachment(leaf, disposition, name, len(octets), sha256.hexdigest()))
    wrapped = unwrapped(leaves)
    defects += wrapped.defects
    files += [_attachment(each, "", each.file_name(), each.end, hashlib.sha256(each.raw).hexdigest()) for each in wrapped.files]
    reader = _Reader(defects)
    text = reader.read(texts) or reader.read([_read_text(each) for each in wrapped.words[:1]])
    text = text or "\n".join(words_of_event(octets) for octets in events[:1])
    return Content(
        text=text, unquoted=reader.unquoted, attachments=tuple(files), sha256=digest.digest(), defects=tuple(dict.fromkeys(defects))
    )


def _read_text(leaf: Leaf) -> _Text:
    return _Text(leaf=leaf, octets=leaf.raw, is_html=leaf.content_type in HTML_TYPES)


def _is_text(leaf: Leaf, disposition: str, name: str) -> bool:
    """Whether a leaf is read: text that is not meant as a file (RFC 2183 2.1, 2.2). The only part of a mail may have a name."""
    if leaf.content_type not in TEXT_TYPES or disposition == "attachment":
        return False
    return not name or (leaf.index == 0 and leaf.alone)


class _Reader:
    """Decodes the texts that are shown, each once, and joins them in their order."""

    def __init__(self, defects: list[str]) -> None:
        self.defects = defects
        self.guesses = 0
        self.left_bytes = MAX_ALL_TEXT_BYTES
        self.unquoted = ""

    def read(self, texts: list[_Text]) -> str:
        plain = {at: self._decoded(each) for at, each in enumerate(texts) if not each.is_html}
        said = {texts[at].leaf.alternative for at, text in plain.items() if text and not text.isspace()}
        out: list[str] = []
        words: list[str] = []
        size = 0
        for at, each in enumerate(texts):
            if size > MAX_TEXT_CHARACTERS:
                self.defects.append(f"the text was read up to {MAX_TEXT_CHARACTERS} characters")
                break
            if each.is_html and each.leaf.alternative and each.leaf.alternative in said:
                continue
            html = self._decoded(each) if each.is_html else ""
            text = (html_text(html) if each.is_html else plain[at]).strip("\n")
            if text and not text.isspace():
                out.append(text)
                size += len(text)
                marked = without_quotes(html) if html else None
                words.append(text if marked is None else html_text(marked))
        self.unquoted = "" if words == out else "\n\n".join(each for each in words if each).strip()[:MAX_TEXT_CHARACTERS]
        return "\n\n".join(out)[:MAX_TEXT_CHARACTERS]

    def _decoded(self, each: _Text) -> str:
        octets, leaf = each.octets, each.leaf
        which = "" if leaf.alone else f"part {leaf.index + 1}: "
        limit = min(MAX_HTML_BYTES if each.is_html else MAX_TEXT_BYTES, self.left_bytes)
        if len(octets) > limit:
            self.defects.append(f"{which}a text was read up to {limit} bytes only")
            octets = octets[: octets.rfind(b"\n", max(0, limit - 1_000), limit) + 1 or limit]
        self.left_bytes -= len(octets)
        declared = leaf.parameters.get("charset") or (html_charset(octets) if each.is_html else None)
        text, defect = decode(octets, declared, guess=self.guesses < MAX_GUESSES)
        if defect:
            self.guesses += 1
            self.defects.append(f"{which}charset: {defect}")
        if "\x00" in text:
            self.defects.append(f"{which}NUL characters were removed")
        text = clean(text)
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if leaf.parameters.get("format", "").lower() == "flowed":
            text = unflowed(text, delete_space=leaf.parameters.get("delsp", "").lower() == "yes")
        return text


def unflowed(text: str, *, delete_space: bool) -> str:
    """RFC 3676 4: a line that ends in a space goes on in the next one of the same quote depth."""
    out: list[str] = []
    pieces: list[str] = []
    open_depth = -1
    for line in text.split("\n"):
        body = line.lstrip(">")
        depth = len(line) - len(body)
        if body.startswith(" "):
            body = body[1:]  # RFC 3676 4.4: space-stuffing
        if open_depth != depth or body == "-- ":
            out.append("".join(pieces))
            pieces = [">" * depth + (" " if depth and body else "")]
        flows = body.endswith(" ") and body != "-- "  # RFC 3676 4.3
        pieces.append(body[:-1] if flows and delete_space else body)
        open_depth = depth if flows else -1
    out.append("".join(pieces))
    return "\n".join(out[1:])


def _attachment(leaf: Leaf, disposition: str, name: str, size_bytes: int, sha256: str) -> Attachment:
    written = clean(leaf.header.raw("content-id") or "").strip().strip("<>")
    content_id = written[:MAX_NAME_CHARACTERS] or None
    return Attachment(
        filename=_NOT_A_NAME.sub("", name).strip()[:MAX_NAME_CHARACTERS] or None,
        content_type=leaf.content_type[:120],
        size_bytes=size_bytes,
        sha256=sha256,
        inline=disposition == "inline" or (leaf.related and content_id is not None and disposition != "attachment"),
        content_id=content_id,
        part_index=leaf.index,
    )


def attachment_bytes(raw: bytes, part_index: int) -> bytes | None:
    """The decoded octets of the part with that place in the walk, or None when there is no such part.

    What a `winmail.dat` holds stands after the parts of the mail itself.
    """
    leaves = walk(raw).leaves
    if part_index >= len(leaves):
        leaves += unwrapped(leaves).files
    return leaves[part_index].octets()[0] if 0 <= part_index < len(leaves) else None
