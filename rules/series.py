"""Series, instances, episodes: whose end is whose, in any order of arrival (design 2, 4).

Everything here is idempotent and commutative for events with a source time: an instance keeps the earliest end and the
latest validity it was told, severities are those of the newest source time, and episodes are the connected intervals.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from itsm.series import MAX_INSTANCES, MAX_RESOLVES, Instance, SeriesState
from itsm.signal import EventStatus, MonitoringEvent, ResolveScope, Severity

WORST_FIRST = (Severity.CRITICAL, Severity.ERROR, Severity.WARNING, Severity.UNKNOWN, Severity.INFO)


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """Instances whose intervals touch: one incident. `ended_at` is None while open; `expires_at` when silence would end it."""

    instances: tuple[Instance, ...]
    open: bool
    started_at: datetime
    ended_at: datetime | None
    severity: Severity
    expires_at: datetime | None


def content_hash(event: MonitoringEvent) -> bytes:
    """The hash of what a delivery says, without the times at which it was said."""
    said = (event.status, event.severity, event.severity_raw, event.title, event.text, event.links, sorted(event.labels.items()))
    times = (event.started_at, event.ended_at, event.flags)
    return hashlib.sha256(msgspec.msgpack.encode((said, times))).digest()


def valid_until(event: MonitoringEvent, received_at: datetime, expire_after_seconds: int | None) -> datetime | None:
    """Until when a firing delivery speaks: the end it states, else its own time plus the source's expiry, else for ever."""
    if event.valid_until is not None:
        return event.valid_until
    if expire_after_seconds is None:
        return None
    return (event.observed_at or received_at) + timedelta(seconds=expire_after_seconds)


def merge(state: SeriesState, event: MonitoringEvent, *, received_at: datetime, expire_after_seconds: int | None) -> SeriesState:
    """The series after one more delivery. An acknowledgement is counted and changes nothing."""
    counted = msgspec.structs.replace(
        state,
        title=event.title or state.title,
        content_sha256=content_hash(event),
        event_count=state.event_count + 1,
        last_seen_at=received_at if state.last_seen_at is None else max(received_at, state.last_seen_at),
    )
    if event.status is EventStatus.FIRING:
        return _fired(counted, event, received_at, expire_after_seconds)
    if event.status is EventStatus.RESOLVED:
        return _resolved(counted, event, received_at)
    return counted


def _fired(state: SeriesState, event: MonitoringEvent, received_at: datetime, expire_after_seconds: int | None) -> SeriesState:
    said_at = event.observed_at or event.started_at or received_at
    started_at = event.started_at or _running_since(state, said_at) or said_at
    known = _instance(state, started_at)
    newest = known.severity_at is None or (said_at, event.severity.value) >= (known.severity_at, known.severity.value)
    until = valid_until(event, received_at, expire_after_seconds)
    forever = known.fired and known.valid_until is None
    instance = msgspec.structs.replace(
        known,
        fired=True,
        severity=event.severity if newest else known.severity,
        severity_at=said_at if newest else known.severity_at,
        valid_until=None if forever or until is None else max(until, known.valid_until or until),
        event_count=known.event_count + 1,
    )
    return _with(state, instance)


def _resolved(state: SeriesState, event: MonitoringEvent, received_at: datetime) -> SeriesState:
    ended_at = event.ended_at or event.observed_at or received_at
    if event.scope is ResolveScope.SERIES or event.started_at is None:
        resolves = tuple(sorted({*state.resolves, ended_at})[-MAX_RESOLVES:])
        return msgspec.structs.replace(state, resolves=resolves)
    known = _instance(state, event.started_at)
    earliest = ended_at if known.ended_at is None else min(ended_at, known.ended_at)
    return _with(state, msgspec.structs.replace(known, ended_at=earliest, event_count=known.event_count + 1))


def _instance(state: SeriesState, started_at: datetime) -> Instance:
    found = next((each for each in state.instances if each.started_at == started_at), None)
    return found or Instance(started_at=started_at)


def _running_since(state: SeriesState, at: datetime) -> datetime | None:
    """The start of the instance that an event without a start belongs to: the newest one still open."""
    return next((each.started_at for each in reversed(state.instances) if each.fired and is_open(each, state.resolves, at)), None)


