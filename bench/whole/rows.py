"""The whole daemon: mails by SMTP until every one has its ticket and its rows in the outbox."""

import sqlite3
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from bench.figure import Figure
from bench.load.rate import rate
from bench.load.smtp import smtp_client
from bench.process import server
from bench.processor import below_seconds
from bench.row import Row
from prove.daemon import Daemon
from prove.ports import free_ports
from prove.relay import RecordingRelay

CONNECTIONS = 20
MAILS, BODY_BYTES = 1_500, 2_048
WARM = 100  # mails before the clock starts, so that nobody's first steps count
BODY = b"Please help, it is broken.\r\n" * (BODY_BYTES // 28)
WAIT_SECONDS = 120.0


def discarded() -> Mapping[str, float]:
    """The same mails, read and thrown away by aiosmtpd as it comes."""
    with server("stock") as port:
        send(port, WARM, "warm")
        before = below_seconds()
        found = send(port, MAILS, "w")
        return {"rate": found, "processor": (below_seconds() - before) / MAILS * 1e6}


def whole(*, sending: bool) -> Mapping[str, float]:
    """Mails of 2 KiB on 20 connections; the clock stops at the last committed ticket.

    `processor` is the time of the daemon and its children for one mail: it counts on a machine that others use too.

    With `sending` a relay takes the notices meanwhile: it runs in this process and costs as much again. Without it the relay is
    away, so the notices wait in the outbox: the way ends there.
    """
    relay = RecordingRelay() if sending else None
    with tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder:
        daemon = Daemon(Path(folder), relay.port if relay else free_ports(1)[0])
        daemon.start()
        try:
            daemon.wait_ready()
            database = Path(folder) / "var" / "triaged.sqlite"
            send(daemon.smtp_port, WARM, "warm")
            wait_for_tickets(database, WARM)
            began, before = time.perf_counter(), below_seconds()
            send(daemon.smtp_port, MAILS, "w")
            wait_for_tickets(database, WARM + MAILS)
            return {"rate": MAILS / (time.perf_counter() - began), "processor": (below_seconds() - before) / MAILS * 1e6}
        finally:
            daemon.kill()
            if relay:
                relay.close()


def send(port: int, mails: int, name: str) -> float:
    """So many mails of 2 KiB, their senders named so; the mails a second that were answered 250."""
    return rate([smtp_client(port, mails // CONNECTIONS, BODY, f"{name}{index}-") for index in range(CONNECTIONS)], mails)


def wait_for_tickets(database: Path, count: int) -> None:
    """Until every mail has its ticket, and so its rows in the outbox: one transaction writes both."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
        found = connection.execute("SELECT count(*) FROM ticket").fetchone()[0]
        connection.close()
        if found >= count:
            return
        time.sleep(0.02)
    raise TimeoutError("the daemon did not make all tickets")


STOCK_WAY, WHOLE_WAY, SENDING_WAY = discarded, partial(whole, sending=False), partial(whole, sending=True)
STOCK = Figure(name="stock aiosmtpd on uvloop, discard, 2 KiB, 20 connections", unit="mails/s", measure=STOCK_WAY, part="rate")
WHOLE = Figure(name="whole way: SMTP to ticket and outbox row, 2 KiB, 20 connections", unit="tickets/s", measure=WHOLE_WAY, part="rate")
SENDING = Figure(name="the same while a relay takes the notices", unit="tickets/s", measure=SENDING_WAY, part="rate")
STOCK_PROCESSOR = Figure(name="processor time of a mail, stock aiosmtpd", unit="us", measure=STOCK_WAY, part="processor")
WHOLE_PROCESSOR = Figure(name="processor time of a mail, whole way, children in it", unit="us", measure=WHOLE_WAY, part="processor")
ROWS = (
    Row(figure=STOCK),
    Row(figure=WHOLE, against=STOCK, at_least=0.6),
    Row(figure=SENDING, against=STOCK),
    Row(figure=STOCK_PROCESSOR),
    Row(figure=WHOLE_PROCESSOR, against=STOCK_PROCESSOR),
)
