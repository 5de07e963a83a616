"""Cost of one mail and of one alert on a desk that is nearly empty, and on one with many tickets: it should not grow."""

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

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
MAILS, ALERTS = 2_000, 2_000
GROUP = 20  # accepted together


async def _here(_function: str, requests: Sequence[bytes]) -> Sequence[bytes | None]:
    """The parser in this process: it does not depend on what is stored."""
    return [parse_one(each) for each in requests]


def microseconds(stored: int) -> Mapping[str, float]:
    """Processor time of one mail and of one alert from accept to its ticket, in batches, on a desk with so many tickets.

    Not wall time: it must be comparable between two measurements minutes apart on a machine that others use too.
    """
    with tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder, unread_log():
        Store(StoreSettings(path=folder), clock=clock.now).close()  # makes the tables
        fill(Path(folder) / "triaged.sqlite", stored)
        store = Store(StoreSettings(path=folder), clock=clock.now)
        try:
            ruleset, _ = compile_ruleset(RulesSettings())
            casework = Casework(ruleset=ruleset, desk=Desk(), keys=tuple(store.write(signing_keys).result()))
            worker = Triage(store, run_batch=_here, casework=lambda: casework, mappings=dict, on_outgoing=lambda: None)
            asyncio.run(_all(worker, store, [_mail(store, f"warm{number}") for number in range(200)]))
            mails = [_mail(store, str(number)) for number in range(MAILS)]
            bodies = [_alerts(store, number) for number in range(ALERTS // 100)]
            return {
                "mail": asyncio.run(_all(worker, store, mails)) / MAILS * 1e6,
                "alert": asyncio.run(_all(worker, store, bodies)) / ALERTS * 1e6,
            }
        finally:
            store.close()


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


def _alerts(store: Store, number: int) -> Arrived:
    return _arrived(store, for_us(alerts(f"fresh{number}", 100)), Channel.HTTP, "alertmanager")


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


AT_SMALL = partial(microseconds, SMALL)


def _rows(stored: int, rounds: int) -> tuple[Row, ...]:
    measure = partial(microseconds, stored)
    return tuple(
        Row(
            figure=Figure(name=f"one {what}, {stored:,} tickets stored", unit="us", measure=measure, part=what, rounds=rounds),
            against=Figure(name=f"one {what}, {SMALL:,} stored", unit="us", measure=AT_SMALL, part=what),
            at_most=1.3,
        )
        for what in ("mail", "alert")
    )


ROWS = _rows(LARGE, 0)
MILLION_ROWS = _rows(MILLION, 1)
