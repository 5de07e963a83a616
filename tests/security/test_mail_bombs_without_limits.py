"""A23 to A30: bombs are parsed within budgets of calls and of memory; without the limit, or by the standard library, they are not.

`tests/intake/mail/test_mail_bombs.py` holds many more of them to the same limits; here each limit is switched off once.
"""

import base64
import email
import email.policy
import io
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from types import FrameType, ModuleType

import pytest

from intake.mail import charset, header, parameters, walk
from intake.mail.parse import parse_mail
from tests.intake.mail.mails import TOP
from tests.intake.mail.test_mail_bombs import BOMBS, nested

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])
CALLS_AT_LEAST, CALLS_A_KILOBYTE = 60_000, 1_000
MEMORY_BYTES = 24 * 1024 * 1024
NO_LIMIT = 10**9
WIDE = {(walk, "MAX_HEADER_BYTES"), (header, "MAX_VALUE_CHARACTERS")}
Work = Callable[[bytes], object]


class TooMany(BaseException):
    """The budget is used."""


def standard_library(*names: str) -> Work:
    """What is done by a program that asks the standard library for these fields and for the parts."""

    def work(raw: bytes) -> None:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        for name in names:
            str(message[name])
        for part in message.walk():
            part.get_content_type()

    return work


def within_budget(work: Work, raw: bytes) -> bool:
    """Whether the work ends, without an exception, before it has called too many functions."""
    budget = CALLS_AT_LEAST + CALLS_A_KILOBYTE * len(raw) // 1024
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1
            if calls > budget:
                sys.setprofile(None)
                raise TooMany

    sys.setprofile(count)
    try:
        work(raw)
    except (TooMany, RecursionError, ValueError, LookupError, AttributeError):
        return False
    finally:
        sys.setprofile(None)
    return True


Limits = set[tuple[ModuleType, str]]
ROWS: dict[str, tuple[bytes, Limits | Work]] = {
    "A23 depth": (nested(2_000), {(walk, "MAX_DEPTH"), (walk, "MAX_PARTS"), (walk, "MAX_BOUNDARY_LINES")}),
    "A23 depth, by the standard library": (nested(2_000), standard_library("subject")),
    "A24 parts": (BOMBS["A24 many parts"](10_000), {(walk, "MAX_PARTS"), (walk, "MAX_BOUNDARY_LINES")}),
    "A25 fields": (BOMBS["A25 many fields"](20_000), {(walk, "MAX_HEADER_LINES"), (header, "MAX_FIELDS"), *WIDE}),
    "A25 lines that are no fields": (
        BOMBS["A25 lines that are no fields"](5_000),
        {(walk, "MAX_HEADER_LINES"), (walk, "MAX_LINES_MENDED"), *WIDE},
    ),
    "A27 segments": (BOMBS["A27 segments of a parameter"](4_000), standard_library("subject")),
    "A27 semicolons": (
        BOMBS["A27 semicolons"](5_000),
        {(parameters, "MAX_PARAMETERS"), (parameters, "MAX_FIELD_CHARACTERS"), (walk, "MAX_HEADER_BYTES")},
    ),
    "A28 parentheses": (BOMBS["A28 parentheses"](1_000), standard_library("from")),
    "A28 quotes": (BOMBS["A28 quotes"](1_000), standard_library("to")),
}


@WITH_AND_WITHOUT
@pytest.mark.parametrize("row", ROWS)
def test_a_bomb_is_parsed_within_its_budget_of_calls(row: str, monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    raw, without = ROWS[row]
    parse_mail(TOP + b"\nhi")  # what is loaded at first use is not counted
    work: Work = parse_mail
    if not defended and callable(without):
        work = without
    elif not defended:
        for module, name in without:  # type: ignore[union-attr]  # a set of limits
            monkeypatch.setattr(module, name, NO_LIMIT)
    assert within_budget(work, raw) is defended


def peak_of(work: Work, raw: bytes) -> int:
    tracemalloc.start()
    try:
        work(raw)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@WITH_AND_WITHOUT
def test_encoded_words_are_decoded_within_a_budget_of_memory(defended: bool) -> None:
    raw = BOMBS["A26 encoded words"](1_500)
    assert (peak_of(parse_mail if defended else standard_library("subject"), raw) <= MEMORY_BYTES) is defended


@WITH_AND_WITHOUT
def test_archives_are_never_unpacked(defended: bool) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", b"0" * 40_000_000)
    attachment = base64.encodebytes(packed.getvalue())
    fields = b'Content-Type: application/zip; name="a.zip"\nContent-Transfer-Encoding: base64\n\n'

    def unpacks(raw: bytes) -> object:
        (leaf,) = walk.walk(raw).leaves
        return zipfile.ZipFile(io.BytesIO(leaf.octets()[0])).read("bomb")

    assert (peak_of(parse_mail if defended else unpacks, TOP + fields + attachment) <= MEMORY_BYTES) is defended


@WITH_AND_WITHOUT
@pytest.mark.parametrize("name", ["zlib", "hex", "rot13", "bz2", "unicode_escape", "../x"])
def test_a_charset_names_no_codec_that_is_no_charset(name: str, monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    if not defended:
        monkeypatch.setattr(charset, "codec_of", lambda declared: declared)
    raw = TOP + b"Content-Type: text/plain; charset=" + name.encode() + b"\n\n\\x41 gr\xc3\xbc\xc3\x9fe\n"
    try:
        said = parse_mail(raw).text  # type: ignore[union-attr]  # a mail, no report
    except (LookupError, UnicodeError):
        said = "tripped"
    assert (said.strip() == "\\x41 grüße") is defended
