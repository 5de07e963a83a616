"""What a parser may know besides the bytes, and how a generic webhook is read."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

Words = tuple[str, ...]
ALERT_FORMATS = ("alertmanager", "alertmanager_v2", "generic")  # the adapters, by name; `intake.parse` has the functions


class GenericMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[intake.source.mapping]`: where a generic JSON payload keeps what. A path is dotted: `alert.id`, `items.0.name`.

    Each field takes several paths; the first that is there counts.
    """

    items: Annotated[str, Meta(description="Path of the list of events; empty: the body is one event, or a list of them.")] = ""
    series_key: Annotated[Words, Meta(description="Paths of what is stable per problem; the title when none is there.")] = (
        "key", "series_key", "dedup_key", "dedup", "fingerprint", "alert_id", "id",
    )  # fmt: skip
    status: Annotated[Words, Meta(description="Paths of the status.")] = ("status", "state", "event")
    firing: Annotated[Words, Meta(description="Values of status that mean firing, in any case.")] = (
        "firing", "open", "opened", "alerting", "alarm", "problem", "triggered", "trigger", "down", "critical", "active",
    )  # fmt: skip
    resolved: Annotated[Words, Meta(description="Values of status that mean resolved.")] = (
        "resolved", "resolve", "ok", "closed", "close", "recovered", "recovery", "up", "cleared", "inactive",
    )  # fmt: skip
    acknowledged: Annotated[Words, Meta(description="Values of status that mean acknowledged.")] = ("acknowledged", "acknowledge", "ack")
    severity: Annotated[Words, Meta(description="Paths of the severity.")] = ("severity", "level", "priority")
    severities: Annotated[dict[str, str], Meta(description="Words of severity and ours: critical, error, warning, info.")] = {}
    title: Annotated[Words, Meta(description="Paths of the title.")] = ("title", "name", "summary", "subject", "alertname", "message")
    text: Annotated[Words, Meta(description="Paths of the text.")] = ("text", "description", "body", "details", "message")
    link: Annotated[Words, Meta(description="Paths of a link.")] = ("link", "url")
    started_at: Annotated[Words, Meta(description="Paths of the start: ISO 8601 with zone, or Unix seconds or milliseconds.")] = (
        "started_at", "startsAt", "start_time", "starts_at",
    )  # fmt: skip
    ended_at: Annotated[Words, Meta(description="Paths of the end.")] = ("ended_at", "endsAt", "end_time", "ends_at")
    observed_at: Annotated[Words, Meta(description="Paths of the time of this event.")] = ("observed_at", "timestamp", "time")
    labels: Annotated[str, Meta(description="Path of an object whose members become labels.")] = "labels"


class ParseContext(msgspec.Struct, frozen=True, kw_only=True):
    """The source's name, when the bytes came in, the mapping of a generic source, the reverse-path of a mail."""

    source: str = ""
    received_at: datetime
    mapping: GenericMapping | None = None
    return_path: str | None = None
