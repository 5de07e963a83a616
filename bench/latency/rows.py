"""From the 250 to the decision, while mails come at half the rate that the whole way reaches in the same round."""

import asyncio
import sqlite3
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.figure import Figure
from bench.load.rate import rate
from bench.load.smtp import smtp_client
from bench.row import Row
from bench.whole.rows import BODY, CONNECTIONS, WARM, send, wait_for_tickets, whole
from prove.daemon import Daemon
from prove.ports import free_ports

MAILS = 1_500


async def _client(port: int, count: int, name: str, every_seconds: float, first_seconds: float) -> None:
    """One mail at a time, at fixed instants; a mail that is late does not move the next."""
    loop = asyncio.get_running_loop()
    begin = loop.time() + first_seconds
    for number in range(count):
        await asyncio.sleep(max(0.0, begin + number * every_seconds - loop.time()))
        await smtp_client(port, 1, BODY, f"{name}-{number}-")


def milliseconds() -> Mapping[str, float]:
    """Percentiles of receipt to the transaction that decides; its commit, a millisecond or so, is not in it."""
    mails_a_second = whole(sending=False)["rate"] / 2
    with tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder:
        daemon = Daemon(Path(folder), *free_ports(1))
        daemon.start()
        try:
            daemon.wait_ready()
            database = Path(folder) / "var" / "triaged.sqlite"
            send(daemon.smtp_port, WARM, "warm")
            wait_for_tickets(database, WARM)
            every, share = CONNECTIONS / mails_a_second, MAILS // CONNECTIONS
            rate([_client(daemon.smtp_port, share, f"l{index}", every, every * index / CONNECTIONS) for index in range(CONNECTIONS)], MAILS)
            wait_for_tickets(database, WARM + share * CONNECTIONS)
            return {"rate": mails_a_second, **_percentiles(database)}
        finally:
            daemon.kill()


def _percentiles(database: Path) -> dict[str, float]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
    rows = connection.execute("SELECT done_at, received_at FROM inbox ORDER BY id LIMIT -1 OFFSET ?", (WARM,))
    waits = sorted((done - received) / 1000 for done, received in rows)
    connection.close()
    return {name: waits[min(len(waits) - 1, int(len(waits) * share))] for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))}


def _figure(part: str, unit: str = "ms") -> Figure:
    name = "half of what the whole way reaches" if part == "rate" else f"accept to ticket at that load, {part}"
    return Figure(name=name, unit=unit, measure=milliseconds, part=part)


ROWS = (
    Row(figure=_figure("rate", "mails/s")),
    Row(figure=_figure("p50")),
    Row(figure=_figure("p99"), value_at_most=250.0),
    Row(figure=_figure("p99.9")),
)
