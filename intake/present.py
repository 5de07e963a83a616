"""What `triaged parse --json` prints: one JSON object a mail or payload (design 8)."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from itsm.address import Address
from itsm.signal import DeliveryReport, Malformed, MonitoringEvent, Parsed, UserMessage


def present(parsed: Sequence[Parsed]) -> dict[str, object]:
    """The object of one envelope: a mail, `{"events": [...]}`, or `{"error": ...}` when nothing of it could be read."""
    events = [each for each in parsed if isinstance(each, MonitoringEvent)]
    broken = [each for each in parsed if isinstance(each, Malformed)]
    if events:
        told: dict[str, object] = {"events": [_event(each) for each in events]}
        return told | {"malformed": [_reason(each) for each in broken]} if broken else told
    for each in parsed:
        if isinstance(each, DeliveryReport):
            recipients = [
                {name: getattr(one, name) for name in ("address", "action", "status", "diagnostic", "permanent", "reason")}
                for one in each.recipients
            ]
            return _mail(each.message) | {"delivery_report": {"recipients": recipients}}
        if isinstance(each, UserMessage):
            return _mail(each)
    return {"error": "; ".join(_reason(each) for each in broken)}


def _reason(malformed: Malformed) -> str:
    return f"{malformed.reason} ({malformed.detail})" if malformed.detail else malformed.reason


def _person(address: Address | None) -> dict[str, str] | None:
    return {"name": address.name, "address": address.address} if address else None


def _people(addresses: Sequence[Address]) -> list[dict[str, str] | None]:
    return [_person(each) for each in addresses]


def _time(instant: datetime | None) -> str | None:
    return instant.isoformat().replace("+00:00", "Z") if instant else None


def _mail(message: UserMessage) -> dict[str, object]:
    names = ("filename", "content_type", "size_bytes", "sha256", "inline", "content_id")
    return {
        "kind": message.kind.value,
        "message_id": message.message_id,
        "in_reply_to": list(message.in_reply_to),
        "references": list(message.references),
        "from": _person(message.sender),
        "to": _people(message.to),
        "cc": _people(message.cc),
        "reply_to": _people(message.reply_to),
        "subject": message.subject,
        "date": _time(message.date),
        "text": message.text,
        "reply_text": message.reply_text,
        "attachments": [{name: getattr(each, name) for name in names} for each in message.attachments],
        "delivery_report": None,
        "authentication": list(message.authentication),
        "unanswerable": message.unanswerable,
        "protection": message.protection.value,
        "forwarded": message.forwarded,
        "feedback_report": msgspec.structs.asdict(message.feedback) if message.feedback else None,
        "defects": list(message.defects),
    }


def _event(event: MonitoringEvent) -> dict[str, object]:
    return {
        "source": event.source,
        "series_key": event.series_key,
        "status": event.status.value,
        "status_raw": event.status_raw,
        "severity": event.severity.value,
        "severity_raw": event.severity_raw,
        "title": event.title,
        "text": event.text,
        "links": list(event.links),
        "started_at": _time(event.started_at),
        "ended_at": _time(event.ended_at),
        "observed_at": _time(event.observed_at),
        "labels": event.labels,
        "flags": list(event.flags),
    }
