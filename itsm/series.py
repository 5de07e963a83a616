"""A series of a monitoring source, its instances and resolves (design 4, series). The judgement is in `rules.series`."""

from datetime import datetime

import msgspec

from itsm.signal import Severity

MAX_INSTANCES = 100
MAX_RESOLVES = 100


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One firing period of a series, named by its `started_at`.

    `ended_at` is the earliest end stated for this instance, `valid_until` the latest validity a firing delivery gave it.
    `fired` tells whether a firing delivery was seen (a resolve may come first). `severity` is that of the newest firing
    delivery by `severity_at`. `ticket_id` is its incident, None before there is one; negative: a handle of the decision.
    """

    started_at: datetime
    ended_at: datetime | None = None
    valid_until: datetime | None = None
    fired: bool = False
    severity: Severity = Severity.UNKNOWN
    severity_at: datetime | None = None
    event_count: int = 0
    ticket_id: int | None = None


class SeriesState(msgspec.Struct, frozen=True, kw_only=True):
    """All that is kept of a series: `id` 0 when new. `resolves` are ends that the sender stated for the whole series.

    `content_sha256` is the hash of the last delivery (same hash, same start: an unchanged re-send). Instances are ordered
    by start and at most 100; so are resolves: the oldest ended ones are forgotten first.
    """

    id: int = 0
    source: str
    series_key: str
    title: str = ""
    instances: tuple[Instance, ...] = ()
    resolves: tuple[datetime, ...] = ()
    content_sha256: bytes = b""
    event_count: int = 0
    last_seen_at: datetime | None = None
