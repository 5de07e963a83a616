"""`python3 dev bench [--only WORD] [--json]`: each row a figure, what it is measured against in this run, and the ratio."""

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.load import http_client, rate, smtp_client
from prove.daemon import Daemon
from prove.relay import RecordingRelay

ROUNDS = 3
CONNECTIONS = 20
MAILS, BODY_BYTES = 2_000, 4_096
WHOLE_MAILS, WHOLE_BODY_BYTES = 1_500, 2_048


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table; `ratio` is value to against, `goal` what the ratio should reach (0: none is set)."""

    name: str
    value: float
    unit: str
    against: str
    ratio: float
    goal: float = 0.0


def median(values: list[float]) -> float:
    """The middle one."""
    return sorted(values)[len(values) // 2]


@contextmanager
def server(kind: str) -> Iterator[int]:
    """A server in a process of its own, and the port it told."""
    folder = tempfile.mkdtemp(prefix="triaged-bench-")
    process = subprocess.Popen([sys.executable, "-m", "bench.servers", kind, folder], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = next(line for line in process.stdout if line.strip().isdecimal())
        yield int(port)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def smtp_rate(kind: str) -> float:
    """Mails a second on 20 connections."""
    body = b"x" * 70 + (b"\r\n" + b"y" * 70) * ((BODY_BYTES - 70) // 72)
    with server(kind) as port:
        share = MAILS // CONNECTIONS
        return rate([smtp_client(port, share, body, f"c{index}-") for index in range(CONNECTIONS)], MAILS)


def alerts(size: int, prefix: str) -> Callable[[int], bytes]:
    """Bodies of `size` alerts that nobody sent before."""

    def make(index: int) -> bytes:
        found = [
            {"status": "firing", "labels": {"alertname": "Bench", "instance": f"{prefix}-{index}-{one}", "severity": "warning"},
             "annotations": {"summary": "it fires"}, "startsAt": "2026-11-24T10:00:00Z", "endsAt": "0001-01-01T00:00:00Z"}
            for one in range(size)
        ]  # fmt: skip
        return json.dumps({"version": "4", "status": "firing", "alerts": found}).encode()

    return make


def http_rate(size: int) -> float:
    """Alerts a second on 20 connections, each answered after its commit."""
    requests = 3_000 if size == 1 else 400
    with server("http") as port:
        share = requests // CONNECTIONS
        return rate([http_client(port, share, alerts(size, f"c{index}")) for index in range(CONNECTIONS)], requests * size)


def fsync_rate() -> float:
    """Appends of 4 KiB with fsync a second: what one commit at a time could reach."""
    with tempfile.TemporaryFile(dir=os.environ.get("TMPDIR")) as file:
        began, count = time.perf_counter(), 500
        for _ in range(count):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        return count / (time.perf_counter() - began)


def whole_way() -> float:
    """Mails a second from the first SMTP command to the last committed ticket and outbox row, by the whole daemon."""
    relay = RecordingRelay()
    with tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder:
        daemon = Daemon(Path(folder), relay.port)
        daemon.start()
        try:
            daemon.wait_ready()
            body = b"Please help, it is broken.\r\n" * (WHOLE_BODY_BYTES // 28)
            share = WHOLE_MAILS // CONNECTIONS
            began = time.perf_counter()
            rate([smtp_client(daemon.smtp_port, share, body, f"w{index}-") for index in range(CONNECTIONS)], WHOLE_MAILS)
            wait_for_tickets(Path(folder) / "var" / "triaged.sqlite", share * CONNECTIONS)
            return share * CONNECTIONS / (time.perf_counter() - began)
        finally:
            daemon.kill()
            relay.close()


def wait_for_tickets(database: Path, count: int) -> None:
    """Until every mail has its ticket, and so its rows in the outbox: one transaction writes both."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
        found = connection.execute("SELECT count(*) FROM ticket").fetchone()[0]
        connection.close()
        if found >= count:
            return
        time.sleep(0.02)
    raise TimeoutError("the daemon did not make all tickets")


def rows(only: str) -> Iterator[Row]:
    """Measure; what is compared is measured in turn, round by round, and medians are divided."""
    if only in "smtp accept whole":
        pairs = [(smtp_rate("stock"), smtp_rate("smtp"), fsync_rate()) for _ in range(ROUNDS)]
        stock, ours, syncs = (median([pair[index] for pair in pairs]) for index in range(3))
        yield Row(name="fsync of 4 KiB, one by one", value=syncs, unit="/s", against="itself", ratio=1.0)
        yield Row(name="stock aiosmtpd, discard, 4 KiB, 20 connections", value=stock, unit="mails/s", against="itself", ratio=1.0)
        yield Row(
            name="SMTP accept, durable, all limits, 4 KiB, 20 connections",
            value=ours,
            unit="mails/s",
            against="stock aiosmtpd, discard",
            ratio=ours / stock,
            goal=1.2,
        )
        yield Row(name="the same", value=ours, unit="mails/s", against="fsync one by one", ratio=ours / syncs)
        if only in "whole way":
            whole = median([whole_way() for _ in range(ROUNDS)])
            yield Row(
                name="whole way: SMTP to committed ticket, 2 KiB",
                value=whole,
                unit="tickets/s",
                against="stock aiosmtpd, discard",
                ratio=whole / stock,
                goal=0.6,
            )
    if only in "http accept alerts":
        pairs = [(fsync_rate(), http_rate(1), http_rate(100)) for _ in range(ROUNDS)]
        syncs, single, hundred = (median([pair[index] for pair in pairs]) for index in range(3))
        yield Row(
            name="HTTP accept, durable, bodies of 1 alert, 20 connections",
            value=single,
            unit="alerts/s",
            against="fsync one by one",
            ratio=single / syncs,
        )
        yield Row(
            name="HTTP accept, durable, bodies of 100 alerts, 20 connections",
            value=hundred,
            unit="alerts/s",
            against="fsync one by one",
            ratio=hundred / syncs,
        )


def main() -> int:
    """Print the table, or its rows as JSON."""
    parser = argparse.ArgumentParser(prog="dev bench", description=__doc__)
    parser.add_argument("--only", default="", help="rows that have to do with this word: smtp, http, whole")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = list(rows(asked.only))
    if asked.json:
        print(json.dumps([msgspec.to_builtins(row) for row in found], indent=1))
        return 0
    print(f"{'':62}{'value':>10} {'unit':10}{'ratio':>7}{'goal':>6}  against")
    for row in found:
        goal = f"{row.goal:.1f}" if row.goal else "-"
        print(f"{row.name:62}{row.value:>10,.0f} {row.unit:10}{row.ratio:>7.2f}{goal:>6}  {row.against}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
