"""Alerts beside Debian's Alertmanager: answered after the commit, and triaged to the last one (drain included)."""

import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.alerts.alertmanager import alertmanager
from bench.alerts.bodies import alerts, for_alertmanager, for_us
from bench.figure import Figure
from bench.load.http import http_client, requests
from bench.load.rate import rate
from bench.process import server
from bench.row import Row
from prove.daemon import Daemon
from prove.ports import free_ports

CONNECTIONS = 32  # both sides alike, as when the prototypes were measured: what shares a commit depends on how many wait for one
SINGLES, HUNDREDS = 3_200, 320  # bodies
WARM = 320  # bodies before the clock starts, so that nobody's first steps count
SERIES, TIMES = 8_000, 12  # alerts that are new, and how often each is sent again
OUR_PATH, ITS_PATH = "/hooks/alertmanager", "/api/v2/alerts"
WAIT_SECONDS = 300.0

Make = Callable[[Sequence[dict[str, Any]]], bytes]


def bodies(make: Make, name: str, size: int, count: int) -> list[bytes]:
    """So many bodies of so many alerts, each alert once."""
    return [make(alerts(f"{name}{number}", size)) for number in range(count)]


def send(port: int, path: str, many: Sequence[bytes]) -> float:
    """Bodies a second, dealt out to the connections."""
    wanted = requests(path, many)
    return rate([http_client(port, wanted[at::CONNECTIONS]) for at in range(CONNECTIONS)], len(wanted))


def of_alertmanager() -> Mapping[str, float]:
    """Alerts a second that it answers; it keeps them in memory."""
    with alertmanager() as port:
        send(port, ITS_PATH, bodies(for_alertmanager, "w", 1, WARM))
        single = send(port, ITS_PATH, bodies(for_alertmanager, "s", 1, SINGLES))
        hundred = 100 * send(port, ITS_PATH, bodies(for_alertmanager, "h", 100, HUNDREDS))
    with alertmanager() as port:
        some = bodies(for_alertmanager, "r", 100, SERIES // 100)
        send(port, ITS_PATH, some)
        return {"single": single, "hundred": hundred, "again": 100 * send(port, ITS_PATH, some * TIMES)}


def accepted() -> Mapping[str, float]:
    """Alerts a second that our door answers, each after its commit; nothing triages them meanwhile."""
    with server("http") as port:
        send(port, OUR_PATH, bodies(for_us, "w", 1, WARM))
        single = send(port, OUR_PATH, bodies(for_us, "s", 1, SINGLES))
    with server("http") as port:
        return {"single": single, "hundred": 100 * send(port, OUR_PATH, bodies(for_us, "h", 100, HUNDREDS))}


def triaged() -> Mapping[str, float]:
    """Alerts a second by the whole daemon until each has its outcome: new ones, each an incident; then the same again, unchanged."""
    with tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder:
        daemon = Daemon(Path(folder), *free_ports(1))  # nothing listens there: the relay is away, sending is no part of this
        daemon.start()
        try:
            daemon.wait_ready()
            database, some = Path(folder) / "var" / "triaged.sqlite", bodies(for_us, "n", 100, SERIES // 100)
            return {"new": 100 * _until_done(daemon, database, some), "again": 100 * _until_done(daemon, database, some * TIMES)}
        finally:
            daemon.kill()


def _until_done(daemon: Daemon, database: Path, some: Sequence[bytes]) -> float:
    began = time.perf_counter()
    send(daemon.http_port, OUR_PATH, some)
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
        (pending,) = connection.execute("SELECT count(*) FROM inbox WHERE state = 'pending'").fetchone()
        connection.close()
        if not pending:
            return len(some) / (time.perf_counter() - began)
        time.sleep(0.02)
    raise TimeoutError("the daemon did not triage all alerts")


def _figure(name: str, measure: Callable[[], Mapping[str, float]], part: str) -> Figure:
    return Figure(name=name, unit="alerts/s", measure=measure, part=part)


ITS_SINGLE = _figure("Alertmanager, bodies of 1", of_alertmanager, "single")
ITS_HUNDRED = _figure("Alertmanager, bodies of 100, new", of_alertmanager, "hundred")
ITS_AGAIN = _figure("Alertmanager, bodies of 100, sent again", of_alertmanager, "again")
ROWS = (
    Row(figure=_figure("HTTP accept, durable, bodies of 1", accepted, "single"), against=ITS_SINGLE, at_least=0.6),
    Row(figure=_figure("HTTP accept, durable, bodies of 100", accepted, "hundred"), against=ITS_HUNDRED, at_least=2.0),
    Row(figure=_figure("triaged: new alerts, an incident each, drain included", triaged, "new"), against=ITS_HUNDRED, at_least=0.25),
    Row(figure=_figure("triaged: unchanged re-sends, drain included", triaged, "again"), against=ITS_AGAIN, at_least=3.0),
)
