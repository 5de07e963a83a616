"""The worker of one mailbox: a thread that connects, looks, waits, and connects anew with back-off, for as long as we run."""

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import structlog
import tenacity
from prometheus_client import Counter, Gauge

from intake.accept import Accepted, Acceptor, Arrival
from intake.imap.connection import Pipe
from intake.imap.folder import Folder
from intake.imap.session import LoginRefused, Session
from intake.imap.settings import Mailbox
from itsm.credential import Bearer
from itsm.errors import Transient
from store import leases, mailboxes
from store.store import Store
from store.transaction import Tx

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 300.0
LOGIN_WAIT_SECONDS, LONGEST_LOGIN_WAIT_SECONDS = 60.0, 3600.0  # asked faster, servers lock the account (F61)
RECONCILE_EVERY_SECONDS = 3600.0
LEASE_MARGIN = timedelta(seconds=180)
COMMIT_SECONDS = 120.0  # a commit that takes longer is given up; the mail is fetched again
HARD_PASS_FACTOR = 2.0  # a look ends by itself at its limit; a server that holds it longer is cut

# mailbox: the configured names
SUCCESS = Gauge("triaged_mailbox_last_success_timestamp_seconds", "When a mailbox was last looked through; its start before.", ["mailbox"])
ERRORS = Counter("triaged_mailbox_poll_errors_total", "Looks at a mailbox that failed.", ["mailbox"])
IDLE_UP = Gauge("triaged_mailbox_idle_up", "1 while the server tells of new mail by itself (IDLE), else 0.", ["mailbox"])
MISSING = Gauge("triaged_mailbox_missing", "Mails on the server that the store lacked when both were last compared.", ["mailbox"])
PASSED = Gauge("triaged_mailbox_passed", "Mails that are passed now: too large, or unreadable on the server.", ["mailbox"])

log = structlog.get_logger("imap")


def forget(name: str) -> None:
    """A mailbox is fetched here no more: its gauges of state are another's, or nobody's."""
    for gauge in (SUCCESS, IDLE_UP, MISSING, PASSED):
        with contextlib.suppress(KeyError):  # it never came so far
            gauge.remove(name)


class LeaseElsewhere(Transient):
    """Another process polls this mailbox."""


