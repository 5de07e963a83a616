"""Which deliveries of a series may be judged again without looking: what they would change is a count (design 4).

A delivery that was merged may come again octet for octet. When nothing else about its series has changed since, the second
is a duplicate by `decide_event`, and all it does to the stored state is what `touched` does.
"""

from datetime import datetime

import msgspec

from itsm.series import SeriesState
from itsm.signal import EventStatus, MonitoringEvent, ResolveScope
from rules.monitoring import EventPolicy
from rules.series import unchanged


class Touch(msgspec.Struct, frozen=True, kw_only=True):
    """Re-sends of one delivery: how many, and when the last was received. `started_at` is None where they name no instance."""

    started_at: datetime | None
    firing: bool
    count: int
    received_at: datetime


def only_counts(state: SeriesState, event: MonitoringEvent, policy: EventPolicy) -> bool:
    """Whether the same delivery, received later, would change nothing of this state but its counts and times.

    One that extends a validity does more; so does one whose severity is not the instance's.
    """
    if event.valid_until is not None or policy.expire_after_seconds is not None or not unchanged(state, event):
        return False
    known = next((each for each in state.instances if each.started_at == event.started_at), None)
    if event.status is not EventStatus.FIRING:
        return event.ended_at is not None and (known is not None or event.scope is ResolveScope.SERIES)
    return known is not None and known.severity is event.severity and known.valid_until is None


def touch(event: MonitoringEvent, received_at: datetime) -> Touch:
    """What one more delivery of the event does."""
    firing = event.status is EventStatus.FIRING
    of_instance = firing or event.scope is ResolveScope.INSTANCE
    return Touch(started_at=event.started_at if of_instance else None, firing=firing, count=1, received_at=received_at)


def together(one: Touch, other: Touch) -> Touch:
    """Two touches of the same delivery as one."""
    return msgspec.structs.replace(one, count=one.count + other.count, received_at=max(one.received_at, other.received_at))


def touched(state: SeriesState, by: Touch) -> SeriesState:
    """The series after the re-sends: what merging them one by one would have made of it."""
    latest = by.received_at if state.last_seen_at is None else max(state.last_seen_at, by.received_at)
    instances = tuple(
        msgspec.structs.replace(
            each,
            event_count=each.event_count + by.count,
            severity_at=max(each.severity_at or by.received_at, by.received_at) if by.firing else each.severity_at,
        )
        if each.started_at == by.started_at
        else each
        for each in state.instances
    )
    return msgspec.structs.replace(state, instances=instances, event_count=state.event_count + by.count, last_seen_at=latest)
