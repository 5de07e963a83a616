"""Alertmanager webhook, payload version 4 (prometheus.io/docs/alerting/latest/configuration, `webhook_config`).

The status is each alert's own, never the group's. Its sender has merged deliveries already, so a resolve speaks of the
whole series. A resolved alert that an inhibition swallowed is never sent: give the source `expire_after_seconds`.
"""

from datetime import datetime

import msgspec

from intake.context import ParseContext
from intake.payload import (
    MAX_ITEMS,
    MAX_KEY_CHARACTERS,
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

RETRY_STATUS = 503  # Alertmanager retries 5xx; it drops a notification answered 429 before 0.28
STATUS = {"firing": EventStatus.FIRING, "resolved": EventStatus.RESOLVED}


class Alert(msgspec.Struct, frozen=True):
    """One alert of the body; `fingerprint` is missing before Alertmanager 0.15."""

    labels: dict[str, str]
    status: str = "firing"
    annotations: dict[str, str] = {}
    startsAt: str = ""
    endsAt: str = ""
    generatorURL: str = ""
    fingerprint: str = ""


class Body(msgspec.Struct, frozen=True):
    """The body, as far as we read it; alerts are decoded one by one so that a bad one stands alone."""

    alerts: list[msgspec.Raw]
    externalURL: str = ""


class Typed(msgspec.Struct, frozen=True):
    """The body with every alert decoded at once: quicker, and of no use when one is broken."""

    alerts: list[Alert]
    externalURL: str = ""


_whole = msgspec.json.Decoder(Body)
_typed = msgspec.json.Decoder(Typed)
_alert = msgspec.json.Decoder(Alert)


def parse(raw: bytes, context: ParseContext) -> tuple[MonitoringEvent | Malformed, ...]:
    """One event an alert; what is broken gives Malformed and the others are kept."""
    problem = refused(raw)
    if problem:
        return (problem,)
    try:
        body = _whole.decode(raw)
    except UNREADABLE as error:
        return (not_json(error),)
    if not body.alerts:
        return (Malformed(reason="the body has no alerts"),)
    found: list[MonitoringEvent | Malformed] = [_event(each, body.externalURL, context) for each in body.alerts[:MAX_ITEMS]]
    if len(body.alerts) > MAX_ITEMS:
        found.append(Malformed(reason=f"the body has {len(body.alerts)} alerts; the first {MAX_ITEMS} were read"))
    return tuple(found)


def deliveries(raw: bytes) -> tuple[bytes, ...] | None:
    """The octets of each alert with what else of the body they are read with; None when `parse` must look. In the order of `parse`."""
    if refused(raw):
        return None
    try:
        body = _whole.decode(raw)
    except msgspec.MsgspecError:
        return None
    if not 0 < len(body.alerts) <= MAX_ITEMS:
        return None
    outside = body.externalURL.encode("utf-8", "surrogatepass") + b"\0"
    return tuple(outside + bytes(each) for each in body.alerts)


def plain(raw: bytes) -> int | None:
    """How many alerts `parse` finds, where a quick look tells that none is broken; None where `parse` must look."""
    if refused(raw):
        return None
    try:
        alerts = _typed.decode(raw).alerts
    except msgspec.MsgspecError:
        return None
    return len(alerts) if 0 < len(alerts) <= MAX_ITEMS and all(each.labels for each in alerts) else None


def _event(raw: msgspec.Raw, external_url: str, context: ParseContext) -> MonitoringEvent | Malformed:
    try:
        alert = _alert.decode(raw)
    except UNREADABLE as error:
        return Malformed(reason="an alert of the body is broken", detail=str(error)[:500])
    if not alert.labels:
        return Malformed(reason="an alert of the body has no labels")
    labels = clean_labels(alert.labels)
    severity, flags = severity_of(labels.get("severity"))
    status = STATUS.get(alert.status)
    if status is None:
        flags = (*flags, "unmapped_status")
    started_at, ended_at = instant(alert.startsAt), instant(alert.endsAt)
    if labels.get("alertname") in ("DatasourceNoData", "DatasourceError"):
        flags = (*flags, "nodata")
    return MonitoringEvent(
        source=context.source,
        series_key=clean(alert.fingerprint, MAX_KEY_CHARACTERS) or key_of_labels(alert.labels.items()),
        status=status or EventStatus.FIRING,
        status_raw=clean(alert.status, 100),
        severity=severity,
        severity_raw=labels.get("severity"),
        title=_title(alert, labels),
        text=clean(_text(alert), MAX_TEXT_CHARACTERS),
        links=tuple(clean(each, 2_000) for each in (alert.generatorURL, external_url) if each),
        started_at=started_at,
        ended_at=ended_at if status is EventStatus.RESOLVED else None,
        observed_at=ended_at if status is EventStatus.RESOLVED else context.received_at,
        valid_until=_valid_until(started_at, ended_at) if status is not EventStatus.RESOLVED else None,
        scope=ResolveScope.SERIES,
        labels=labels,
        flags=flags,
    )


def _valid_until(started_at: datetime | None, ended_at: datetime | None) -> datetime | None:
    """A firing alert whose end lies after its start says until when it speaks."""
    return ended_at if started_at and ended_at and ended_at > started_at else None


def _title(alert: Alert, labels: dict[str, str]) -> str:
    written = alert.annotations.get("summary") or alert.annotations.get("title") or labels.get("alertname") or "Alert"
    return clean(" ".join(written.split()), MAX_TITLE_CHARACTERS)


def _text(alert: Alert) -> str:
    parts = [alert.annotations.get(name, "") for name in ("description", "message")]
    others = [
        f"{name}: {value}"
        for name, value in sorted(alert.annotations.items())
        if name not in ("summary", "title", "description", "message")
    ]
    return "\n".join(each for each in (*parts, *others) if each)
