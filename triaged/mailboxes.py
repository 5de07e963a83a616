"""The mailboxes that are fetched: a poller each, kept, replaced or ended when the configuration says otherwise."""

import asyncio
from collections.abc import Sequence

import structlog

from intake.accept import Acceptor
from intake.imap.mailbox import MailboxWorker, forget
from intake.imap.settings import Mailbox
from store.store import Store
from triaged.oauth.tokens import Tokens
from triaged.supervise import WorkerEndedError

GRACE_SECONDS = 20.0  # a poller that is to end may finish its mail for so long; then its connection is cut

log = structlog.get_logger("mailboxes")


class Mailboxes:
    """One worker of the supervisor with all pollers in it. `want` may be called while it runs, on its loop."""

    def __init__(self, store: Store, acceptor: Acceptor, tokens: Tokens, wanted: Sequence[Mailbox] = ()) -> None:
        """Nothing is fetched before `run`."""
        self._store, self._acceptor, self._tokens = store, acceptor, tokens
        self._wanted = {each.name: each for each in wanted}
        self._running: dict[str, _Poller] = {}
        self._changed, self._stopping = asyncio.Event(), False

    def want(self, mailboxes: Sequence[Mailbox], *, tokens_changed: frozenset[str] = frozenset()) -> None:
        """Fetch these from now on. A poller whose settings or token stay is only woken: a login may be mended by now."""
        self._wanted = {each.name: each for each in mailboxes}
        for name, poller in self._running.items():
            if self._wanted.get(name) == poller.worker.mailbox and poller.worker.mailbox.oauth not in tokens_changed:
                poller.worker.wake()
            else:
                poller.end()
        self._changed.set()

    def silent_seconds(self) -> dict[str, float]:
        """By mailbox that is fetched here: how long ago it was looked through."""
        return {name: poller.worker.silent_seconds for name, poller in self._running.items()}

    async def run(self) -> None:
        """Keep a poller for each mailbox that is wanted; returns after `stop`, raises what a poller died of."""
        try:
            while not self._stopping or self._running:
                self._start_missing()
                await self._next_change()
                self._bury()
        finally:
            tasks = [poller.task for poller in self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """Let every poller finish the mail at hand, then end."""
        self._stopping = True
        for poller in self._running.values():
            poller.end()
        self._changed.set()

    def _start_missing(self) -> None:
        for name, mailbox in self._wanted.items():
            if name not in self._running and not self._stopping:
                bearer = self._tokens.bearer(mailbox.oauth)
                self._running[name] = _Poller(MailboxWorker(mailbox, self._store, self._acceptor, bearer=bearer))
                log.info("mailbox is fetched", mailbox=name)

    async def _next_change(self) -> None:
        """Wait until the wishes change or a poller ends."""
        told = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({told, *(poller.task for poller in self._running.values())}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
        self._changed.clear()

    def _bury(self) -> None:
        """Take out what has ended; raises when it was not told to."""
        for name, poller in [*self._running.items()]:
            if not poller.task.done():
                continue
            del self._running[name]
            poller.task.result()
            if not poller.ending:
                raise WorkerEndedError(f"the mailbox {name} is fetched no more although nobody stopped it")
            if name not in self._wanted:
                forget(name)
                log.info("mailbox is fetched no more", mailbox=name)


class _Poller:
    """A poller and its task."""

    def __init__(self, worker: MailboxWorker) -> None:
        self.worker, self.ending = worker, False
        self.task = asyncio.create_task(worker.run(), name=f"mailbox {worker.mailbox.name}")

    def end(self) -> None:
        """Ask it to end; a server that holds it is cut off."""
        if not self.ending:
            self.ending = True
            self.worker.stop()
            late = asyncio.get_running_loop().call_later(GRACE_SECONDS, self.worker.cut)
            self.task.add_done_callback(lambda _: late.cancel())
