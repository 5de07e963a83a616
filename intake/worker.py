"""The triage worker: claim, parse in a child, handle; a whole life on one page (design 4)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog
from prometheus_client import Counter, Histogram

from casework.context import Casework
from casework.handle import handle
from casework.part import Handled, Part
from intake.child import ParseRequest, ParseResult
from intake.context import GenericMapping
from itsm.envelope import PENDING_CODE, Outcome
from itsm.errors import Conflict, Transient
from itsm.signal import Malformed
from store import inbox
from store.inbox import Claimed
from store.step import step
from store.store import Store
from store.transaction import Tx

BATCH = 200  # envelopes a claim
BATCH_BYTES = 32 * 1024 * 1024
RUN = 2_000  # parts of one body a transaction (design 4)
SLICE = 100  # mails a transaction, so that a door waits at most about 20 ms
MAX_DECISIONS_AGAIN = 5
REPLY_RETRY = timedelta(seconds=1)
IDLE_SECONDS = 1.0

# outcome: created, appended, linked, duplicate, suppressed, recorded, refused, quarantined, dropped
MESSAGES = Counter("triaged_intake_messages_total", "Parts by their first outcome.", ["channel", "outcome"])
LAG = Histogram(
    "triaged_intake_lag_seconds",
    "Received to committed decision.",
    ["channel"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 600),
)
FAILED = Counter("triaged_intake_attempts_failed_total", "Attempts at triage that failed and are tried again or quarantined.")

log = structlog.get_logger("triage")

RunBatch = Callable[[str, Sequence[bytes]], Awaitable[Sequence[bytes | None]]]  # None: the child died or was too late


class Triage:
    """Takes envelopes from the inbox until it is told to stop. `casework` gives the rules in force."""

    def __init__(
        self,
        store: Store,
        *,
        run_batch: RunBatch,
        casework: Callable[[], Casework],
        mappings: Callable[[], Mapping[str, GenericMapping]],
        on_outgoing: Callable[[], None],
    ) -> None:
        """`mappings` gives those of the generic sources; `on_outgoing` is called after commits that may have queued notices."""
        self._store, self._run_batch, self._casework, self._mappings = store, run_batch, casework, mappings
        self._on_outgoing = on_outgoing
        self._wake = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Something was accepted. Call it in the loop's thread."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the batch at hand, then end."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until stopped; Transient errors of the store are the supervisor's to retry."""
        while not self._stopping:
            self._wake.clear()
            if not await self.once():
                try:
                    async with asyncio.timeout(IDLE_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def once(self) -> bool:
        """Triage one batch; False when there was nothing to take."""
        process = self._store.process_id
        claimed = await self._store.awrite(lambda tx: inbox.claim(tx, process_id=process, limit=BATCH, max_bytes=BATCH_BYTES))
        if not claimed:
            return False
        step("triage.claimed")
        try:
            parsed = await self._parse(claimed)
            step("triage.parsed")
            await self._handle_all(claimed, parsed)
        except (Transient, asyncio.CancelledError):
            await self._give_back(claimed)
            raise
        self._on_outgoing()
        return True

    async def _give_back(self, claimed: Sequence[Claimed]) -> None:
        """Nothing was wrong with them: release what is still claimed, count nothing."""
        ids = [each.envelope.id for each in claimed]
        await self._store.awrite(lambda tx: inbox.release(tx, ids))

    async def _parse(self, claimed: Sequence[Claimed]) -> dict[int, ParseResult]:
        """The parts of each envelope, by a child process; those whose child failed are missing."""
        ids = [each.envelope.id for each in claimed]
        mappings = self._mappings()
        bodies = await self._store.aread(lambda tx: inbox.raw_bytes(tx, ids))
        requests = [
            msgspec.msgpack.encode(
                ParseRequest(
                    format=each.envelope.format,
                    source=each.envelope.source,
                    received_at=each.envelope.received_at,
                    return_path=each.envelope.reverse_path,
                    body=bodies.get(each.envelope.id, b""),
                    mapping=mappings.get(each.envelope.source),
                )
            )
            for each in claimed
        ]
        answers = await self._run_batch("parse", requests)
        return {
            each.envelope.id: msgspec.msgpack.decode(answer, type=ParseResult)
            for each, answer in zip(claimed, answers, strict=True)
            if answer is not None
        }

    async def _handle_all(self, claimed: Sequence[Claimed], parsed: dict[int, ParseResult]) -> None:
        failed = [each for each in claimed if each.envelope.id not in parsed]
        if failed:
            await self._fail(failed, "the parser crashed or took too long")
        small: list[Part] = []
        for each in claimed:
            result = parsed.get(each.envelope.id)
            if result is None:
                continue
            parts = parts_of(each, result)
            if not parts:
                await self._quarantine(each, why_nothing(result))
            elif len(result.parts) == 1:
                small += parts
            else:
                await self._handle_runs(each, parts, len(result.parts))
        for at in range(0, len(small), SLICE):
            await self._handle(small[at : at + SLICE], claimed)

    async def _quarantine(self, each: Claimed, reason: str) -> None:
        """A whole envelope nothing could be read of; its mail is counted like a part."""
        await self._store.awrite(lambda tx: inbox.quarantine(tx, each.envelope.id, reason))
        MESSAGES.labels(each.envelope.channel.value, Outcome.QUARANTINED.value).inc()
        log.warning("quarantined", inbox_id=each.envelope.id, reason=reason)

    async def _handle_runs(self, each: Claimed, parts: list[Part], count: int) -> None:
        """A body of many parts, in runs of one commit each; after a crash it goes on at the first part without outcome."""
        inbox_id = each.envelope.id
        await self._store.awrite(lambda tx: inbox.begin_parts(tx, [(inbox_id, count)]))
        for at in range(0, len(parts), RUN):
            await self._handle(parts[at : at + RUN], [each])

    async def _handle(self, parts: list[Part], claimed: Sequence[Claimed]) -> None:
        """One transaction; decided again when somebody was faster, then one part at a time; what still fails is set aside."""
        try:
            handled = await self._decide(parts)
        except (Transient, asyncio.CancelledError):
            raise
        except Exception as error:  # the per-item boundary: a bug must not stop the queue (P4)
            log.error("triage failed", parts=len(parts), error=repr(error), exc_info=True)
            ids = {part.envelope.id for part in parts}
            await self._fail([each for each in claimed if each.envelope.id in ids], f"triage failed: {error!r}")
            return
        await self._tell(handled)

    async def _decide(self, parts: list[Part]) -> list[Handled]:
        casework = self._casework()

        def work(tx: Tx) -> list[Handled]:
            return handle(tx, parts, casework)

        for _ in range(MAX_DECISIONS_AGAIN):
            try:
                return await self._store.awrite(work, step="triage", again=False)
            except Conflict:
                continue
        if len(parts) == 1:
            raise Transient("one part kept losing against others")
        return [each for part in parts for each in await self._decide([part])]

    async def _fail(self, claimed: list[Claimed], reason: str) -> None:
        FAILED.inc(len(claimed))
        await self._store.awrite(lambda tx: inbox.fail(tx, claimed, reason))
        log.warning("attempt failed", inbox_ids=[each.envelope.id for each in claimed][:10], reason=reason)

    async def _tell(self, handled: list[Handled]) -> None:
        now = self._store.clock()
        waiting = sorted({each.part.envelope.id for each in handled if each.outcome is None})
        if waiting:
            await self._store.awrite(lambda tx: inbox.release(tx, waiting, not_before=tx.now + REPLY_RETRY))
        for each in handled:
            if each.outcome is not None:
                _count(each, now)


def _count(handled: Handled, now: datetime) -> None:
    envelope, outcome = handled.part.envelope, handled.outcome
    assert outcome is not None
    MESSAGES.labels(envelope.channel.value, outcome.value).inc()
    LAG.labels(envelope.channel.value).observe(max(0.0, (now - envelope.received_at).total_seconds()))
    if outcome is not Outcome.DUPLICATE:
        log.info("triaged", inbox_id=envelope.id, part=handled.part.seq, outcome=outcome.value, ticket_id=handled.ticket_id)


def parts_of(claimed: Claimed, result: ParseResult) -> list[Part]:
    """The parts that have no outcome yet; none when nothing of the body could be read."""
    if all(isinstance(each, Malformed) for each in result.parts):
        return []
    done = claimed.outcomes
    return [
        Part(envelope=claimed.envelope, seq=seq, signal=signal)
        for seq, signal in enumerate(result.parts)
        if seq >= len(done) or done[seq] == PENDING_CODE
    ]


def why_nothing(result: ParseResult) -> str:
    """What to tell the person who looks at the quarantine."""
    reasons = [f"{each.reason} {each.detail}".strip() for each in result.parts if isinstance(each, Malformed)]
    return "; ".join(reasons[:3]) or "the parse gave no parts"
