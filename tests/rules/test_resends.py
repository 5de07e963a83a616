"""Re-sends that only count: what the state cache does at once is what merging them one by one would have done."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itsm.series import SeriesState
from itsm.signal import EventStatus, MonitoringEvent, ResolveScope, Severity
from rules.monitoring import EventPolicy
from rules.resend import Touch, only_counts, together, touch, touched
from rules.series import merge

START = datetime(2026, 3, 23, 10, tzinfo=UTC)
PLAIN = EventPolicy()


def event(status: EventStatus = EventStatus.FIRING, *, severity: Severity = Severity.WARNING, minute: int = 0, **given: object):  # type: ignore[no-untyped-def]
    ended = START + timedelta(minutes=30) if status is EventStatus.RESOLVED else None
    return msgspec.structs.replace(
        MonitoringEvent(
            source="am",
            series_key="disk",
            status=status,
            severity=severity,
            title="Disk",
            started_at=START + timedelta(minutes=minute),
            ended_at=ended,
        ),
        **given,
    )


def merged(*events: MonitoringEvent, minutes: int = 1) -> SeriesState:
    state = SeriesState(id=1, source="am", series_key="disk")
    for number, each in enumerate(events):
        at = START + timedelta(minutes=minutes * (number + 1))
        state = merge(state, at_receipt(each, at), received_at=at, expire_after_seconds=None)
    return state


def at_receipt(each: MonitoringEvent, at: datetime) -> MonitoringEvent:
    """As the adapters read it: what fires was observed when it was received."""
    return msgspec.structs.replace(each, observed_at=at) if each.status is EventStatus.FIRING else each


EVENTS = st.builds(
    event,
    st.sampled_from([EventStatus.FIRING, EventStatus.RESOLVED]),
    severity=st.sampled_from([Severity.WARNING, Severity.CRITICAL]),
    minute=st.integers(0, 2),
    scope=st.sampled_from(list(ResolveScope)),
)


@given(st.lists(EVENTS, min_size=1, max_size=8), st.lists(st.integers(0, 90), min_size=1, max_size=5))
def test_touching_is_merging_one_by_one(before: list[MonitoringEvent], again: list[int]) -> None:
    state, last = merged(*before), before[-1]
    if not only_counts(state, last, PLAIN):
        return
    one_by_one, at_once = state, None
    for minutes in again:
        at = START + timedelta(minutes=minutes)
        one_by_one = merge(one_by_one, at_receipt(last, at), received_at=at, expire_after_seconds=None)
        one = touch(last, at)
        at_once = one if at_once is None else together(at_once, one)
    assert at_once is not None
    assert touched(state, at_once) == one_by_one


def test_the_last_delivery_only_counts_when_it_comes_again() -> None:
    for status, scope in ((EventStatus.FIRING, ResolveScope.SERIES), *((EventStatus.RESOLVED, scope) for scope in ResolveScope)):
        assert only_counts(merged(event(), event(status, scope=scope)), event(status, scope=scope), PLAIN)


@pytest.mark.parametrize(
    ("state", "given", "policy"),
    [
        (merged(event(), event(severity=Severity.CRITICAL)), event(), PLAIN),  # the last one said something else
        (merged(event()), event(), EventPolicy(expire_after_seconds=60)),  # it extends a validity
        (merged(event(valid_until=START + timedelta(hours=1))), event(valid_until=START + timedelta(hours=1)), PLAIN),
        (merged(event(EventStatus.RESOLVED, ended_at=None)), event(EventStatus.RESOLVED, ended_at=None), PLAIN),  # ends when received
        (merged(event(EventStatus.ACKNOWLEDGED)), event(EventStatus.ACKNOWLEDGED), PLAIN),
    ],
)
def test_a_delivery_that_may_do_more_is_looked_at(state: SeriesState, given: MonitoringEvent, policy: EventPolicy) -> None:
    assert not only_counts(state, given, policy)


def test_a_delivery_older_than_a_worse_one_is_looked_at() -> None:
    late = msgspec.structs.replace(event(), observed_at=START)
    state = merge(merged(event(severity=Severity.CRITICAL)), late, received_at=START + timedelta(hours=1), expire_after_seconds=None)
    assert not only_counts(state, event(), PLAIN)


def test_an_instance_that_was_forgotten_is_looked_at() -> None:
    resolve = event(EventStatus.RESOLVED, scope=ResolveScope.INSTANCE)
    assert not only_counts(msgspec.structs.replace(merged(resolve), instances=()), resolve, PLAIN)


def test_a_series_never_seen_takes_the_time_of_the_touch() -> None:
    state = SeriesState(source="am", series_key="disk")
    assert touched(state, Touch(started_at=None, firing=False, count=2, received_at=START)).last_seen_at == START
