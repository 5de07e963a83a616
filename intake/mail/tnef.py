"""`winmail.dat`, as Outlook wraps what it sends (TNEF, MS-OXTNEF): its files and words, by tnefparse where it is installed (A31).

tnefparse is LGPL, so it comes with the extra `tnef` only. It trusts the counts it reads, so it works under a budget of calls, and
on streams whose objects were counted before. This runs in the child process, which has a deadline besides.
"""

import logging
import sys
from types import FrameType
from typing import Any

import msgspec

from intake.mail.charset import clean, decode
from intake.mail.header import Header
from intake.mail.walk import Leaf

try:
    from tnefparse.tnef import TNEF
except ImportError:  # the extra is not installed
    TNEF = None

logging.getLogger("tnefparse").setLevel(logging.CRITICAL + 1)  # it has a line for every strange number in a stream

TYPES = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
NAME = "winmail.dat"
MAX_FILES = 100
MAX_OBJECTS = 2_000
MAX_COPIED_BYTES = 2 * 1024**3  # tnefparse copies the rest of the stream for each object
MAX_CALLS = 200_000
SIGNATURE = b"\x78\x9f\x3e\x22"
MISSING = "winmail.dat was not opened: install the extra, pip install 'triaged[tnef]'"
BROKEN = "winmail.dat could not be opened: it is damaged"
TOO_LARGE = "winmail.dat was not opened: it holds more than we read"
RICH_TEXT = "the words in winmail.dat are rich text and stand there only"
LONG_FILENAME = 0x3707  # MS-OXPROPS PidTagAttachLongFilename
_HEAD_OCTETS, _OBJECT_OCTETS = 6, 11


class Unwrapped(msgspec.Struct, frozen=True, kw_only=True):
    """What stood in the wrappings of a mail: files as further leaves, words, and what has to be said."""

    files: tuple[Leaf, ...] = ()
    words: tuple[Leaf, ...] = ()
    defects: tuple[str, ...] = ()


class _TooManyCalls(BaseException):
    """The budget is used; no `except Exception` of the library may keep it."""


def is_wrapping(leaf: Leaf) -> bool:
    """Whether a leaf is a TNEF stream by its type, or by the name that all of them have."""
    return leaf.content_type in TYPES or (leaf.content_type == "application/octet-stream" and leaf.file_name().lower() == NAME)


def unwrapped(leaves: tuple[Leaf, ...]) -> Unwrapped:
    """Open every wrapping among the leaves; files are numbered after the leaves, in order, at most 100. Never raises."""
    files: list[Leaf] = []
    words: list[Leaf] = []
    defects: list[str] = []
    for leaf in leaves:
        if not is_wrapping(leaf):
            continue
        opened = _open(leaf.octets()[0])
        if isinstance(opened, str):
            defects.append(opened)
            continue
        found, text = opened
        words += text
        if text == [] and found == []:
            defects.append(RICH_TEXT)
        for each in found:
            files.append(msgspec.structs.replace(each, index=len(leaves) + len(files)))
    if len(files) > MAX_FILES:
        defects.append(f"winmail.dat holds {len(files)} files: the first {MAX_FILES} are shown")
    return Unwrapped(files=tuple(files[:MAX_FILES]), words=tuple(words), defects=tuple(defects))


def _open(octets: bytes) -> tuple[list[Leaf], list[Leaf]] | str:
    """The files and the words of one stream, or why there are none."""
    if TNEF is None:
        return MISSING
    objects = _objects(octets)
    if objects == 0:
        return BROKEN
    if objects > MAX_OBJECTS or objects * len(octets) > MAX_COPIED_BYTES:
        return TOO_LARGE
    try:
        return _within_budget(octets)
    except _TooManyCalls:
        return TOO_LARGE
    except Exception as error:  # the boundary to a library that raises whatever its slices raise
        return f"{BROKEN} ({type(error).__name__})"


def _objects(octets: bytes) -> int:
    """How many objects a stream says it has, at most one more than we read; 0 when it is no stream."""
    if not octets.startswith(SIGNATURE):
        return 0
    at, count = _HEAD_OCTETS, 0
    while at + _OBJECT_OCTETS < len(octets) and count <= MAX_OBJECTS:
        at += int.from_bytes(octets[at + 5 : at + 9], "little") + _OBJECT_OCTETS
        count += 1
    return count


def _within_budget(octets: bytes) -> tuple[list[Leaf], list[Leaf]]:
    """Let the library read, and stop it after so many calls: some of its loops run as long as a number in the stream says."""
    before, calls = sys.getprofile(), 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")
        if calls > MAX_CALLS:
            raise _TooManyCalls

    sys.setprofile(count)
    try:
        stream = TNEF(octets, do_checksum=False)
        files = [_file(_name(each), _octets(each.data)) for each in stream.attachments]
        return files, _words(stream)
    finally:
        sys.setprofile(before)


def _words(stream: Any) -> list[Leaf]:
    """The body: plain text, else HTML; rich text is left in the stream."""
    for written, content_type in ((stream.body, "text/plain"), (stream.htmlbody, "text/html")):
        text = _text(written).strip("\0 \r\n") if written else ""
        if text:
            return [_leaf(text.encode("utf-8", "replace"), content_type, {"charset": "utf-8"}, "8bit")]
    return []


def _name(attachment: Any) -> str:
    """The long name, else the short one; the library's own reading of the short one knows ASCII only."""
    long = next((each.data for each in attachment.mapi_attrs if each.name == LONG_FILENAME), "")
    return _text(long or attachment._name).strip("\0")


def _file(name: str, octets: bytes) -> Leaf:
    return _leaf(octets, "application/octet-stream", {"name": name.replace("\0", "") or "file"}, "binary")


def _leaf(octets: bytes, content_type: str, parameters: dict[str, str], encoding: str) -> Leaf:
    header = Header((("content-transfer-encoding", encoding),))
    return Leaf(index=0, header=header, content_type=content_type, parameters=parameters, raw=octets, start=0, end=len(octets))


def _octets(data: Any) -> bytes:
    """Octets of an attachment; those that MAPI properties hold come as a list of pieces."""
    return data if isinstance(data, bytes) else b"".join(data) if isinstance(data, list) else str(data).encode("utf-8", "replace")


def _text(written: Any) -> str:
    if isinstance(written, list):
        return "".join(_text(each) for each in written)
    return clean(written if isinstance(written, str) else decode(bytes(written), None, guess=False)[0])
