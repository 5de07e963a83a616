"""The notifier's worker: claim, render, record, send, record; a whole life on one page (design 4, P3)."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import msgspec
import structlog
from prometheus_client import Counter, Gauge
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from itsm.address import canonical
from itsm.errors import Transient
from itsm.identifier import milliseconds_of
from itsm.notification import Notification
from itsm.token import Keys, ReplyToken, mint_mark, mint_reply, mint_verp
from notifier.child import decode_answer, render_one
from notifier.compose import File
from notifier.files import Files
from notifier.record import Recorder
from notifier.render import Identity, Rendered, RenderRequest, Unrenderable
from notifier.settings import NotifierSettings
from notifier.submit import Deferred, Submission, Submitter
from store import outbox, people
from store.outbox import ClaimedNotification
from store.step import step
from store.store import Store

IDLE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
MAX_DOUBLINGS = 6  # of a second, until the longest pause is reached
BYTES_GONE = "its bytes were removed by retention; a mail that may have gone out is never written anew"

RELAY_UP = Gauge("triaged_outbox_relay_up", "1 while the relay, or the folder, takes mail.")
FALLBACKS = Counter(
    "triaged_notifier_fallbacks_total", "Mails that said less because a template failed.", ["template"]
)  # template: the event

log = structlog.get_logger("notifier")

RunBatch = Callable[[str, Sequence[bytes]], Awaitable[Sequence[bytes | None]]]


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed mail whose bytes are stored."""

    claimed: ClaimedNotification
    reverse_path: str
    message: bytes


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
        self._files = Files(store, run_batch)
        self._jitter = random.random
        self._recorder = Recorder(store, settings=settings, jitter=self._jitter)
        self._submitters = tuple(submitters)
        self._free: asyncio.LifoQueue[Submitter] = asyncio.LifoQueue()  # the connection used last is the one least likely closed
        for each in submitters:
            self._free.put_nowait(each)
        self._wake, self._stop = asyncio.Event(), asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()  # each named by its row
        self._failures: list[BaseException] = []
        self._unreachable: str | None = None
        self._vain, self._in_vain = False, 0  # whether the relay let us in and took no mail, and how many rounds so far
        self._open = self._ending = False

    def wake(self) -> None:
        """Something may be due. Call it in the loop's thread."""
        self._wake.set()

    def stop(self) -> None:
        """Finish what is being sent, then end."""
        self._stop.set()
        self._wake.set()

    async def run(self) -> None:
        """Work until stopped; raises Transient when the store does not answer, and may be run again."""
        self._ending = False
        process = self._store.process_id
        await self._store.awrite(lambda tx: outbox.release_all(tx, process_id=process))
        try:
            await self._first_word()
            while not self._stop.is_set():
                self._wake.clear()
                if self._unreachable is not None:
                    await self._until_reachable()
                elif not await self._start_some():
                    await self._rest()
                self._raise_failure()
        finally:
            await self._drain()
        self._raise_failure()

    async def _first_word(self) -> None:
        """Ask the relay once though nothing may be due: the gauge tells from the start what is so, and a wrong setting is seen at once."""
        self._open = True
        with suppress(Transient):
            await self._probe()

    async def once(self) -> bool:
        """Claim and send one batch and wait for its end; False when nothing was due."""
        started = await self._start_some()
        while self._sending:
            await asyncio.wait(set(self._sending))
        self._raise_failure()
        return started

    async def _start_some(self) -> bool:
        """Claim as many as there is room for, store their bytes, and begin to send; False when nothing was due or no room."""
        process, limit = self._store.process_id, self._settings.batch - len(self._sending)
        if limit <= 0:
            return False
        lease, ours = self._settings.lease, tuple(int(task.get_name()) for task in self._sending)
        expired, claimed = await self._store.awrite(
            lambda tx: (outbox.release_expired(tx, longest=lease, but=ours), outbox.claim(tx, process_id=process, limit=limit))
        )
        if expired:
            self._recorder.expired(expired)
        if not claimed:
            return False
        step("outbox.claimed")
        for ready in await self._rendered(await self._recorder.without_stale(claimed)):
            task = asyncio.create_task(self._send(ready), name=str(ready.claimed.notification.id))
            self._sending.add(task)
            task.add_done_callback(self._ended)
        return True

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._sending.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._failures.append(error)
        self._wake.set()

    def _raise_failure(self) -> None:
        """What a mail's task failed by that is no affair of that mail: the store for long, or a bug; it ends the worker loudly."""
        if self._failures:
            raise self._failures.pop()

    async def _rest(self) -> None:
        """Wait until something may be due; a relay is not kept waiting with open connections meanwhile."""
        if self._open and not self._sending:
            self._open = False
            for each in self._submitters:
                await asyncio.to_thread(each.close)
        if self._in_vain and not self._sending and await self._store.aread(outbox.oldest_queued) is None:
            self._in_vain = 0  # the mails it did not take are gone, by a person's word
            self._heard(None)
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _rendered(self, claimed: Sequence[ClaimedNotification]) -> list[Ready]:
        """Each with its bytes, which are stored; bytes that are there already are used again. What cannot be a mail is dead."""
        again = [each for each in claimed if each.reverse_path is not None]
        fresh = [each for each in claimed if each.reverse_path is None]
        stored = await self._store.aread(lambda tx: outbox.rendered_bytes(tx, [each.notification.id for each in again]))
        ready, made = [], []
        for each in again:
            if message := stored.get(each.notification.id):
                ready.append(Ready(claimed=each, reverse_path=each.reverse_path or "", message=message))
            else:
                await self._recorder.dead(each, BYTES_GONE)
        for each, answer in zip(fresh, await self._render(fresh), strict=True):
            if isinstance(answer, Unrenderable):
                await self._recorder.dead(each, answer.reason)
                continue
            if answer.fallback is not None:
                FALLBACKS.labels(each.notification.event.value).inc()
                log.error(
                    "a template failed", template=each.notification.event.value, outbox_id=each.notification.id, error=answer.fallback
                )
            made.append(Ready(claimed=each, reverse_path=answer.reverse_path, message=answer.message))
        rows = [(each.claimed.notification.id, each.claimed.fence, each.reverse_path, each.message) for each in made]
        kept = await self._store.awrite(lambda tx: outbox.store_rendered(tx, rows)) if rows else set()
        step("outbox.rendered")
        return ready + [each for each in made if each.claimed.notification.id in kept]

    async def _render(self, fresh: Sequence[ClaimedNotification]) -> list[Rendered | Unrenderable]:
        """Render in a child; an item that brings the child down is rendered here with the plain text, which has no template."""
        if not fresh:
            return []
        threads = await self._store.aread(lambda tx: outbox.thread_before(tx, [each.notification for each in fresh]))
        languages = await self._languages([each.notification.recipient for each in fresh])
        files = await self._files.of([each.notification for each in fresh])
        requests = [
            self._request(
                each,
                threads.get(each.notification.id, ()),
                files.get(each.notification.id, ()),
                languages.get(canonical(each.notification.recipient), ""),
            )
            for each in fresh
        ]
        answers = list(await self._run_batch("render", [msgspec.msgpack.encode(each) for each in requests]))
        if len(answers) > 1:  # one may have spoilt the batch for all
            for at in [at for at, answer in enumerate(answers) if answer is None]:
                answers[at] = (await self._run_batch("render", [msgspec.msgpack.encode(requests[at])]))[0]
        return [_plain(request) if answer is None else decode_answer(answer) for request, answer in zip(requests, answers, strict=True)]

    async def _languages(self, recipients: Sequence[str]) -> dict[str, str]:
        """The readers' languages, which only texts of the desk's own can speak."""
        return await self._store.aread(lambda tx: people.languages(tx, recipients)) if self._settings.templates else {}

    def _request(self, claimed: ClaimedNotification, thread: tuple[str, ...], files: tuple[File, ...], language: str = "") -> RenderRequest:
        """What the bytes depend on; a mail that answers nothing of its own goes into the thread its reader knows."""
        told = claimed.notification
        if told.in_reply_to is None and not told.references and thread:
            told = msgspec.structs.replace(told, in_reply_to=thread[-1], references=thread)
        return RenderRequest(
            notification=told,
            identity=self._identity(),
            verp=mint_verp(self._keys, told.id),
            loop_mark=mint_mark(self._keys, told.message_id),
            date=told.created_at,
            reply_token=self._reply_token(told),
            files=files,
            templates=self._settings.templates,
            language=language,
        )

    def _reply_token(self, told: Notification) -> str:
        if told.reply_grant is None:
            return ""
        return mint_reply(self._keys, ReplyToken(ticket_number=told.ticket_number, grant=told.reply_grant))

    async def _send(self, ready: Ready) -> None:
        """One mail's attempt: a connection first, the record that it is being sent, the attempt, the record of its end."""
        claimed, self._open = ready.claimed, True
        submitter = await self._free.get()
        try:
            if self._unreachable is None and not self._ending:
                self._heard(await asyncio.to_thread(submitter.ready))
            if self._unreachable is not None or self._ending:
                await self._recorder.released(claimed)
                return
            if not await self._recorder.sending(claimed):
                return
            step("outbox.sending")
            result = await self._attempt(submitter, ready)
        finally:
            self._free.put_nowait(submitter)
        step("outbox.submitted")
        if isinstance(result, Deferred) and result.unreachable:
            self._vain = True
            self._heard(result.error)
        else:
            self._vain, self._in_vain = False, 0
            self._heard(self._unreachable)
        await self._recorder.ended(claimed, result)
        step("outbox.recorded")

    def _heard(self, trouble: str | None) -> None:
        """What a connection says of the relay now. Connections speak in any order, so the gauge follows each, even while one probes for all."""
        self._unreachable = trouble
        RELAY_UP.set(trouble is None and self._in_vain < 2)  # to be let in is not enough where mails were refused after it

    async def _attempt(self, submitter: Submitter, ready: Ready) -> Submission:
        told = ready.claimed.notification
        try:
            return await asyncio.to_thread(submitter.submit, file_name(ready.claimed), ready.reverse_path, told.recipient, ready.message)
        except Exception as error:  # the boundary of one mail: it is tried again and in the end dead, and the others go on
            log.exception("submission failed by a bug", outbox_id=told.id)
            return Deferred(error=f"internal: {type(error).__name__}", uncertain=True)

    async def _until_reachable(self) -> None:
        """Nothing is claimed while the relay is away: one probe for all, at growing distances, up to a minute (F52).

        A relay that lets us in and then takes no mail, however often, is asked at growing distances too.
        """
        RELAY_UP.set(0)
        log.warning("relay unreachable", error=self._unreachable)
        if self._vain:
            self._vain, self._in_vain = False, self._in_vain + 1
        if self._in_vain > 1:
            await self._pause((1.0 - self._jitter() / 2) * min(LONGEST_PAUSE_SECONDS, 2.0 ** min(self._in_vain, MAX_DOUBLINGS)))
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Transient),
            wait=wait_random_exponential(multiplier=0.5, max=LONGEST_PAUSE_SECONDS),
            stop=lambda _: self._stop.is_set(),
            sleep=self._pause,
            retry_error_callback=lambda _: None,
        )
        await retrying(self._probe)

    async def _probe(self) -> None:
        if self._free.empty():
            raise Transient("every connection still waits for an answer")
        submitter = self._free.get_nowait()
        try:
            trouble = await asyncio.to_thread(submitter.ready)
        finally:
            self._free.put_nowait(submitter)
        self._heard(trouble)
        if trouble is not None:
            raise Transient(trouble)
        log.info("relay reachable")

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    async def _drain(self) -> None:
        """Give what is being sent a few seconds, then cut the connections; what was not begun is given back."""
        self._ending = True
        try:
            while self._sending:
                await asyncio.wait(set(self._sending), timeout=self._settings.drain_seconds)
                self._abort()
        except asyncio.CancelledError:  # the process ends now: no thread may go on waiting for the relay
            self._abort()
            raise
        for each in self._submitters:
            await asyncio.to_thread(each.close)

    def _abort(self) -> None:
        for each in self._submitters:
            each.abort()


def _plain(request: RenderRequest) -> Rendered | Unrenderable:
    """What a child could not render, without any template, here."""
    try:
        return decode_answer(render_one(msgspec.msgpack.encode(msgspec.structs.replace(request, plain=True))))
    except Exception as error:  # the boundary of one mail: it is set aside and the others go on
        log.exception("rendering failed by a bug", outbox_id=request.notification.id)
        return Unrenderable(reason=f"internal: {type(error).__name__}")


def file_name(claimed: ClaimedNotification) -> str:
    """A name that is the same each time the row is submitted, and sorts by when it was made."""
    told = claimed.notification
    return f"{milliseconds_of(told.id)}-{told.ticket_number}-{told.event.value}-{told.id}"
