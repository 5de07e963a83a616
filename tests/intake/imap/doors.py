"""A store, the acceptor and pollers on an event loop of their own, so that a test can wait for what they store."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from casework.context import Casework
from intake.accept import Acceptor
from intake.child import parse_one
from intake.imap.mailbox import MailboxWorker
from intake.imap.settings import Mailbox
from intake.worker import Triage
from rules.authentication import TrustSettings
from rules.ruleset import compile_ruleset
from rules.settings import RulesSettings
from store import credentials, entries, inbox, mailboxes, tickets
from store.settings import StoreSettings
from store.store import Store
from tests.rules.worlds import DESK
from triaged import clock

WAIT_SECONDS = 180.0


class FetchingDesk:
    """The store of one data directory with pollers; `close` ends all."""

    __test__ = False

    def __init__(self, folder: Path, settings: StoreSettings | None = None) -> None:
        """`settings` are those of another store than one on SQLite in `folder`."""
        self.store = Store(settings or StoreSettings(path=str(folder)), clock=clock.now)
        ruleset, errors = compile_ruleset(RulesSettings())
        assert not errors
        keys = self.store.write(credentials.signing_keys).result()
        self.casework = Casework(ruleset=ruleset, desk=DESK, keys=keys, trust=TrustSettings())
        self.acceptor = Acceptor(self.store, wake=lambda: None, pending_limit=1_000_000, minimum_free_bytes=0)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.running: list[tuple[MailboxWorker, Future[None]]] = []

    def poll(self, mailbox: Mailbox, **options: Any) -> MailboxWorker:
        """Start a poller."""
        worker = MailboxWorker(mailbox, self.store, self.acceptor, **options)
        self.running.append((worker, self.submit(worker.run())))
        return worker

    def submit(self, work: Coroutine[Any, Any, None]) -> "Future[None]":
        """Run it on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def stop(self) -> None:
        """End the pollers; raises what one of them died of."""
        running, self.running = self.running, []
        for worker, _ in running:
            worker.stop()
        for _, ended in running:
            ended.result(WAIT_SECONDS)

    def until(self, holds: Callable[[], Any], *, why: Callable[[], str] = lambda: "") -> Any:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            found = holds()
            if found:
                return found
            for _, ended in self.running:
                assert not ended.done(), ended.exception()
            time.sleep(0.02)
        raise AssertionError(f"it never came to be; {len(self.stored())} stored {why()}")

    def stored(self) -> list[inbox.InboxRow]:
        """The envelopes, oldest first."""
        rows = self.store.read(lambda tx: [*inbox.listed(tx, "pending", limit=500), *inbox.listed(tx, "done", limit=500)])
        return sorted(rows, key=lambda row: row.envelope.id)

    def message_ids(self) -> list[str | None]:
        return [row.envelope.message_id for row in self.stored()]

    def cursor(self, mailbox: str = "desk", folder: str = "INBOX") -> mailboxes.Cursor | None:
        return self.store.read(lambda tx: mailboxes.cursor(tx, mailbox, folder))

    def skipped(self) -> list[mailboxes.Skipped]:
        return self.store.read(mailboxes.skipped)

    def triage(self) -> None:
        """Triage everything that waits."""

        async def parse(_name: str, requests: Any) -> list[bytes]:
            return [parse_one(request) for request in requests]

        async def run() -> None:
            worker = Triage(self.store, run_batch=parse, casework=lambda: self.casework, mappings=dict, on_outgoing=lambda: None)
            while await worker.once():
                pass

        asyncio.run(run())

    def tickets(self) -> list[Any]:
        return sorted(self.store.read(tickets.listed), key=lambda each: each.number)

    def entries(self, ticket: Any) -> list[Any]:
        return self.store.read(lambda tx: entries.of_ticket(tx, ticket.id))

    def close(self) -> None:
        try:
            self.stop()
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(10)
            self.loop.close()
            self.store.close()


def mail(
    name: str, subject: str = "Printer 4F jams", text: str = "It is broken.", *, sender: str = "ana@corp.example", more: str = ""
) -> bytes:
    """A mail to the desk; `name` makes its Message-ID, "" none."""
    identity = f"Message-ID: <{name}@corp.example>\r\n" if name else ""
    return f"From: Ana <{sender}>\r\nTo: help@corp.example\r\nSubject: {subject}\r\n{identity}{more}\r\n{text}\r\n".encode()
