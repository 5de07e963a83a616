"""Alertmanager API v2, `POST /api/v2/alerts` (api/v2/openapi.yaml, postableAlerts): what Prometheus itself sends.

Prometheus has merged nothing: a resolve speaks of the instance with its startsAt. While an alert fires its endsAt lies in the
future and each re-send moves it on; one that stops being sent ends there.
"""

import msgspec

from intake.context import ParseContext
from intake.payload import (
    MAX_ITEMS,
    MAX_TEXT_CHARACTERS,
    MAX_TITLE_CHARACTERS,
    UNREADABLE,
    clean,
    clean_labels,
    instant,
    key_of_labels,
    not_json,
    refused,
    severity_of,
)
from itsm.signal import EventStatus, Malformed, MonitoringEvent, ResolveScope

RETRY_STATUS = 503


class Alert(msgspec.Struct, frozen=True):
    """One postable alert."""

    labels: dict[str, str]
    annotations: dict[str, str] = {}
    startsAt: str = ""
    endsAt: str = ""
    generatorURL: str = ""


_typed = msgspec.json.Decoder(list[Alert])
_many = msgspec.json.Decoder(list[msgspec.Raw])
_alert = msgspec.json.Decoder(Alert)


def parse(raw: bytes, context: ParseContext) -> tuple[MonitoringEvent | Malformed, ...]:
    """One event an alert; the body is a list, and a lone object counts as a list of one."""
    problem = refused(raw)
    if problem:
        return (problem,)
    try:
        alerts = [msgspec.Raw(raw)] if raw.lstrip()[:1] == b"{" else _many.decode(raw)
    except UNREADABLE as error:
        return (not_json(error),)
    if not alerts:
        return (Malformed(reason="the list of alerts is empty"),)
    found: list[MonitoringEvent | Malformed] = [_event(each, context) for each in alerts[:MAX_ITEMS]]
    if len(alerts) > MAX_ITEMS:
        found.append(Malformed(reason=f"the body has {len(alerts)} alerts; the first {MAX_ITEMS} were read"))
    return tuple(found)


def deliveries(raw: bytes) -> tuple[bytes, ...] | None:
    """The octets of each alert, in the order of `parse`; None when `parse` must look."""
    if refused(raw):
        return None
    try:
        alerts = _many.decode(raw)
    except msgspec.MsgspecError:
        return None
    return tuple(bytes(each) for each in alerts) if 0 < len(alerts) <= MAX_ITEMS else None


def plain(raw: bytes) -> int | None:
    """How many alerts `parse` finds, where a quick look tells that none is broken; None where `parse` must look."""
    if refused(raw):
        return None
    try:
        alerts = _typed.decode(raw)
    except msgspec.MsgspecError:
        return None
    return len(alerts) if 0 < len(alerts) <= MAX_ITEMS and all(any(each.labels.values()) for each in alerts) else None


def _event(raw: msgspec.Raw, context: ParseContext) -> MonitoringEvent | Malformed:
    try:
        alert = _alert.decode(raw)
    except UNREADABLE as error:
        return Malformed(reason="an alert of the list is broken", detail=str(error)[:500])
    if not any(alert.labels.values()):
        return Malformed(reason="an alert of the list has no labels")
    labels = clean_labels(alert.labels)
    severity, flags = severity_of(labels.get("severity"))
    ended_at = instant(alert.endsAt)
    over = ended_at is not None and ended_at <= context.received_at
    started_at = instant(alert.startsAt) or (ended_at if over else None)
    title = alert.annotations.get("summary") or labels.get("alertname") or "Alert"
    return MonitoringEvent(
        source=context.source,
        series_key=key_of_labels(alert.labels.items()),
        status=EventStatus.RESOLVED if over else EventStatus.FIRING,
        status_raw="",
        severity=severity,
        severity_raw=labels.get("severity"),
        title=clean(" ".join(title.split()), MAX_TITLE_CHARACTERS),
        text=clean(
            "\n".join(f"{name}: {value}" for name, value in sorted(alert.annotations.items()) if name != "summary"), MAX_TEXT_CHARACTERS
        ),
        links=(clean(alert.generatorURL, 2_000),) if alert.generatorURL else (),
        started_at=started_at,
        ended_at=ended_at if over else None,
        observed_at=ended_at if over else context.received_at,
        valid_until=None if over else ended_at,
        scope=ResolveScope.INSTANCE,
        labels=labels,
        flags=flags,
    )