def _with(state: SeriesState, instance: Instance) -> SeriesState:
    """Put the instance in its place; over the bound the oldest that ended are forgotten first."""
    others = [each for each in state.instances if each.started_at != instance.started_at]
    kept = sorted([*others, instance], key=lambda each: each.started_at)
    if len(kept) > MAX_INSTANCES:
        oldest_ended = next((each for each in kept if end_of(each, state.resolves) is not None), kept[0])
        kept.remove(oldest_ended)
    return msgspec.structs.replace(state, instances=tuple(kept))


def end_of(instance: Instance, resolves: Iterable[datetime]) -> datetime | None:
    """When the instance ends: its own stated end or the earliest resolve of the series after its start, at most its validity."""
    end, until = instance.ended_at, instance.valid_until
    if until is not None and (end is None or until < end):
        end = until
    for each in resolves:
        if each >= instance.started_at and (end is None or each < end):
            end = each
    return end


def is_open(instance: Instance, resolves: Iterable[datetime], now: datetime) -> bool:
    """Whether the instance has not ended yet."""
    end = end_of(instance, resolves)
    return end is None or end > now


def has_open(state: SeriesState, now: datetime) -> bool:
    """Whether an episode of the series is open, however wide the gap that joins instances."""
    return any(each.fired and is_open(each, state.resolves, now) for each in state.instances)


def episodes(state: SeriesState, *, gap_seconds: int, now: datetime) -> tuple[Episode, ...]:
    """The fired instances in connected intervals; one that starts within the gap after the last end joins it."""
    fired = [each for each in state.instances if each.fired]
    if len(fired) == 1:  # nearly every series has one
        return (_episode_of_one(fired[0], state.resolves, now),)
    runs: list[list[Instance]] = []
    reach: datetime | None = None  # the latest end of the run so far; None: without end
    for instance in fired:
        end = end_of(instance, state.resolves)
        joins = bool(runs) and (reach is None or instance.started_at <= reach + timedelta(seconds=gap_seconds))
        if joins:
            runs[-1].append(instance)
            reach = None if reach is None or end is None else max(reach, end)
        else:
            runs.append([instance])
            reach = end
    return tuple(_episode(run, state.resolves, now) for run in runs)


def _episode_of_one(instance: Instance, resolves: tuple[datetime, ...], now: datetime) -> Episode:
    """What `_episode` makes of a run of one."""
    end = end_of(instance, resolves)
    running = end is None or end > now
    return Episode(
        instances=(instance,),
        open=running,
        started_at=instance.started_at,
        ended_at=None if running else end,
        severity=instance.severity,
        expires_at=end if running else None,
    )


def _episode(run: list[Instance], resolves: tuple[datetime, ...], now: datetime) -> Episode:
    ends = [end_of(each, resolves) for each in run]
    running = [each for each, end in zip(run, ends, strict=True) if end is None or end > now]
    known_ends = [end for end in ends if end is not None]
    waiting = [end for end in known_ends if end > now]
    endless = len(known_ends) < len(ends)
    return Episode(
        instances=tuple(run),
        open=bool(running),
        started_at=run[0].started_at,
        ended_at=None if running else max(known_ends),
        severity=worst(each.severity for each in running or run),
        expires_at=max(waiting) if waiting and not endless else None,
    )


def worst(severities: Iterable[Severity]) -> Severity:
    """The worst of some severities."""
    return min(severities, key=WORST_FIRST.index, default=Severity.UNKNOWN)


def assign(found: tuple[Episode, ...]) -> tuple[tuple[int | None, ...], tuple[int, ...]]:
    """For each episode the incident it has (None: a new one), and the incidents that lost their episode to an earlier one.

    An episode takes the lowest ticket among its instances that no earlier episode took; so membership depends on the
    intervals alone, not on which delivery came first.
    """
    taken: list[int] = []
    chosen: list[int | None] = []
    for episode in found:
        mine = sorted({each.ticket_id for each in episode.instances if each.ticket_id is not None and each.ticket_id not in taken})
        chosen.append(mine[0] if mine else None)
        taken += mine[:1]
    everyone = {each.ticket_id for episode in found for each in episode.instances if each.ticket_id is not None}
    return tuple(chosen), tuple(sorted(everyone - set(taken)))


def unchanged(state: SeriesState, event: MonitoringEvent) -> bool:
    """Whether the delivery says what the last one said about an instance that is known: nothing but a count can come of it."""
    return event.started_at is not None and _known(state, event) and state.content_sha256 == content_hash(event)


def _known(state: SeriesState, event: MonitoringEvent) -> bool:
    if event.status is EventStatus.FIRING:
        return any(each.started_at == event.started_at and each.fired for each in state.instances)
    return event.status is EventStatus.RESOLVED
