"""Any JSON, read by a mapping from configuration; the default mapping takes the common words.

A value outside the mapped words is not guessed: the event stays open and carries `unmapped_status`.
"""

from typing import Any

import msgspec

from intake.context import GenericMapping, ParseContext
from intake.payload import (
    MAX_ITEMS,
    MAX_KEY_CHARACTERS,
    MAX_TEXT_CHARACTERS,
    MAX_TITLE_CHARACTERS,
    UNREADABLE,
    clean,
    clean_labels,
    instant,
    not_json,
    refused,
    severity_of,
)
from itsm.signal import EventStatus, Malformed, MonitoringEvent, ResolveScope

RETRY_STATUS = 429
DEFAULT_MAPPING = GenericMapping()
_decoder = msgspec.json.Decoder(Any)


def parse(raw: bytes, context: ParseContext) -> tuple[MonitoringEvent | Malformed, ...]:
    """One event an item; an item without title and key is Malformed."""
    problem = refused(raw)
    if problem:
        return (problem,)
    mapping = context.mapping or DEFAULT_MAPPING
    try:
        body = _decoder.decode(raw)
    except UNREADABLE as error:
        return (not_json(error),)
    items = _at(body, mapping.items) if mapping.items else body
    if isinstance(items, dict):
        items = [items]
    if not isinstance(items, list) or not items:
        return (
            Malformed(
                reason=f"there is no event {f'at {mapping.items!r}' if mapping.items else 'in the body'}: an object or a list of objects is expected"
            ),
        )
    found = [_event(each, mapping, context) for each in items[:MAX_ITEMS]]
    if len(items) > MAX_ITEMS:
        found.append(Malformed(reason=f"the body has {len(items)} events; the first {MAX_ITEMS} were read"))
    return tuple(found)


def _at(value: Any, path: str) -> Any:
    """What stands at a dotted path, None when nothing does."""
    for name in path.split("."):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def _first(item: Any, paths: tuple[str, ...]) -> Any:
    for path in paths:
        found = _at(item, path)
        if found is not None and found != "":
            return found
    return None


def _word(item: Any, paths: tuple[str, ...], limit: int) -> str:
    found = _first(item, paths)
    if found is None or isinstance(found, (dict, list)):
        return ""
    return clean(str(found), limit)


def _event(item: Any, mapping: GenericMapping, context: ParseContext) -> MonitoringEvent | Malformed:
    title = " ".join(_word(item, mapping.title, MAX_TEXT_CHARACTERS).split())[:MAX_TITLE_CHARACTERS]
    key = _word(item, mapping.series_key, MAX_KEY_CHARACTERS) or title
    if not isinstance(item, dict) or not key:
        return Malformed(reason=f"an event has neither a title ({', '.join(mapping.title)}) nor a key ({', '.join(mapping.series_key)})")
    status_raw = _word(item, mapping.status, 100)
    status, flags = _status(status_raw, mapping)
    severity_raw = _word(item, mapping.severity, 100) or None
    severity, unmapped = severity_of(severity_raw, mapping.severities)
    started_at, ended_at = (instant(_first(item, paths)) for paths in (mapping.started_at, mapping.ended_at))
    observed_at = instant(_first(item, mapping.observed_at))
    firing = status is EventStatus.FIRING
    labels = _at(item, mapping.labels)
    text, link = _word(item, mapping.text, MAX_TEXT_CHARACTERS), _word(item, mapping.link, 2_000)
    return MonitoringEvent(
        source=context.source,
        series_key=key,
        status=status,
        status_raw=status_raw,
        severity=severity,
        severity_raw=severity_raw,
        title=title or key[:MAX_TITLE_CHARACTERS],
        text="" if text == title else text,
        links=(link,) if link else (),
        started_at=started_at,
        ended_at=None if firing else ended_at,
        observed_at=observed_at,
        valid_until=ended_at if firing and ended_at and started_at and ended_at > started_at else None,
        scope=ResolveScope.SERIES,
        labels=clean_labels(labels) if isinstance(labels, dict) else {},
        flags=(*flags, *unmapped),
    )


def _status(word: str, mapping: GenericMapping) -> tuple[EventStatus, tuple[str, ...]]:
    key = word.strip().casefold()
    for status, words in (
        (EventStatus.FIRING, mapping.firing),
        (EventStatus.RESOLVED, mapping.resolved),
        (EventStatus.ACKNOWLEDGED, mapping.acknowledged),
    ):
        if key in {each.casefold() for each in words}:
            return status, ()
    return EventStatus.FIRING, ("unmapped_status",) if key else ()
