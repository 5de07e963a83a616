"""Slices of a batch: every part once, in order, and an envelope that is cut tells its number of parts first."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from casework.part import Part
from intake.batch import slices
from itsm.envelope import Channel, Envelope
from itsm.signal import Malformed

AT = datetime(2026, 11, 25, tzinfo=UTC)


def part(inbox_id: int, seq: int) -> Part:
    envelope = Envelope(id=inbox_id, channel=Channel.HTTP, source="am", received_at=AT, size_bytes=1)
    return Part(envelope=envelope, seq=seq, signal=Malformed(reason="it is only counted here"))


@given(st.lists(st.integers(1, 7), max_size=12), st.integers(1, 5))
def test_every_part_stands_in_one_slice_in_order_and_cut_envelopes_tell_their_number_first(sizes: list[int], size: int) -> None:
    every = [part(number, seq) for number, count in enumerate(sizes) for seq in range(count)]
    found = list(slices(every, dict(enumerate(sizes)), size))
    assert [each for some in found for each in some.parts] == every
    assert all(0 < len(some.parts) <= size for some in found)
    told: set[int] = set()
    for some in found:
        told |= {inbox_id for inbox_id, count in some.counts if count == sizes[inbox_id]}
        whole = {each.envelope.id for each in some.parts if each.seq == sizes[each.envelope.id] - 1 and each.envelope.id not in told}
        assert {each.envelope.id for each in some.parts} <= told | whole


def test_envelopes_that_end_in_their_slice_tell_nothing() -> None:
    every = [part(1, 0), part(2, 0), part(2, 1)]
    assert [each.counts for each in slices(every, {1: 1, 2: 2}, 3)] == [()]
    assert [each.counts for each in slices(every, {1: 1, 2: 2}, 2)] == [((2, 2),), ()]
