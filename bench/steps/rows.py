"""Where the processor time of a plain mail goes, step by step: the thread's clock around each function, the least of many batches."""

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import casework.handle
import intake.child
from bench.figure import Figure
from bench.log import unread_log
from bench.row import Row
from bench.whole.rows import BODY
from casework.apply import Applier
from casework.context import Casework
from intake.worker import Triage
from itsm.envelope import MAIL_FORMAT, Channel, Envelope
from itsm.service import Desk, Team
from rules.ruleset import compile_ruleset
from rules.settings import Budgets, RulesSettings
from store import inbox, outcomes
from store.credentials import signing_keys
from store.inbox import Arrived
from store.settings import StoreSettings
from store.store import Store
from store.transaction import Tx
from store.writer import Writer
from triaged import clock
from triaged.garbage import look_seldom

BATCHES, MAILS = 30, 100  # a batch is one transaction
GROUP = 20  # accepted together, as by so many connections
DESK = Desk(teams=(Team(key="desk", name="Desk", addresses=("help@localhost",), notify="team@localhost"),))
MANY = 1_000_000
BUDGETS = Budgets(per_address_hour=MANY, per_domain_minute=MANY, total_minute=MANY, same_mail_week=MANY)  # else most are held back
# What is watched: where its name is looked up, the name, and the step. What one calls of another counts for the other alone.
WATCHED: tuple[tuple[Any, str, str], ...] = (
    (inbox, "add_many", "accept"),
    (inbox, "claim", "claim"),
    (intake.child, "parse_one", "parse"),
    (casework.handle, "load", "load"),
    (casework.handle, "mail_snapshot", "decide"),
    (casework.handle, "decide_mail", "decide"),
    (Applier, "apply", "apply"),
    (Applier, "flush", "write"),
    (outcomes, "record", "write"),
    (Writer, "_commit", "commit"),
)
# `writer` is all that the writing thread does after the accept, `loop` all of the other thread but the parse.
STEPS = ("accept", "parse", "loop", "writer", "claim", "load", "decide", "apply", "write", "commit")


class Watch:
    """Microseconds of this thread's processor time, by step, since it was last read."""

    def __init__(self) -> None:
        """Nothing was spent yet."""
        self.spent: dict[str, float] = defaultdict(float)
        self._inner = 0.0

    def around(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time added to the step; what it calls of other watched functions is theirs."""

        def watched(*arguments: Any, **named: Any) -> Any:
            before, self._inner = self._inner, 0.0
            began = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                took = time.thread_time() - began
                self.spent[step] += (took - self._inner) * 1e6
                self._inner = before + took

        return watched

    def read(self) -> dict[str, float]:
        """What was spent, and begin anew."""
        found, self.spent = self.spent, defaultdict(float)
        return found


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Watch the steps meanwhile. One thread works at a time here, so that one watch does for all."""
    kept = [(place, name, getattr(place, name)) for place, name, _ in WATCHED]
    try:
        for (place, name, step), (_, _, function) in zip(WATCHED, kept, strict=True):
            setattr(place, name, watch.around(step, function))
        yield
    finally:
        for place, name, function in kept:
            setattr(place, name, function)


def steps() -> Mapping[str, float]:
    """Microseconds a mail in each step: the least of the batches."""
    watch = Watch()
    with tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder, unread_log(), watching(watch):
        store = Store(StoreSettings(path=folder), clock=clock.now)
        try:
            ruleset, _ = compile_ruleset(RulesSettings(budgets=BUDGETS))
            rules = Casework(ruleset=ruleset, desk=DESK, keys=tuple(store.write(signing_keys).result()))
            look_seldom()
            read = [asyncio.run(_batch(store, rules, watch, number)) for number in range(BATCHES)]
        finally:
            store.close()
    return {step: min(each[step] for each in read[1:]) / MAILS for step in STEPS}


async def _batch(store: Store, rules: Casework, watch: Watch, number: int) -> dict[str, float]:
    """Accept a batch in groups, triage it, and tell what each step took."""

    async def here(_function: str, requests: Sequence[bytes]) -> Sequence[bytes | None]:
        return [intake.child.parse_one(each) for each in requests]

    arrived = [_mail(store, f"{number}.{place}") for place in range(MAILS)]
    for at in range(0, MAILS, GROUP):
        await store.awrite(partial(_accept, arrived[at : at + GROUP]))
    worker = Triage(store, run_batch=here, casework=lambda: rules, mappings=dict, on_outgoing=lambda: None)
    accepted = watch.read()
    began = time.thread_time()
    writer = await store.awrite(lambda _tx: time.thread_time())
    await worker.once()
    writer = await store.awrite(lambda _tx: time.thread_time()) - writer
    loop = time.thread_time() - began
    found = watch.read()
    accept = {"accept": accepted["accept"] + accepted["commit"]}
    return found | accept | {"loop": loop * 1e6 - found["parse"], "writer": writer * 1e6}


def _accept(some: Sequence[Arrived], tx: Tx) -> None:
    inbox.add_many(tx, some)


def _mail(store: Store, name: str) -> Arrived:
    head = f"From: {name}@x.example\r\nTo: help@localhost\r\nSubject: it is broken\r\nMessage-ID: <{name}@x.example>\r\n\r\n"
    body = head.encode() + BODY
    envelope = Envelope(
        id=store.new_id(), channel=Channel.SMTP, source="smtp", format=MAIL_FORMAT, received_at=clock.now(), size_bytes=len(body),
        reverse_path="a@x.example", forward_paths=("help@localhost",), peer="127.0.0.1", message_id=f"{name}@x.example",
    )  # fmt: skip
    return Arrived(envelope=envelope, body=body)


def _row(step: str) -> Row:
    return Row(figure=Figure(name=f"processor time of a mail: {step}", unit="us", measure=steps, part=step))


ROWS = tuple(_row(step) for step in STEPS)
