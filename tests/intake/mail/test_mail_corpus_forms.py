"""Every mail of the corpora with other line ends, cut short, and with flipped bytes: no exception, and exactly one outcome."""

import json
import os
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

FOLDER = Path(os.environ.get("TRIAGED_CORPORA") or Path(__file__).parents[4] / "shared" / "corpora")
CASES = [json.loads(line) for line in (FOLDER / "cases.jsonl").read_text("utf-8").splitlines()]
MAILS = {case["path"]: FOLDER / case["path"] for case in CASES if case["kind"] == "mail"}
SLICES = 8
SAMPLES = 3  # of each sort and mail: truncations and flips
CONTEXT = ParseContext(source="smtp", received_at=datetime(2026, 3, 2, tzinfo=UTC))


def outcome(raw: bytes) -> bytes:
    """What one mail comes to, as bytes that can be compared; there is always exactly one part, and it can be stored."""
    parts = parse(MAIL_FORMAT, raw, CONTEXT)
    assert len(parts) == 1
    assert isinstance(parts[0], UserMessage | DeliveryReport)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(parts[0]), type=UserMessage | DeliveryReport) == parts[0]
    return msgspec.json.encode(present(parts))


def mails_of(slice_: int) -> list[tuple[str, bytes]]:
    return [(path, file.read_bytes()) for path, file in sorted(MAILS.items())[slice_::SLICES]]


@pytest.mark.parametrize("slice_", range(SLICES))
def test_a_mail_comes_to_the_same_with_any_line_ends(slice_: int):
    for path, raw in mails_of(slice_):
        lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        told = outcome(lines)
        assert outcome(lines.replace(b"\n", b"\r\n")) == told, path
        assert outcome(lines.replace(b"\n", b"\r")) == told, path


@pytest.mark.parametrize("slice_", range(SLICES))
def test_a_mail_cut_short_has_one_outcome(slice_: int):
    chance = random.Random(slice_)
    for _path, raw in mails_of(slice_):
        for _ in range(SAMPLES):
            cut = raw[: chance.randrange(len(raw) + 1)]
            assert outcome(cut) == outcome(cut)


@pytest.mark.parametrize("slice_", range(SLICES))
def test_a_mail_with_flipped_bytes_has_one_outcome(slice_: int):
    chance = random.Random(slice_)
    for _path, raw in mails_of(slice_):
        for flips in (1, 8, 64)[:SAMPLES]:
            octets = bytearray(raw)
            for _ in range(flips if octets else 0):
                octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)
            assert outcome(bytes(octets)) == outcome(bytes(octets))