class MailboxWorker:
    """Fetches one mailbox. `run` returns after `stop`; what goes wrong with server or network is retried inside."""

    def __init__(
        self, mailbox: Mailbox, store: Store, acceptor: Acceptor, *, bearer: Bearer | None = None, holder: int | None = None
    ) -> None:
        """`bearer` takes the place of the password; `holder` tells this poller from others, by default the process."""
        self.mailbox, self._store, self._acceptor, self._bearer = mailbox, store, acceptor, bearer
        self._holder = store.process_id if holder is None else holder
        self._lease, self._fence = f"mailbox/{mailbox.name}", 0
        self._duration = timedelta(seconds=mailbox.poll_seconds) + LEASE_MARGIN
        self._pipe = Pipe()
        self._stopping = False
        self._session: Session | None = None
        self._failures = 0
        self._reconciled_at: float | None = None
        self._pass_until = 0.0
        self._folders = [
            Folder(mailbox, name, store, accept=self._accept, hold=self._hold, stopping=self._must_pause) for name in mailbox.folders
        ]
        self._stands_by = False
        self._well()
        IDLE_UP.labels(mailbox.name).set(0)

    @property
    def silent_seconds(self) -> float:
        """How long ago the mailbox was last looked through; 0 while another process does it."""
        return 0.0 if self._stands_by else time.monotonic() - self.last_success

    async def run(self) -> None:
        """Work in a thread of our own until stopped, once; cancelled, the connection is cut under it."""
        self._loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = self._loop.create_future()

        def live() -> None:
            died: BaseException | None = None
            try:
                self._live()
            except BaseException as error:  # the boundary of the thread: `run` raises it, and the supervisor says so
                died = error
            self._pipe.close()
            self._tell(ended, died)

        thread = threading.Thread(target=live, name=f"imap-{self.mailbox.name}", daemon=True)
        thread.start()
        try:
            await ended
        finally:
            self._stopping = True
            self.cut()

    def stop(self) -> None:
        """Finish the mail at hand, then end."""
        self._stopping = True
        self._pipe.wake()

    def wake(self) -> None:
        """Look, or connect, now and not when it is time."""
        self._pipe.wake()

    def cut(self) -> None:
        """Cut the connection, from any thread; who is not stopped connects anew."""
        session = self._session
        if session is not None:
            session.abort()
        self._pipe.wake()

    def _tell(self, ended: "asyncio.Future[None]", error: BaseException | None) -> None:
        def settle() -> None:
            if not ended.done():
                ended.set_result(None) if error is None else ended.set_exception(error)

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(settle)

    # ---------------------------------------------------------------- the thread

    def _live(self) -> None:
        """Connect again and again; the pause grows with each failure and is forgotten after a look that went well."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Transient),
            wait=self._pause,
            stop=lambda _: self._stopping,
            sleep=self._sleep,
            retry_error_callback=lambda _: None,
        )
        retrying(self._connected)
        with contextlib.suppress(Transient):  # it ends by itself
            self._store.write(lambda tx: leases.release(tx, self._lease, holder=self._holder)).result()

    def _sleep(self, seconds: float) -> None:
        self._pipe.wait(seconds)

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, LeaseElsewhere):
            self._stand_by()
            return self.mailbox.poll_seconds
        self._failures += 1
        ERRORS.labels(self.mailbox.name).inc()
        first, longest = (
            (LOGIN_WAIT_SECONDS, LONGEST_LOGIN_WAIT_SECONDS)
            if isinstance(error, LoginRefused)
            else (FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS)
        )
        seconds = min(longest, first * (1 << min(self._failures - 1, 12))) * random.uniform(0.5, 1.0)  # noqa: S311 -- jitter, not a secret
        log.warning(
            "mailbox not reached", mailbox=self.mailbox.name, error=str(error), failures=self._failures, wait_seconds=round(seconds, 1)
        )
        return seconds

    def _connected(self) -> None:
        """One connection, from login until it fails or we are told to end."""
        self._take_lease()
        if self._stands_by:
            self._well()  # from now on it is we who may be silent
        self._session = session = Session(self.mailbox, bearer=self._bearer, pipe=self._pipe)
        try:
            idles = self.mailbox.idle and session.can("IDLE")
            while not self._stopping:
                self._look(session)
                if not self._stopping:
                    self._rest(session, idles=idles)
                    self._take_lease()
        finally:
            IDLE_UP.labels(self.mailbox.name).set(0)
            self._session = None
            session.close()

    def _look(self, session: Session) -> None:
        """All folders once; the first last, so that it is the one that is open when we wait."""
        limit = self.mailbox.pass_limit_seconds
        self._pass_until = time.monotonic() + limit
        session.allow(limit * HARD_PASS_FACTOR)
        reconcile = self._reconciled_at is None or time.monotonic() - self._reconciled_at > RECONCILE_EVERY_SECONDS
        missing = 0
        for folder in reversed(self._folders):
            cursor = folder.look(session)
            if reconcile and not self._must_pause():
                missing += folder.reconcile(session, cursor)
        session.allow(None)
        if reconcile and not self._must_pause():
            MISSING.labels(self.mailbox.name).set(missing)
            self._reconciled_at = time.monotonic()
        PASSED.labels(self.mailbox.name).set(self._store.read(mailboxes.skipped_counts).get(self.mailbox.name, 0))
        self._failures = 0
        self._well()

    def _well(self) -> None:
        """It was looked through, or we have only just begun: silence counts from here."""
        self._stands_by = False
        self.last_success = time.monotonic()
        SUCCESS.labels(self.mailbox.name).set(self._store.clock().timestamp())

    def _stand_by(self) -> None:
        """Another process fetches: its silence is told there, and an alarm here would be false."""
        self._stands_by = True
        forget(self.mailbox.name)

    def _rest(self, session: Session, *, idles: bool) -> None:
        if time.monotonic() > self._pass_until:
            return  # the look was cut short: there is more
        if idles:
            IDLE_UP.labels(self.mailbox.name).set(1)
            session.wait(self.mailbox.poll_seconds)
        else:
            self._pipe.wait(self.mailbox.poll_seconds)

    def _must_pause(self) -> bool:
        return self._stopping or time.monotonic() > self._pass_until

    # ---------------------------------------------------------------- the store

    def _take_lease(self) -> None:
        fence = self._store.write(lambda tx: leases.take(tx, self._lease, holder=self._holder, duration=self._duration)).result()
        if fence is None:
            raise LeaseElsewhere
        self._fence = fence

    def _hold(self, tx: Tx) -> None:
        """In every commit: a poller that stood still while another took over stores nothing (F14)."""
        leases.hold(tx, self._lease, holder=self._holder, fence=self._fence, duration=self._duration)

    def _accept(self, arrival: Arrival, also: Callable[[Tx], None]) -> Accepted:
        """Store a mail from this thread, and wait for the commit."""
        accepting = asyncio.run_coroutine_threadsafe(self._acceptor.accept(arrival, also=also), self._loop)
        try:
            return accepting.result(COMMIT_SECONDS)
        except TimeoutError as error:
            accepting.cancel()
            raise Transient("the store did not commit in time") from error
