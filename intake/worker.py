"""The triage worker: claim, parse in a child, handle; a whole life on one page (design 4)."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta

import msgspec
import structlog
from prometheus_client import Counter

from casework.context import Casework
from casework.handle import handle
from casework.part import Handled, Part
from casework.resends import MAX_FLUSHED, Repeat, Resends
from intake.batch import NO_NAMES, Batch, Names, Slice, parts_of, runs, slices, why_nothing
from intake.child import ParseRequest, ParseResult
from intake.context import GenericMapping
from intake.mail.signature import names_of_keys
from intake.outcomes import MESSAGES, count_handled, count_repeats
from intake.parse import DELIVERIES, deliveries, digest_of
from intake.signing_keys import SigningKeys
from itsm.envelope import MAIL_FORMAT, Outcome
from itsm.errors import Conflict, Transient, Unreadable
from rules.authentication import is_to_be_verified
from store import inbox, outcomes
from store.inbox import Claimed
from store.step import step
from store.store import Store
from store.transaction import Tx

BATCH = 200  # envelopes a claim
BATCH_BYTES = 32 * 1024 * 1024
MAX_DECISIONS_AGAIN = 5
REPLY_RETRY = timedelta(seconds=1)
IDLE_SECONDS = 1.0
FLUSH_SECONDS = 5.0  # between writes of the counts of re-sends while there is more to do every second

FAILED = Counter("triaged_intake_attempts_failed_total", "Attempts at triage that failed and are tried again or quarantined.")

_result_in = msgspec.msgpack.Decoder(ParseResult).decode
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
        resends: Resends | None = None,
        signing_keys: SigningKeys | None = None,
    ) -> None:
        """`mappings` gives those of the generic sources; `on_outgoing` is called after commits that may have queued notices.

        `resends` is the state cache, one of its own unless given; with `signing_keys` DKIM is verified where nobody else vouches for a mail.
        """
        self._store, self._run_batch, self._casework, self._mappings = store, run_batch, casework, mappings
        self._on_outgoing = on_outgoing
        self._resends = Resends() if resends is None else resends
        self._signing_keys = signing_keys
        self._flushed_at = 0.0  # by the loop's clock
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
        """Work until stopped: the next batch is claimed and parsed while one is handled. Transient errors are the supervisor's."""
        ahead: asyncio.Task[Batch | None] | None = None
        process = self._store.process_id
        await self._store.awrite(lambda tx: inbox.release_own(tx, process))  # what a store that went away let nobody give back
        try:
            while not self._stopping:
                ahead = ahead or asyncio.create_task(self._take())
                batch = await ahead
                ahead = None
                if batch is None:
                    quiet = await self._rest()
                else:
                    quiet = False
                    ahead = asyncio.create_task(self._take())
                    await self._finish(batch)
                if quiet or asyncio.get_running_loop().time() - self._flushed_at >= FLUSH_SECONDS:
                    await self._flush()
        finally:
            if ahead is not None:
                left = await ahead
                if left is not None:
                    await self._give_back(left.claimed)
        await self._flush()

    async def _rest(self) -> bool:
        """Wait until something comes; True when nothing did for a while, at the door neither."""
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return self._resends.rested()
        return False

    async def once(self) -> bool:
        """Triage one batch; False when there was nothing to take."""
        batch = await self._take()
        if batch is None:
            await self._flush()
            return False
        await self._finish(batch)
        return True

    async def _take(self) -> Batch | None:
        """Claim and parse; None when there is nothing."""
        self._wake.clear()  # before the claim: what is accepted after it wakes us again
        process = self._store.process_id
        claimed = await self._store.awrite(lambda tx: inbox.claim(tx, process_id=process, limit=BATCH, max_bytes=BATCH_BYTES))
        if not claimed:
            return None
        step("triage.claimed")
        try:
            self._resends.use(self._casework())
            repeats, named, bodies = await self._store.aread(lambda tx: self._look(tx, claimed))
            parsed = await self._parse([each for each in claimed if each.envelope.id not in repeats], bodies)
        except Unreadable:  # one of them, perhaps (F19): they are tried one at a time, like those that crashed the parser
            await self._fail(list(claimed), "its bytes cannot be read from the disk")
            return Batch(claimed=(), parsed={}, repeats={}, deliveries={})
        except (Transient, asyncio.CancelledError):
            await self._give_back(claimed)
            raise
        step("triage.parsed")
        return Batch(claimed=tuple(claimed), parsed=parsed, repeats=repeats, deliveries=named)

    def _look(self, tx: Tx, claimed: Sequence[Claimed]) -> tuple[dict[int, Repeat], dict[int, Names], dict[int, bytes]]:
        """Envelopes of which the state cache knows every part, what names the parts of the others, and the bytes of all."""
        alerts = [each.envelope for each in claimed if each.envelope.format in DELIVERIES and not each.outcomes]
        bodies = inbox.raw_bytes(tx, [each.envelope.id for each in claimed])
        repeats: dict[int, Repeat] = {}
        named: dict[int, Names] = {}
        for each in alerts:
            raw = bodies.get(each.id, b"")
            digest = digest_of(each.format, each.source, raw)
            body = self._resends.body(digest)
            if body is None:
                named[each.id] = Names(body=digest, parts=deliveries(each.format, each.source, raw))
                body = self._resends.find(digest, named[each.id].parts, each)
            if body is not None:
                repeats[each.id] = Repeat(envelope=each, body=body)
        return repeats, named, bodies

    async def _finish(self, batch: Batch) -> None:
        """Handle what was parsed; what cannot be done now is given back."""
        try:
            left = await self._settle(batch)
            if left:
                bodies = await self._store.aread(lambda tx: inbox.raw_bytes(tx, [each.envelope.id for each in left]))
                batch = msgspec.structs.replace(batch, parsed=batch.parsed | await self._parse(left, bodies))
            await self._handle_all(batch, settled=batch.repeats.keys() - {each.envelope.id for each in left})
        except (Transient, asyncio.CancelledError):
            await self._give_back(batch.claimed)
            raise
        self._on_outgoing()

    async def _settle(self, batch: Batch) -> list[Claimed]:
        """Record the repeats; returns those that must be parsed after all, because something is new about one of their series."""
        if not batch.repeats:
            return []
        changing, stale = batch.series(), set[int]()
        settled: set[int] = set()
        in_order = (batch.repeats[each.envelope.id] for each in batch.claimed if each.envelope.id in batch.repeats)
        for run in runs([each for each in in_order if not each.speaks_of(changing)]):
            settled |= await self._settle_run(run, stale)
        done = (batch.repeats[each.envelope.id] for each in batch.claimed if each.envelope.id in settled)
        count_repeats(((each.envelope, each.parts) for each in done), self._store.clock())
        return [each for each in batch.claimed if each.envelope.id in batch.repeats and each.envelope.id not in settled]

    async def _settle_run(self, run: list[Repeat], stale: set[int]) -> set[int]:
        try:
            held = await self._store.awrite(lambda tx: self._resends.settle(tx, run, stale), step="triage")
        except Conflict:  # somebody else decided one of them: each is looked at by itself
            return set()
        return {each.envelope.id for each in held}

    async def _flush(self) -> None:
        """Write the counts of re-sends; those somebody was faster with are tried again the next time."""
        self._flushed_at = asyncio.get_running_loop().time()
        for _ in range(0, self._resends.touched, MAX_FLUSHED):
            try:
                await self._store.awrite(self._resends.flush)
            except Conflict:
                return

    async def _give_back(self, claimed: Sequence[Claimed]) -> None:
        """Nothing was wrong with them: release what is still claimed, count nothing."""
        ids = [each.envelope.id for each in claimed]
        await self._store.awrite(lambda tx: inbox.release(tx, ids))

    async def _parse(self, claimed: Sequence[Claimed], bodies: Mapping[int, bytes]) -> dict[int, ParseResult]:
        """The parts of each envelope, by a child process; those whose child failed are missing."""
        if not claimed:
            return {}
        mappings = self._mappings()
        keys = await self._keys(claimed, bodies)
        requests = [
            msgspec.msgpack.encode(
                ParseRequest(
                    format=each.envelope.format,
                    source=each.envelope.source,
                    received_at=each.envelope.received_at,
                    return_path=each.envelope.reverse_path,
                    body=bodies.get(each.envelope.id, b""),
                    mapping=mappings.get(each.envelope.source),
                    keys=keys.get(each.envelope.id, {}),
                )
            )
            for each in claimed
        ]
        answers = await self._run_batch("parse", requests)
        return {each.envelope.id: _result_in(answer) for each, answer in zip(claimed, answers, strict=True) if answer is not None}

    async def _keys(self, claimed: Sequence[Claimed], bodies: Mapping[int, bytes]) -> dict[int, dict[str, bytes]]:
        """The keys of DKIM signatures by envelope, for mails that strangers brought to our own door."""
        if self._signing_keys is None:
            return {}
        trust = self._casework().trust
        asked = [each.envelope for each in claimed if each.envelope.format == MAIL_FORMAT and is_to_be_verified(each.envelope, trust)]
        names = {each.id: names_of_keys(bodies.get(each.id, b"")) for each in asked}
        found = await self._signing_keys.find(name for some in names.values() for name in some)
        return {id_: {name: found[name] for name in some if name in found} for id_, some in names.items()}

    async def _handle_all(self, batch: Batch, *, settled: AbstractSet[int]) -> None:
        failed = [each for each in batch.claimed if each.envelope.id not in batch.parsed and each.envelope.id not in settled]
        if failed:
            await self._fail(failed, "the parser crashed or took too long")
        every: list[Part] = []
        totals: dict[int, int] = {}
        for each in batch.claimed:
            result = batch.parsed.get(each.envelope.id)
            if result is None:
                continue
            parts = parts_of(each, result)
            if not parts:
                await self._quarantine(each, why_nothing(result))
            every += parts
            totals[each.envelope.id] = len(result.parts)
        given_up: set[int] = set()
        for some in slices(every, totals):
            await self._handle(some, batch, given_up)

    async def _quarantine(self, each: Claimed, reason: str) -> None:
        """A whole envelope nothing could be read of; its mail is counted like a part."""
        await self._store.awrite(lambda tx: inbox.quarantine(tx, each.envelope.id, reason))
        MESSAGES.labels(each.envelope.channel.value, Outcome.QUARANTINED.value).inc()
        log.warning("quarantined", inbox_id=each.envelope.id, reason=reason)

    async def _handle(self, some: Slice, batch: Batch, given_up: set[int]) -> None:
        """One transaction; decided again when somebody was faster, then one part at a time; what still fails is set aside.

        `given_up` are the envelopes of this batch that failed: their later parts wait for the next attempt.
        """
        parts = [part for part in some.parts if part.envelope.id not in given_up]
        if not parts:
            return
        try:
            handled = await self._decide(parts, some.counts)
        except (Transient, asyncio.CancelledError):
            raise
        except Exception as error:  # the per-item boundary: a bug must not stop the queue (P4)
            log.error("triage failed", parts=len(parts), error=repr(error), exc_info=True)
            ids = {part.envelope.id for part in parts}
            given_up |= ids
            await self._fail([each for each in batch.claimed if each.envelope.id in ids], f"triage failed: {error!r}")
            return
        self._remember(handled, batch.deliveries)
        await self._tell(handled)

    def _remember(self, handled: Sequence[Handled], named: Mapping[int, Names]) -> None:
        """Keep what was merged; a body of which that was the last part is known as a whole from now on, where all of it is."""
        for each in handled:
            names = named.get(each.part.envelope.id, NO_NAMES)
            if each.known is not None and each.part.seq < len(names.parts):
                self._resends.remember(names.parts[each.part.seq], each.known)
            if each.part.seq == len(names.parts) - 1:
                self._resends.find(names.body, names.parts, each.part.envelope)

    async def _decide(self, parts: Sequence[Part], counts: Sequence[tuple[int, int]]) -> list[Handled]:
        casework = self._casework()

        def work(tx: Tx) -> list[Handled]:
            outcomes.begin(tx, counts)
            return handle(tx, parts, casework, self._resends)

        for _ in range(MAX_DECISIONS_AGAIN):
            try:
                return await self._store.awrite(work, step="triage", again=False)
            except Conflict:
                continue
        if len(parts) == 1:
            raise Transient("one part kept losing against others")
        return [each for part in parts for each in await self._decide([part], counts)]

    async def _fail(self, claimed: list[Claimed], reason: str) -> None:
        FAILED.inc(len(claimed))
        await self._store.awrite(lambda tx: inbox.fail(tx, claimed, reason))
        log.warning("attempt failed", inbox_ids=[each.envelope.id for each in claimed][:10], reason=reason)

    async def _tell(self, handled: list[Handled]) -> None:
        now = self._store.clock()
        waiting = sorted({each.part.envelope.id for each in handled if each.outcome is None})
        if waiting:
            await self._store.awrite(lambda tx: inbox.release(tx, waiting, not_before=tx.now + REPLY_RETRY))
        done = [each for each in handled if each.outcome is not None]
        count_handled(done, now)
        alike: dict[tuple[int, Outcome], list[Handled]] = defaultdict(list)
        for each in done:
            if each.outcome is not None and each.outcome is not Outcome.DUPLICATE:
                alike[each.part.envelope.id, each.outcome].append(each)
        told = log.bind()  # once a commit: the logger of the module looks for how it is set up at every line
        for (inbox_id, outcome), some in alike.items():  # a line an outcome: of a body of thousands `explain` knows each part
            more = {"parts": len(some)} if len(some) > 1 else {}
            told.info("triaged", inbox_id=inbox_id, part=some[0].part.seq, outcome=outcome.value, ticket_id=some[0].ticket_id, **more)
