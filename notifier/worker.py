"""The notifier's worker: claim, render, record, send, record; a whole life on one page (design 4, P3)."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import assert_never

import msgspec
import structlog
from prometheus_client import Counter

from itsm.identifier import milliseconds_of
from itsm.token import Keys, mint_mark, mint_verp
from notifier.render import Identity, Rendered, RenderRequest
from notifier.schedule import next_attempt
from notifier.settings import NotifierSettings
from notifier.submit import Deferred, Delivered, Rejected, Submission, Submitter
from store import outbox
from store.outbox import ClaimedNotification
from store.step import step
from store.store import Store

IDLE_SECONDS = 2.0
LEASE = timedelta(minutes=20)  # outlives the wait for the answer to the final dot
UNREACHABLE_PAUSE_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
RENDER_RETRY = timedelta(seconds=30)
MAX_RENDER_ATTEMPTS = 3

# template: the event's name; result: sent, deferred, dead
SENT = Counter("triaged_outbox_sent_total", "Mails the relay took.", ["template"])
FAILED = Counter("triaged_outbox_failed_total", "Attempts that did not succeed.", ["template", "result"])
UNCERTAIN = Counter("triaged_outbox_uncertain_total", "Attempts whose answer to the final dot never came: a copy may be out.")
FALLBACKS = Counter("triaged_notifier_fallback_total", "Mails sent with the plain fall-back because a template failed.", ["template"])

log = structlog.get_logger("notifier")

RunBatch = Callable[[str, Sequence[bytes]], Awaitable[Sequence[bytes | None]]]


class Notifier:
    """Sends what the outbox holds until it is told to stop. `submitters` are used side by side, one mail each at a time."""

    def __init__(
        self,
        store: Store,
        *,
        settings: NotifierSettings,
        run_batch: RunBatch,
        identity: Callable[[], Identity],
        keys: Keys,
        submitters: Sequence[Submitter],
    ) -> None:
        """`identity` is asked anew for each batch, so that a reload counts."""
        self._store, self._settings, self._run_batch, self._identity, self._keys = store, settings, run_batch, identity, keys
        self._free: asyncio.Queue[Submitter] = asyncio.Queue()
        for each in submitters:
            self._free.put_nowait(each)
        self._submitters = list(submitters)
        self._wake = asyncio.Event()
        self._stopping = False
        self._unreachable = 0

    def wake(self) -> None:
        """Something may be due. Call it in the loop's thread."""
        self._wake.set()

    def stop(self) -> None:
        """Finish what is being sent, then end."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until stopped."""
        try:
            while not self._stopping:
                self._wake.clear()
                if not await self.once():
                    await self._rest(IDLE_SECONDS)
                elif self._unreachable:
                    await self._rest(UNREACHABLE_PAUSE_SECONDS[min(self._unreachable, len(UNREACHABLE_PAUSE_SECONDS)) - 1])
        finally:
            for each in self._submitters:
                await asyncio.to_thread(each.close)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def once(self) -> bool:
        """Send one batch; False when nothing was due."""
        expired = await self._store.awrite(outbox.release_expired)
        if expired:
            UNCERTAIN.inc(expired)
        process, limit = self._store.process_id, 1 if self._unreachable else self._settings.batch
        claimed = await self._store.awrite(lambda tx: outbox.claim(tx, process_id=process, limit=limit))
        if not claimed:
            return False
        step("outbox.claimed")
        ready = await self._rendered(claimed)
        bodies = await self._store.aread(lambda tx: outbox.rendered_bytes(tx, [each.notification.id for each, _ in ready]))
        fences = [(each.notification.id, each.fence) for each, _ in ready]
        ours = await self._store.awrite(lambda tx: outbox.mark_sending(tx, fences, lease=LEASE))
        step("outbox.sending")
        sending = [self._send(each, path, bodies[each.notification.id]) for each, path in ready if each.notification.id in ours]
        await asyncio.gather(*sending)
        return True

    async def _rendered(self, claimed: Sequence[ClaimedNotification]) -> list[tuple[ClaimedNotification, str]]:
        """Each with its reverse-path, its bytes stored; what could not be rendered is put off and left out."""
        ready = [(each, each.reverse_path) for each in claimed if each.reverse_path is not None]
        fresh = [each for each in claimed if each.reverse_path is None]
        answers = await self._run_batch("render", [self._request(each) for each in fresh]) if fresh else []
        kept: list[tuple[int, int, str, bytes]] = []
        for each, answer in zip(fresh, answers, strict=True):
            if answer is None:
                await self._put_off(each)
                continue
            rendered = msgspec.msgpack.decode(answer, type=Rendered)
            if rendered.fallback is not None:
                FALLBACKS.labels(each.notification.event.value).inc()
                log.error("template failed", template=each.notification.event.value, error=rendered.fallback)
            kept.append((each.notification.id, each.fence, rendered.reverse_path, rendered.message))
            ready.append((each, rendered.reverse_path))
        if kept:
            await self._store.awrite(lambda tx: outbox.store_rendered(tx, kept))
        step("outbox.rendered")
        return ready

    def _request(self, claimed: ClaimedNotification) -> bytes:
        told = claimed.notification
        return msgspec.msgpack.encode(
            RenderRequest(
                notification=told,
                identity=self._identity(),
                verp=mint_verp(self._keys, told.id),
                loop_mark=mint_mark(self._keys, told.message_id),
                date=told.created_at,
                templates=self._settings.templates,
            )
        )

    async def _put_off(self, claimed: ClaimedNotification) -> None:
        """The rendering child died or was too late; the third time the row is dead, and seen."""
        told = claimed.notification
        error = "rendering crashed or took too long"
        if told.attempts + 1 >= MAX_RENDER_ATTEMPTS:
            await self._store.awrite(lambda tx: outbox.record_dead(tx, told.id, claimed.fence, error))
            FAILED.labels(told.event.value, "dead").inc()
            return
        await self._store.awrite(lambda tx: outbox.record_retry(tx, told.id, claimed.fence, due_at=tx.now + RENDER_RETRY, error=error))

    async def _send(self, claimed: ClaimedNotification, reverse_path: str, body: bytes) -> None:
        told = claimed.notification
        submitter = await self._free.get()
        try:
            result = await asyncio.to_thread(submitter.submit, file_name(claimed), reverse_path, told.recipient, body)
        finally:
            self._free.put_nowait(submitter)
        step("outbox.submitted")
        await self._record(claimed, result)
        step("outbox.recorded")

    async def _record(self, claimed: ClaimedNotification, result: Submission) -> None:
        told, template = claimed.notification, claimed.notification.event.value
        match result:
            case Delivered():
                self._unreachable = 0
                await self._store.awrite(lambda tx: outbox.record_sent(tx, told.id, claimed.fence, result.reply))
                SENT.labels(template).inc()
            case Rejected():
                self._unreachable = 0
                await self._store.awrite(lambda tx: outbox.record_dead(tx, told.id, claimed.fence, result.error))
                FAILED.labels(template, "dead").inc()
            case Deferred():
                await self._defer(claimed, result)
            case _:
                assert_never(result)
        log.info("submitted", outbox_id=told.id, ticket_id=told.ticket_id, template=template, result=type(result).__name__.lower())

    async def _defer(self, claimed: ClaimedNotification, result: Deferred) -> None:
        told = claimed.notification
        self._unreachable = self._unreachable + 1 if result.unreachable else 0
        if result.uncertain:
            UNCERTAIN.inc()
        due_at = next_attempt(
            attempts=told.attempts,
            created_at=told.created_at,
            now=self._store.clock(),
            give_up_after=timedelta(days=self._settings.give_up_after_days),
            jitter=random.random(),  # noqa: S311 -- spreads retries, no secret
        )
        if due_at is None:
            await self._store.awrite(lambda tx: outbox.record_dead(tx, told.id, claimed.fence, f"given up: {result.error}"))
            FAILED.labels(told.event.value, "dead").inc()
            return
        await self._store.awrite(lambda tx: outbox.record_retry(tx, told.id, claimed.fence, due_at=due_at, error=result.error))
        FAILED.labels(told.event.value, "deferred").inc()


def file_name(claimed: ClaimedNotification) -> str:
    """A name that is the same each time the row is submitted, and sorts by when it was made."""
    told = claimed.notification
    return f"{milliseconds_of(told.id)}-{told.ticket_number}-{told.event.value}-{told.id}"
