"""Runs triaged with defences switched off: `python -m tests.reliability.sabotage NAME,NAME ARGUMENTS OF TRIAGED`.

What a test of a row asserts must come out otherwise here; so we know that it would notice the defence's absence.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from intake.accept import Accepted, Acceptor, Arrival
from intake.imap import folder
from notifier.worker import Notifier
from rules import mail as rules_of_mail
from rules.sameness import Judgement, Sameness
from store import leases, mailboxes, outbox
from triaged import clock, descriptors, logs, wiring
from triaged.main import main
from triaged.supervise import Supervisor


def answer_after_the_commit() -> None:
    """F01: the door says yes first and stores half a second later."""
    accept, late = Acceptor.accept, set()

    async def early(self: Acceptor, arrival: Any) -> Accepted:
        asyncio.get_running_loop().call_later(0.5, lambda: late.add(asyncio.ensure_future(accept(self, arrival))))
        return Accepted(inbox_id=1)

    Acceptor.accept = early


def sameness() -> None:
    """F02: every mail is new."""
    rules_of_mail.same = lambda *_: Judgement(sameness=Sameness.NEW)


def scan_of_the_outbox() -> None:
    """F04: the notifier looks only when it was woken."""
    start, wake = Notifier._start_some, Notifier.wake

    def woken(self: Notifier) -> None:
        self.was_woken = True
        wake(self)

    async def only_when_woken(self: Notifier) -> bool:
        return getattr(self, "was_woken", False) and await start(self)

    Notifier.wake, Notifier._start_some = woken, only_when_woken


def stored_bytes() -> None:
    """F05: what was rendered is forgotten and rendered again."""
    claim = outbox.claim

    def forgetful(tx: Any, **limits: Any) -> Any:
        table = outbox.outbox
        tx.connection.execute(outbox.outbox_raw.delete())
        tx.connection.execute(table.update().where(table.c.state == "queued").values(reverse_path=None))
        return claim(tx, **limits)

    outbox.claim = forgetful


def checkpoint() -> None:
    """F06: a fetched mail is stored without its key, and how far we are is not written down with it."""
    move = mailboxes.move_cursor

    def only_at_first(tx: Any, mailbox: str, name: str, cursor: Any) -> None:
        if mailboxes.cursor(tx, mailbox, name) is None:
            move(tx, mailbox, name, cursor)

    folder.Arrival, mailboxes.move_cursor = _keyless, only_at_first


def keys() -> None:
    """F14: a fetched mail is stored without the name that its server has for it, and nobody who compares misses any."""
    folder.Arrival = _keyless
    mailboxes.stored = lambda _tx, _door, keys: set(keys)


def _keyless(**fields: Any) -> Arrival:
    return Arrival(**fields | {"idempotency_key": None})


def lease() -> None:
    """F14: whoever asks for a lease has it, and keeps it."""
    leases.take = lambda *_arguments, **_named: 0


def drain() -> None:
    """F10: SIGTERM ends the process as it does any other."""
    Supervisor.handle_signals = lambda self: None


def second_signal() -> None:
    """F11: a second SIGTERM is heard like the first."""
    Supervisor._on_end = lambda self, which: self.stop()


def fitted_caps() -> None:
    """F24: the doors take connections until there is nothing left to take them with."""
    descriptors.fitted = lambda wanted, _available: wanted


def log_queue() -> None:
    """F25: a line is written where it is logged."""
    logs._Lines.put = lambda self, line: os.write(2, (line + "\n").encode()) and None


def old_configuration() -> None:
    """F69: what is wrong with a configuration ends the reload as it would end anything else."""
    wiring._reloaded = lambda *, success: None if success else sys.exit("reload failed")


def steady_clock() -> None:
    """F28: the wall clock is believed whatever it says."""
    clock.STEP_SECONDS = float("inf")


def quiet_logs() -> None:
    """A60: the door logs what it takes."""
    accept = Acceptor.accept

    async def talkative(self: Acceptor, arrival: Any) -> Accepted:
        logging.getLogger("door").info("taken %r", arrival)
        return await accept(self, arrival)

    Acceptor.accept = talkative


DEFENCES: dict[str, Callable[[], None]] = {
    each.__name__: each
    for each in (
        answer_after_the_commit,
        sameness,
        scan_of_the_outbox,
        stored_bytes,
        checkpoint,
        keys,
        lease,
        drain,
        second_signal,
        fitted_caps,
        log_queue,
        old_configuration,
        steady_clock,
        quiet_logs,
    )
}

if __name__ == "__main__":
    for name in sys.argv.pop(1).split(","):
        DEFENCES[name]()
    sys.exit(main())
