"""The whole daemon: mails by SMTP until every one has its ticket and its rows in the outbox."""

import sqlite3
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.figure import Figure
from bench.load.rate import rate
from bench.load.smtp import smtp_client
from bench.process import server
from bench.row import Row
from prove.daemon import Daemon
from prove.ports import free_ports
from prove.relay import RecordingRelay

CONNECTIONS = 20
MAILS, BODY_BYTES = 1_500, 2_048
BODY = b"Please help, it is broken.\r\n" * (BODY_BYTES // 28)
WAIT_SECONDS = 120.0


def discarded_a_second() -> float:
    """The same mails, read and thrown away by aiosmtpd as it comes."""
    with server("stock") as port:
        return rate([smtp_client(port, MAILS // CONNECTIONS, BODY, f"w{index}-") for index in range(CONNECTIONS)], MAILS)


def tickets_a_second(*, sending: bool) -> float:
    """Mails of 2 KiB on 20 connections; the clock stops at the last committed ticket.

    With `sending` a relay takes the notices meanwhile: it runs in this process and costs as much again. Without it the relay is
    away, so the notices wait in the outbox: the way ends there.
    """
    relay = RecordingRelay() if sending else None
    with tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder:
        daemon = Daemon(Path(folder), relay.port if relay else free_ports(1)[0])
        daemon.start()
        try:
            daemon.wait_ready()
            began = time.perf_counter()
            rate([smtp_client(daemon.smtp_port, MAILS // CONNECTIONS, BODY, f"w{index}-") for index in range(CONNECTIONS)], MAILS)
            wait_for_tickets(Path(folder) / "var" / "triaged.sqlite", MAILS)
            return MAILS / (time.perf_counter() - began)
        finally:
            daemon.kill()
            if relay:
                relay.close()


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


STOCK = Figure(name="stock aiosmtpd on uvloop, discard, 2 KiB, 20 connections", unit="mails/s", measure=discarded_a_second)
WHOLE = Figure(
    name="whole way: SMTP to ticket and outbox row, 2 KiB, 20 connections",
    unit="tickets/s",
    measure=partial(tickets_a_second, sending=False),
)
SENDING = Figure(name="the same while a relay takes the notices", unit="tickets/s", measure=partial(tickets_a_second, sending=True))
ROWS = (Row(figure=STOCK), Row(figure=WHOLE, against=STOCK, at_least=0.6), Row(figure=SENDING, against=STOCK))
