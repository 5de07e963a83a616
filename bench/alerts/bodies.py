"""Bodies of alerts, the same alerts for both: Alertmanager's webhook for us, its own API for it."""

import json
from collections.abc import Sequence
from typing import Any

STARTS_AT = "2026-11-24T10:00:00Z"


def alerts(name: str, count: int) -> list[dict[str, Any]]:
    """So many alerts that no other name makes."""
    return [
        {
            "labels": {"alertname": "Bench", "instance": f"{name}-{number}", "severity": "warning"},
            "annotations": {"summary": "it fires"},
            "startsAt": STARTS_AT,
        }
        for number in range(count)
    ]


def for_us(some: Sequence[dict[str, Any]]) -> bytes:
    """A webhook of Alertmanager, payload version 4."""
    told = [each | {"status": "firing", "endsAt": "0001-01-01T00:00:00Z"} for each in some]
    return json.dumps({"version": "4", "status": "firing", "alerts": told}).encode()


def for_alertmanager(some: Sequence[dict[str, Any]]) -> bytes:
    """What Prometheus posts to it."""
    return json.dumps(some).encode()
