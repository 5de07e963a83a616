"""What the notifier writes down about a mail: guarded by the claim's fence, and tried until the store takes it (P3)."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import structlog
from prometheus_client import Counter
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from itsm.errors import Transient
from itsm.notification import NULL_REVERSE_PATH
from notifier.schedule import next_attempt
from notifier.settings import NotifierSettings
from notifier.submit import Deferred, Rejected, Submission
from store import outbox
from store.outbox import ClaimedNotification
from store.store import Store
from store.transaction import Tx

Result = TypeVar("Result")
LONGEST_PAUSE_SECONDS = 5.0
STALE = "an acknowledgement so late helps nobody"

# template: the event's name; result: deferred, dead
SENT = Counter("triaged_outbox_sent_total", "Mails that were taken.", ["template"])
FAILED = Counter("triaged_outbox_failed_total", "Attempts that did not succeed, by what became of the mail.", ["template", "result"])
UNCERTAIN = Counter("triaged_outbox_uncertain_total", "Attempts of which nobody knows whether a copy went out; the mail is sent again.")
LATE = Counter("triaged_outbox_late_words_total", "Words about a mail that somebody else had taken over; they were not written.")
STALE_DROPPED = Counter("triaged_outbox_stale_total", "Acknowledgements that were too old to be sent.")

log = structlog.get_logger("notifier")


class Recorder:
    """Writes the ends of attempts. `jitter` gives a number from 0 to 1 for the distance of retries."""

    def __init__(self, store: Store, *, settings: NotifierSettings, jitter: Callable[[], float]) -> None:
        """Bind the store and the settings."""
        self._store, self._settings, self._jitter = store, settings, jitter

    async def _write(self, work: Callable[[Tx], Result]) -> Result:
        """Write, again while the store is full or busy, for as long as the mail is ours; raises Transient after that."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Transient),
            wait=wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE_SECONDS),
            stop=stop_after_delay(self._settings.lease.total_seconds()),
            reraise=True,
        )
        return await retrying(self._store.awrite, work)

    def expired(self, count: int) -> None:
        """Rows whose sender was not heard of again are queued once more."""
        UNCERTAIN.inc(count)
        log.warning("senders not heard of again", mails=count)

    async def without_stale(self, claimed: Sequence[ClaimedNotification]) -> list[ClaimedNotification]:
        """Those that still make sense: an acknowledgement that waited a day for the relay is dropped (F52)."""
        oldest = self._store.clock() - timedelta(hours=self._settings.stale_acknowledgement_hours)
        stale = [each for each in claimed if each.notification.event in NULL_REVERSE_PATH and each.notification.created_at < oldest]
        if stale:
            await self._write(lambda tx: [outbox.record_dropped(tx, each.notification.id, each.fence, STALE) for each in stale])
            STALE_DROPPED.inc(len(stale))
        return [each for each in claimed if each not in stale]

    async def sending(self, claimed: ClaimedNotification) -> bool:
        """Record, in a commit before MAIL FROM, that the mail is being sent; False when it is not ours any more."""
        row = (claimed.notification.id, claimed.fence)
        return self._ours(claimed, bool(await self._write(lambda tx: outbox.mark_sending(tx, [row], lease=self._settings.lease))))

    async def released(self, claimed: ClaimedNotification) -> None:
        """Give the mail back untouched."""
        row = (claimed.notification.id, claimed.fence)
        await self._write(lambda tx: outbox.release(tx, [row]))

    async def ended(self, claimed: ClaimedNotification, result: Submission) -> None:
        """Record how an attempt ended."""
        told = claimed.notification
        log.info("submitted", outbox_id=told.id, ticket_id=told.ticket_id, template=told.event.value, result=type(result).__name__.lower())
        if isinstance(result, Deferred):
            await self._deferred(claimed, result)
        elif isinstance(result, Rejected):
            await self.dead(claimed, result.error)
        elif self._ours(claimed, await self._write(lambda tx: outbox.record_sent(tx, told.id, claimed.fence, result.reply))):
            SENT.labels(told.event.value).inc()

    async def dead(self, claimed: ClaimedNotification, error: str) -> None:
        """Give up; the row stays where people see it."""
        told = claimed.notification
        if self._ours(claimed, await self._write(lambda tx: outbox.record_dead(tx, told.id, claimed.fence, error))):
            FAILED.labels(told.event.value, "dead").inc()
            log.error("mail given up", outbox_id=told.id, ticket_id=told.ticket_id, template=told.event.value)

    async def _deferred(self, claimed: ClaimedNotification, result: Deferred) -> None:
        """Try again later. When the relay was away the mail keeps its place: the worker waits for the relay instead."""
        told, now = claimed.notification, self._store.clock()
        if result.uncertain:
            UNCERTAIN.inc()
        due_at = now
        if not result.unreachable:
            give_up_after = timedelta(days=self._settings.give_up_after_days)
            later = next_attempt(
                attempts=told.attempts + 1, created_at=told.created_at, now=now, give_up_after=give_up_after, jitter=self._jitter()
            )
            if later is None:
                await self.dead(claimed, f"given up after {self._settings.give_up_after_days} days: {result.error}")
                return
            due_at = later
        retried = await self._write(
            lambda tx: outbox.record_retry(tx, told.id, claimed.fence, due_at=due_at, error=result.error, counted=not result.unreachable)
        )
        if self._ours(claimed, retried):
            FAILED.labels(told.event.value, "deferred").inc()

    def _ours(self, claimed: ClaimedNotification, recorded: bool) -> bool:
        if not recorded:
            LATE.inc()
            log.warning("late word refused", outbox_id=claimed.notification.id)
        return recorded
