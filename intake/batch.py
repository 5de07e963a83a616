"""What one claim becomes: parts in slices, each a transaction short enough that a door need not wait for it (design 4)."""

from collections.abc import Iterator, Sequence

import msgspec

from casework.part import Part
from casework.resends import Repeat, tag_of
from intake.child import ParseResult
from itsm.envelope import PENDING_CODE
from itsm.signal import Malformed, MonitoringEvent
from store.inbox import Claimed

SLICE = 100  # parts a transaction: at most about 20 ms of them
REPEATED = 5_000  # parts a transaction that the state cache knows


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What names a body and its parts for the state cache; no parts where they have no name."""

    body: bytes
    parts: tuple[bytes, ...]


NO_NAMES = Names(body=b"", parts=())


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Envelopes that were claimed together, and what the child made of each; one whose child failed is missing there.

    `repeats` were not parsed: the state cache knows all their parts. `deliveries` names the others for it.
    """

    claimed: tuple[Claimed, ...]
    parsed: dict[int, ParseResult]
    repeats: dict[int, Repeat] = {}
    deliveries: dict[int, Names] = {}

    def series(self) -> set[int]:
        """The tags of the series that parsed parts speak of."""
        parts = (part for result in self.parsed.values() for part in result.parts)
        return {tag_of(part.source, part.series_key) for part in parts if isinstance(part, MonitoringEvent)}


def runs(repeats: Sequence[Repeat], size: int = REPEATED) -> Iterator[list[Repeat]]:
    """The repeats in order, in transactions of about `size` parts."""
    run: list[Repeat] = []
    parts = 0
    for each in repeats:
        run.append(each)
        parts += each.parts
        if parts >= size:
            yield run
            run, parts = [], 0
    if run:
        yield run


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one transaction. `counts` names the envelopes that go on in a later one, with the number of all their parts."""

    parts: tuple[Part, ...]
    counts: tuple[tuple[int, int], ...] = ()


def slices(parts: Sequence[Part], totals: dict[int, int], size: int = SLICE) -> Iterator[Slice]:
    """The parts in order; `totals` has the number of all parts of each envelope, which one that is cut must tell first."""
    last = {part.envelope.id: place for place, part in enumerate(parts)}
    for at in range(0, len(parts), size):
        some = tuple(parts[at : at + size])
        cut = {part.envelope.id for part in some if last[part.envelope.id] >= at + size}
        yield Slice(parts=some, counts=tuple((each, totals[each]) for each in sorted(cut)))


def parts_of(claimed: Claimed, result: ParseResult) -> list[Part]:
    """The parts that have no outcome yet; none when nothing of the body could be read."""
    if all(isinstance(each, Malformed) for each in result.parts):
        return []
    done = claimed.outcomes
    return [
        Part(envelope=claimed.envelope, seq=seq, signal=signal)
        for seq, signal in enumerate(result.parts)
        if seq >= len(done) or done[seq] == PENDING_CODE
    ]


def why_nothing(result: ParseResult) -> str:
    """What to tell the person who looks at the quarantine."""
    reasons = [f"{each.reason} {each.detail}".strip() for each in result.parts if isinstance(each, Malformed)]
    return "; ".join(reasons[:3]) or "the parse gave no parts"
