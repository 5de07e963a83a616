"""The whole daemon: mails by SMTP until every one has its ticket and its rows in the outbox."""

import sqlite3
import tempfile
import time
from pathlib import Path

from bench.figure import Figure
from bench.load.rate import rate
from bench.load.smtp import smtp_client
from bench.row import Row
from bench.smtp.rows import STOCK
from prove.daemon import Daemon
from prove.relay import RecordingRelay

CONNECTIONS = 20
MAILS, BODY_BYTES = 1_500, 2_048
WAIT_SECONDS = 120.0


def tickets_a_second() -> float:
    """Mails of 2 KiB on 20 connections; the clock stops at the last committed ticket."""
    relay = RecordingRelay()
    with tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder:
        daemon = Daemon(Path(folder), relay.port)
        daemon.start()
        try:
            daemon.wait_ready()
            body = b"Please help, it is broken.\r\n" * (BODY_BYTES // 28)
            began = time.perf_counter()
            rate([smtp_client(daemon.smtp_port, MAILS // CONNECTIONS, body, f"w{index}-") for index in range(CONNECTIONS)], MAILS)
            wait_for_tickets(Path(folder) / "var" / "triaged.sqlite", MAILS)
            return MAILS / (time.perf_counter() - began)
        finally:
            daemon.kill()
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


WHOLE = Figure(name="whole way: SMTP to committed ticket, 2 KiB, 20 connections", unit="tickets/s", measure=tickets_a_second)
ROWS = (Row(figure=WHOLE, against=STOCK, at_least=0.6),)
