"""Our HTTP door, durable: alerts that nobody sent before."""

import json
from collections.abc import Callable
from functools import partial

from bench.figure import Figure
from bench.load.http import http_client
from bench.load.rate import rate
from bench.machine.rows import FSYNC
from bench.process import server
from bench.row import Row

CONNECTIONS = 20


def bodies(size: int, prefix: str) -> Callable[[int], bytes]:
    """Makes bodies of `size` alerts, each one new."""

    def make(index: int) -> bytes:
        found = [
            {"status": "firing", "labels": {"alertname": "Bench", "instance": f"{prefix}-{index}-{one}", "severity": "warning"},
             "annotations": {"summary": "it fires"}, "startsAt": "2026-11-24T10:00:00Z", "endsAt": "0001-01-01T00:00:00Z"}
            for one in range(size)
        ]  # fmt: skip
        return json.dumps({"version": "4", "status": "firing", "alerts": found}).encode()

    return make


def alerts_a_second(size: int, requests: int) -> float:
    """On 20 connections, each body answered after its commit."""
    with server("http") as port:
        share = requests // CONNECTIONS
        return rate([http_client(port, share, bodies(size, f"c{index}")) for index in range(CONNECTIONS)], requests * size)


SINGLE = Figure(name="HTTP accept, durable, bodies of 1 alert, 20 connections", unit="alerts/s", measure=partial(alerts_a_second, 1, 3_000))
HUNDRED = Figure(
    name="HTTP accept, durable, bodies of 100 alerts, 20 connections", unit="alerts/s", measure=partial(alerts_a_second, 100, 400)
)
ROWS = (Row(figure=SINGLE, against=FSYNC), Row(figure=HUNDRED, against=FSYNC))
