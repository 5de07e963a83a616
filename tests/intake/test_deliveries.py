"""What names the parts of a body for the state cache, and the quick look of the door: both agree with the whole parse."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.context import ParseContext
from intake.parse import deliveries, parse, plain
from intake.payload import MAX_DEPTH, too_deep
from itsm.signal import Malformed

AT = datetime(2026, 11, 25, tzinfo=UTC)
LABELS = st.one_of(
    st.dictionaries(st.sampled_from(["alertname", "instance"]), st.one_of(st.text(max_size=4), st.just("")), max_size=2),
    st.just(5),
    st.none(),
)
ALERTS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"labels": LABELS, "startsAt": st.sampled_from(["2026-03-23T10:00:00Z", "", 7]), "status": st.just("firing")}
    ),
    max_size=5,
)
BODIES = st.one_of(
    ALERTS.map(lambda alerts: json.dumps({"alerts": alerts}).encode()),
    ALERTS.map(lambda alerts: json.dumps(alerts).encode()),
    st.sampled_from([b"", b"{}", b"[]", b'{"alerts":5}', b"nonsense", b'{"alerts":[' + b"[" * 70 + b"]" * 70 + b"]}"]),
)


@given(st.sampled_from(["alertmanager", "alertmanager_v2"]), BODIES)
def test_the_quick_look_finds_what_the_parse_finds_or_says_nothing(format_: str, raw: bytes) -> None:
    parts = parse(format_, raw, ParseContext(source="s", received_at=AT))
    count = plain(format_, raw)
    broken = [each for each in parts if isinstance(each, Malformed)]
    assert count is None or (count, broken) == (len(parts), [])
    names = deliveries(format_, "s", raw)
    assert not names or len(names) == len(parts)


def test_a_sound_body_needs_no_second_look() -> None:
    alerts = [{"labels": {"alertname": f"a{number}"}} for number in range(3)]
    assert plain("alertmanager", json.dumps({"alerts": alerts}).encode()) == 3
    assert plain("alertmanager_v2", json.dumps(alerts).encode()) == 3
    assert plain("generic", b"{}") is None


def test_equal_octets_have_one_name_within_a_source_format_and_body() -> None:
    raw = json.dumps({"alerts": [{"labels": {"a": "1"}}] * 2}).encode()
    first, second = deliveries("alertmanager", "s", raw)
    assert first == second
    assert first not in deliveries("alertmanager", "other", raw)
    assert first not in deliveries("alertmanager", "s", raw[:-1] + b', "externalURL": "http://am"}')
    assert deliveries("generic", "s", raw) == ()


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth_is_counted_alike_by_the_quick_and_the_exact_way(opening: bytes) -> None:
    closing = {b"[": b"]", b'{"a":': b"}"}[opening]
    for depth in (1, MAX_DEPTH // 2, MAX_DEPTH // 2 + 1, MAX_DEPTH):
        assert not too_deep(opening * depth + b"1" + closing * depth)
    assert too_deep(opening * (MAX_DEPTH + 1) + b"1" + closing * (MAX_DEPTH + 1))
