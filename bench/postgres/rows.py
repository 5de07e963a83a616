"""Whole way on PostgreSQL: one and two replicas on one database with the share of each, and an item's cost at two sizes of the desk."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.figure import Figure, Unavailable
from bench.load.rate import rate
from bench.load.smtp import smtp_client
from bench.postgres.seed import handle_seconds, seeded
from bench.processor import used_seconds
from bench.row import Row
from bench.whole.rows import BODY_BYTES, WHOLE
from prove.daemon import Daemon
from prove.postgres import PostgresServer, why_not
from prove.relay import RecordingRelay

MAILS, CONNECTIONS = 1_000, 20
SMALL, LARGE, HANDLED = 10_000, 1_000_000, 400
WAIT_SECONDS = 300.0
DATABASE = "bench"
SETTINGS = '\n[store.postgres]\nurl = "{url}"\n'


@contextmanager
def server() -> Iterator[PostgresServer]:
    """A durable server on the disk of everything else."""
    if why := why_not():
        raise Unavailable(why)
    with tempfile.TemporaryDirectory(prefix="triaged-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        found = PostgresServer(Path(name) / "server", durable=True)
        try:
            yield found
        finally:
            found.stop()


def replicas(count: int) -> Mapping[str, float]:
    """Mails to all replicas by turns, until each has its ticket; then the share of the processor time by who used it."""
    relay, daemons = RecordingRelay(), []
    with server() as database, tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder:
        database.make_database(DATABASE)
        try:
            for index in range(count):
                (Path(folder) / str(index)).mkdir()
                daemons.append(Daemon(Path(folder) / str(index), relay.port, more=SETTINGS.format(url=database.url(DATABASE))))
                daemons[-1].start()
                daemons[-1].wait_ready()
            before = used_by(database, daemons)
            body = b"Please help, it is broken.\r\n" * (BODY_BYTES // 28)
            share = MAILS // CONNECTIONS
            began = time.perf_counter()
            rate([smtp_client(daemons[each % count].smtp_port, share, body, f"p{each}-") for each in range(CONNECTIONS)], MAILS)
            wait_for_tickets(database, MAILS)
            seconds = time.perf_counter() - began
            used = {name: now - before[name] for name, now in used_by(database, daemons).items()}
        finally:
            for each in daemons:
                each.kill()
            relay.close()
    return {"rate": MAILS / seconds, "database": 100 * used["database"] / seconds, "triaged": 100 * used["triaged"] / count / seconds}


def used_by(database: PostgresServer, daemons: list[Daemon]) -> dict[str, float]:
    """Processor seconds of the server and of all daemons."""
    assert database.process is not None
    ours = [each.process.pid for each in daemons if each.process is not None]
    return {"database": used_seconds(database.process.pid), "triaged": sum(used_seconds(each) for each in ours)}


def wait_for_tickets(database: PostgresServer, count: int) -> None:
    """Until every mail has its ticket."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if database.sql("SELECT count(*) FROM ticket", database=DATABASE)[0][0] >= count:
            return
        time.sleep(0.05)
    raise TimeoutError("the replicas did not make all tickets")


def item_cost(tickets: int) -> float:
    """Microseconds of one new mail through `handle` and its commit, on a desk that has so many tickets already."""
    with server() as database, seeded(database, tickets) as store:
        return 1e6 * handle_seconds(store, HANDLED) / HANDLED


ONE, TWO = partial(replicas, 1), partial(replicas, 2)


def _figures(count: int, measure: partial[Mapping[str, float]]) -> dict[str, Figure]:
    name = f"PostgreSQL, {count} replica{'s' if count > 1 else ''}"
    return {
        "rate": Figure(
            name=f"{name}: SMTP to committed ticket, 2 KiB, 20 connections", unit="tickets/s", measure=measure, part="rate", rounds=1
        ),
        "triaged": Figure(name=f"{name}: processor of each triaged", unit="% of a core", measure=measure, part="triaged", rounds=1),
        "database": Figure(name=f"{name}: processor of the database", unit="% of a core", measure=measure, part="database", rounds=1),
    }


_ONE, _TWO = _figures(1, ONE), _figures(2, TWO)
AT_SMALL = Figure(name="PostgreSQL: a mail through handle, 10 thousand tickets", unit="us", measure=partial(item_cost, SMALL), rounds=1)
AT_LARGE = Figure(name="PostgreSQL: a mail through handle, 1 million tickets", unit="us", measure=partial(item_cost, LARGE), rounds=1)
ROWS = (
    Row(figure=_ONE["rate"], against=WHOLE),
    Row(figure=_ONE["triaged"]),
    Row(figure=_ONE["database"]),
    Row(figure=_TWO["rate"], against=_ONE["rate"]),
    Row(figure=_TWO["triaged"]),
    Row(figure=_TWO["database"]),
)
MILLION_ROWS = (Row(figure=AT_LARGE, against=AT_SMALL, at_most=1.3),)
