"""What is fuzzed: each target takes any bytes, must raise nothing, and stays within a budget of calls and of octets that come out."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import chardet
import msgspec

from intake.context import ParseContext
from intake.mail.addresses import read_addresses
from intake.mail.bounce import MAX_SCANNED_LINES
from intake.mail.reply import new_words
from intake.mail.signature import names_of_keys, signed_by
from intake.parse import ADAPTERS, parse
from itsm.envelope import MAIL_FORMAT
from itsm.signal import Parsed

ROOT = Path(__file__).resolve().parent.parent
SEEDS, REGRESSIONS = ROOT / "prove" / "seeds", ROOT / "tests" / "fixtures" / "fuzz"
RECEIVED = datetime(2026, 11, 25, 12, tzinfo=UTC)
CALLS, CALLS_AN_OCTET = 20_000, 60
CALLS_A_LINE = 1_000  # each of flufl's two dozen detectors looks at each of a bounce's first lines, and a blank one may begin a part
OCTETS_OUT, OCTETS_OUT_AN_OCTET = 64 * 1024, 16
DSN = (
    b"From: MAILER-DAEMON@x.example\r\nTo: help@localhost\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n'
    b"%b\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n%b\r\n--b--\r\n"
)
WINMAIL = b"From: a@b.example\nContent-Type: application/ms-tnef\nContent-Transfer-Encoding: binary\n\n"
KEY = b"v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL"
HALVES = b"\n----\n"  # between the words of a bounce and its report

chardet.detect("Слова, которых никто не назвал".encode("koi8-r"))  # it loads its tables at first use: no cost of an input

_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(tuple[Parsed, ...]).decode


class OverBudgetError(Exception):
    """An input took more calls, or gave more octets, than its size allows."""


def _parts(format_: str, data: bytes) -> bytes:
    """Parse as the child does; the parts survive the way to the parent unchanged."""
    parts = parse(format_, data, ParseContext(source="fuzz", received_at=RECEIVED, return_path="a@b.example"))
    assert parts, "a body has at least one part"
    encoded = _encode(parts)
    assert _decode(encoded) == parts, "the parts come back as they were"
    return encoded


def mail(data: bytes) -> bytes:
    """Any octets as a mail."""
    return _parts(MAIL_FORMAT, data)


def bounce(data: bytes) -> bytes:
    """Any octets as the words and the report of a bounce."""
    words, _, report = data.partition(HALVES)
    return _parts(MAIL_FORMAT, DSN % (words, report))


def winmail(data: bytes) -> bytes:
    """Any octets as the `winmail.dat` of a mail."""
    return _parts(MAIL_FORMAT, WINMAIL + data)


def signature(data: bytes) -> bytes:
    """Any octets as a mail that is asked for its signatures, and each key that it wants is the same one."""
    names = names_of_keys(data)
    return signed_by(data, dict.fromkeys(names, KEY)).encode() + repr(names).encode()


def addresses(data: bytes) -> bytes:
    """Any octets as the value of a header with addresses."""
    return _encode(read_addresses(data.decode("utf-8", "surrogateescape")))


def reply(data: bytes) -> bytes:
    """Any text as the text of a reply: nothing is added to what somebody wrote."""
    text = data.decode("utf-8", "replace")
    words = new_words(text)
    assert len(words) <= len(text), "there are no more new words than words"
    return words.encode()


def _adapter(name: str) -> Callable[[bytes], bytes]:
    return lambda data: _parts(name, data)


TARGETS: dict[str, Callable[[bytes], bytes]] = {
    "mail": mail,
    "bounce": bounce,
    "addresses": addresses,
    "reply": reply,
    "winmail": winmail,
    "signature": signature,
    **{name: _adapter(name) for name in ADAPTERS},
}


def seed_folders(name: str) -> list[Path]:
    """Where the seeds of a target are; mails of the tests and of the demonstration are seeds too."""
    more = {
        "mail": [ROOT / "tests" / "fixtures" / "mail", ROOT / "triaged" / "demo" / "mails"],
        "alertmanager": [ROOT / "triaged" / "demo" / "alerts"],
    }
    folders = [SEEDS / name, ROOT / "tests" / "fixtures" / "alerts" / name, REGRESSIONS / name, *more.get(name, [])]
    return [folder for folder in folders if folder.is_dir()]


def seeds(name: str) -> list[Path]:
    """The files of these folders."""
    return sorted(file for folder in seed_folders(name) for file in folder.iterdir() if file.is_file())


def within_budget(run: Callable[[bytes], bytes], data: bytes) -> None:
    """Run it and count: calls of Python functions and of C functions, and octets that come out; raises OverBudgetError."""
    counter = count()

    def called(_frame: Any, event: str, _argument: Any) -> None:
        if event in ("call", "c_call"):
            next(counter)

    sys.setprofile(called)
    try:
        size = len(run(data))
    finally:
        sys.setprofile(None)
    calls = next(counter)
    lines = min(data.count(b"\n") + data.count(b"\r"), MAX_SCANNED_LINES)
    if calls > CALLS + CALLS_AN_OCTET * len(data) + CALLS_A_LINE * lines:
        raise OverBudgetError(f"{calls} calls for {len(data)} octets")
    if size > OCTETS_OUT + OCTETS_OUT_AN_OCTET * len(data):
        raise OverBudgetError(f"{size} octets out of {len(data)}")
