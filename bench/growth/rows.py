"""Cost of one mail and of one alert on a desk that is nearly empty, and on one with many tickets: it should not grow."""

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from bench.alerts.bodies import alerts, for_us
from bench.figure import Figure
from bench.growth.fill import fill
from bench.log import unread_log
from bench.row import Row
from bench.whole.rows import BODY
from casework.context import Casework
from intake.child import parse_one
from intake.worker import Triage
from itsm.envelope import Channel, Envelope
from itsm.service import Desk
from rules.ruleset import compile_ruleset
from rules.settings import RulesSettings
from store import inbox
from store.credentials import signing_keys
from store.inbox import Arrived
from store.settings import StoreSettings
from store.store import Store
from store.transaction import Tx
from triaged import clock

SMALL, LARGE, MILLION = 10_000, 100_000, 1_000_000
A_TURN, TURNS = 200, 10  # items, and how often each desk has its turn
GROUP = 20  # accepted together


async def _here(_function: str, requests: Sequence[bytes]) -> Sequence[bytes | None]:
    """The parser in this process: it does not depend on what is stored."""
    return [parse_one(each) for each in requests]


class _Stocked:
    """A desk with so many tickets, and its triage."""

    def __init__(self, folder: Path, stored: int) -> None:
        """Fill it, and warm it with two hundred mails."""
        Store(StoreSettings(path=str(folder)), clock=clock.now).close()  # makes the tables
        fill(folder / "triaged.sqlite", stored)
        self._store = Store(StoreSettings(path=str(folder)), clock=clock.now)
        ruleset, _ = compile_ruleset(RulesSettings())
        casework = Casework(ruleset=ruleset, desk=Desk(), keys=tuple(self._store.write(signing_keys).result()))
        self._worker = Triage(self._store, run_batch=_here, casework=lambda: casework, mappings=dict, on_outgoing=lambda: None)
        self.mails("warm")

    def mails(self, name: str) -> float:
        """Microseconds of processor time a mail, of two hundred that it has not seen."""
        return self._microseconds([_mail(self._store, f"{name}-{number}") for number in range(A_TURN)], A_TURN)

    def alerts(self, name: str) -> float:
        """The same for two hundred new alerts in bodies of a hundred."""
        return self._microseconds([_alerts(self._store, f"{name}-{number}") for number in range(A_TURN // 100)], A_TURN)

    def _microseconds(self, arrived: Sequence[Arrived], items: int) -> float:
        return asyncio.run(_all(self._worker, self._store, arrived)) / items * 1e6

    def close(self) -> None:
        """Close its store."""
        self._store.close()


def in_turn(stored: int) -> Mapping[str, float]:
    """Processor time of a mail and an alert from accept to ticket, on a desk with so many tickets and on a small one, the medians of ten turns.

    In turn, for a machine that others use too has better and worse minutes; and not by the clock.
    """
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="triaged-bench-")))
        undo.enter_context(unread_log())
        read: dict[str, list[float]] = defaultdict(list)
        desks = {}
        for size, tickets in (("small", SMALL), ("large", stored)):
            desks[size] = _Stocked(folder / size, tickets)
            undo.callback(desks[size].close)
        for turn in range(TURNS):
            for size, desk in desks.items():
                read[f"mail, {size}"].append(desk.mails(str(turn)))
                read[f"alert, {size}"].append(desk.alerts(str(turn)))
        return {what: median(found) for what, found in read.items()}


async def _all(worker: Triage, store: Store, arrived: Sequence[Arrived]) -> float:
    """Seconds of processor time to accept them in groups and triage them all."""
    began = time.process_time()
    for at in range(0, len(arrived), GROUP):
        await store.awrite(partial(_accept, arrived[at : at + GROUP]))
    while await worker.once():
        continue
    return time.process_time() - began


def _accept(some: Sequence[Arrived], tx: Tx) -> None:
    inbox.add_many(tx, some)


def _mail(store: Store, name: str) -> Arrived:
    head = f"From: {name}@x.example\r\nTo: help@localhost\r\nSubject: it is broken\r\nMessage-ID: <{name}@x.example>\r\n\r\n"
    return _arrived(store, head.encode() + BODY, Channel.SMTP, "rfc822")


def _alerts(store: Store, name: str) -> Arrived:
    return _arrived(store, for_us(alerts(f"fresh{name}", 100)), Channel.HTTP, "alertmanager")


def _arrived(store: Store, body: bytes, channel: Channel, format_: str) -> Arrived:
    envelope = Envelope(
        id=store.new_id(),
        channel=channel,
        source=format_,
        format=format_,
        received_at=clock.now(),
        size_bytes=len(body),
        reverse_path="a@x.example",
    )
    return Arrived(envelope=envelope, body=body)


def _rows(stored: int, rounds: int) -> tuple[Row, ...]:
    measure = partial(in_turn, stored)
    return tuple(
        Row(
            figure=Figure(name=f"one {what}, {stored:,} tickets stored", unit="us", measure=measure, part=f"{what}, large", rounds=rounds),
            against=Figure(name=f"one {what}, {SMALL:,} stored", unit="us", measure=measure, part=f"{what}, small", rounds=rounds),
            at_most=1.3,
        )
        for what in ("mail", "alert")
    )


ROWS = _rows(LARGE, 0)
MILLION_ROWS = _rows(MILLION, 1)
