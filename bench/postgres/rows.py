"""Whole way on PostgreSQL: one and two replicas on one database with the share of each, and an item's cost at two sizes of the desk."""

import os
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
from bench.processor import busy_seconds, used_seconds
from bench.row import Row
from bench.whole.rows import BODY, WHOLE
from prove.daemon import Daemon
from prove.postgres import PostgresServer, why_not
from prove.relay import RecordingRelay

MAILS, CONNECTIONS, WARM = 1_000, 20, 200
SMALL, LARGE, HANDLED = 10_000, 1_000_000, 2_000
WAIT_SECONDS = 600.0
DATABASE = "bench"
SETTINGS = '\n[store.postgres]\nurl = "{url}"\n'
# As a server of this size is set up; what is measured are not its checkpoints.
SERVER = {"shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "1h"}


@contextmanager
def server() -> Iterator[PostgresServer]:
    """A durable server on the disk of everything else."""
    if why := why_not():
        raise Unavailable(why)
    with tempfile.TemporaryDirectory(prefix="triaged-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        found = PostgresServer(Path(name) / "server", durable=True, settings=SERVER)
        try:
            yield found
        finally:
            found.stop()


def replicas(count: int) -> Mapping[str, float]:
    """Mails to all replicas by turns, until each has its ticket: the rate, and how much of a core each process used meanwhile.

    The clients are this process, and the relay that takes the notices is too; `others` is what else the machine did. `mail` is the
    processor time of a mail in the server and all replicas: it counts on a machine that others use.
    """
    relay, daemons = RecordingRelay(), []
    with server() as database, tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder:
        database.make_database(DATABASE)
        try:
            for index in range(count):
                (Path(folder) / str(index)).mkdir()
                daemons.append(Daemon(Path(folder) / str(index), relay.port, more=SETTINGS.format(url=database.url(DATABASE))))
                daemons[-1].start()
                daemons[-1].wait_ready()
            send(daemons, WARM, "warm")
            wait_until(database, f"(SELECT count(*) FROM ticket) >= {WARM} AND NOT EXISTS (SELECT 1 FROM outbox WHERE state <> 'sent')")
            before, began = used_by(database, daemons), time.perf_counter()
            send(daemons, MAILS, "p")
            wait_until(database, f"(SELECT count(*) FROM ticket) >= {WARM + MAILS}")
            seconds = time.perf_counter() - began
            used = {name: now - before[name] for name, now in used_by(database, daemons).items()}
        finally:
            for each in daemons:
                each.kill()
            relay.close()
    found = {name: 100 * each / seconds for name, each in used.items()}
    served = used["database"] + sum(each for name, each in used.items() if name.startswith("replica"))
    return found | {"rate": MAILS / seconds, "mail": 1e6 * served / MAILS, "mail in the database": 1e6 * used["database"] / MAILS}


def send(daemons: list[Daemon], mails: int, name: str) -> None:
    """So many mails on all connections, which go to the daemons by turns."""
    share = mails // CONNECTIONS
    rate([smtp_client(daemons[each % len(daemons)].smtp_port, share, BODY, f"{name}{each}-") for each in range(CONNECTIONS)], mails)


def used_by(database: PostgresServer, daemons: list[Daemon]) -> dict[str, float]:
    """Processor seconds so far: of the server, of each replica with its children, of this process, and of everything else."""
    assert database.process is not None
    ours = {f"replica {number}": used_seconds(each.process.pid) for number, each in enumerate(daemons, 1) if each.process is not None}
    ours |= {"database": used_seconds(database.process.pid), "clients": time.process_time()}
    return ours | {"others": busy_seconds() - sum(ours.values())}


def wait_until(database: PostgresServer, holds: str) -> None:
    """Until a condition of SQL holds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if database.sql(f"SELECT {holds}", database=DATABASE)[0][0]:
            return
        time.sleep(0.05)
    raise TimeoutError(f"it never came to be that {holds}")


def item_cost(tickets: int) -> Mapping[str, float]:
    """Microseconds of one new mail through `handle` and its commit, on a desk that has so many tickets already."""
    with server() as database, seeded(database, tickets) as store:
        found = handle_seconds(database, store, HANDLED)
    each = {name: 1e6 * seconds / HANDLED for name, seconds in found.items()}
    return each | {"processor": each["ours"] + each["database"]}


ONE, TWO = partial(replicas, 1), partial(replicas, 2)
CORES, SHARE = os.cpu_count(), "% of a core"


def _figures(count: int, measure: partial[Mapping[str, float]]) -> dict[str, Figure]:
    name = f"PostgreSQL, {count} replica{'s' if count > 1 else ''}"
    users = ("database", *(f"replica {number}" for number in range(1, count + 1)), "clients", "others")
    told = {"clients": "clients and relay", "others": "others on the machine"}
    named = {each: Figure(name=f"{name}: {told.get(each, each)}, {CORES} cores", unit=SHARE, measure=measure, part=each) for each in users}
    return named | {
        "rate": Figure(
            name=f"{name}: SMTP to committed ticket, 2 KiB, {CONNECTIONS} connections", unit="tickets/s", measure=measure, part="rate"
        ),
        "mail": Figure(name=f"{name}: processor time of a mail, notices in it", unit="us", measure=measure, part="mail"),
        "mail in the database": Figure(name=f"{name}: of that the database's", unit="us", measure=measure, part="mail in the database"),
    }


def _rows(figures: dict[str, Figure], against: dict[str, Figure]) -> Iterator[Row]:
    for part, figure in figures.items():
        if part in ("rate", "mail", "mail in the database"):
            yield Row(figure=figure, against=against.get(part))
    yield from (Row(figure=figure) for figure in figures.values() if figure.unit == SHARE)


_ONE, _TWO = _figures(1, ONE), _figures(2, TWO)
ROWS = (*_rows(_ONE, {"rate": WHOLE}), *_rows(_TWO, _ONE))


def _at(tickets: str, measure: partial[Mapping[str, float]]) -> dict[str, Figure]:
    parts = {"processor": "processor time", "ours": "of that ours", "database": "of that the database's", "wall": "by the clock"}
    return {
        part: Figure(name=f"PostgreSQL: a mail through handle, {told}, {tickets} tickets", unit="us", measure=measure, part=part, rounds=2)
        for part, told in parts.items()
    }


_SMALL, _LARGE = _at("10 thousand", partial(item_cost, SMALL)), _at("1 million", partial(item_cost, LARGE))
MILLION_ROWS = tuple(
    Row(figure=_LARGE[part], against=_SMALL[part], at_most=1.3 if part in ("processor", "wall") else None) for part in _LARGE
)
