"""Our own mails cut short anywhere and with flipped bytes: no exception, and exactly one outcome that can be stored.

`test_mail_corpus_forms.py` does the same with every mail of the corpora, where they are there.
"""

import random
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from intake.context import ParseContext
from intake.parse import parse
from intake.present import present
from itsm.envelope import MAIL_FORMAT
from itsm.signal import DeliveryReport, UserMessage

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted([*(ROOT / "tests" / "fixtures" / "mail").glob("*.eml"), *(ROOT / "triaged" / "demo" / "mails").glob("*.eml")])
MAILS = {each.name: each.read_bytes() for each in FILES}
CUTS, FLIPS = 60, 60
CONTEXT = ParseContext(source="smtp", received_at=datetime(2026, 3, 2, tzinfo=UTC))


def outcome(raw: bytes) -> bytes:
    """What a mail comes to, as bytes that can be compared."""
    parts = parse(MAIL_FORMAT, raw, CONTEXT)
    assert len(parts) == 1
    assert isinstance(parts[0], UserMessage | DeliveryReport)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(parts[0]), type=UserMessage | DeliveryReport) == parts[0]
    return msgspec.json.encode(present(parts))


@pytest.mark.parametrize("name", MAILS)
def test_a_mail_cut_short_anywhere_has_one_outcome(name: str) -> None:
    raw, chance = MAILS[name], random.Random(name)
    places = range(len(raw)) if len(raw) <= CUTS else sorted(chance.sample(range(len(raw)), CUTS))
    for at in places:
        assert outcome(raw[:at]) == outcome(raw[:at]), at


@pytest.mark.parametrize("name", MAILS)
def test_a_mail_cut_short_has_the_same_outcome_with_any_line_ends(name: str) -> None:
    lines = MAILS[name].replace(b"\r\n", b"\n").split(b"\n")
    for kept in range(0, len(lines), max(1, len(lines) // 20)):
        forms = [b"".join(line + end for line in lines[:kept]) for end in (b"\n", b"\r\n", b"\r")]
        assert outcome(forms[0]) == outcome(forms[1]) == outcome(forms[2]), kept


@pytest.mark.parametrize("name", MAILS)
def test_a_mail_with_flipped_bytes_has_one_outcome(name: str) -> None:
    chance = random.Random(name)
    for flips in [1, 4, 16] * (FLIPS // 3):
        octets = bytearray(MAILS[name])
        for _ in range(flips):
            octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)
        assert outcome(bytes(octets)) == outcome(bytes(octets))
