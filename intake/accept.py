"""Commit 1: bytes become an envelope, durable before anyone is told yes (P1, P5)."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
from prometheus_client import Counter, Gauge

from casework.context import Casework
from casework.resends import Body, Resends
from intake.outcomes import count_repeats
from intake.scan import message_id_of
from itsm.envelope import MAIL_FORMAT, Channel, Envelope
from itsm.errors import Transient
from store import idempotency, inbox
from store.inbox import Arrived
from store.store import Store
from store.transaction import Tx

STEP = "accept"

# channel: smtp, http, imap, pipe
ACCEPTED = Counter("triaged_accepted_total", "Envelopes accepted.", ["channel"])
_ACCEPTED = {channel: ACCEPTED.labels(channel.value) for channel in Channel}
LAST_SEEN = Gauge("triaged_source_last_seen_timestamp_seconds", "When a configured source was last heard.", ["source"])


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What a door has: the bytes and all it knows of them. `idempotency_key` is (door, key) where the transport gives an id.

    `received_at` is when a server before us received it (IMAP's INTERNALDATE), None for now; `digest` is `digest_of` the body where the
    door has it, so that one that came before as a whole can be told.
    """

    channel: Channel
    source: str
    body: bytes
    format: str = MAIL_FORMAT
    reverse_path: str | None = None
    forward_paths: tuple[str, ...] = ()
    peer: str = ""
    login: str | None = None
    idempotency_key: tuple[str, str] | None = None
    received_at: datetime | None = None
    digest: bytes | None = None


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope's id; `repeated` when a first answer was found and nothing was stored."""

    inbox_id: int
    repeated: bool = False


class Acceptor:
    """Takes what the doors bring. `gate` closes them all while we could not keep our word."""

    def __init__(
        self,
        store: Store,
        *,
        wake: Callable[[], None],
        pending_limit: int,
        minimum_free_bytes: int,
        resends: Resends | None = None,
        casework: Callable[[], Casework] | None = None,
    ) -> None:
        """`wake` is called in the loop's thread after something was accepted that waits for triage.

        `resends` is the state cache of the triage worker beside this door, under the rules in force: a body that it knows whole is ended here.
        """
        self._store, self._wake = store, wake
        self._resends, self._casework = resends, casework
        self._accept_known = resends.accept if resends is not None else None  # one object for every accept, as _add_many is
        self._pending_limit, self._minimum_free = pending_limit, minimum_free_bytes
        self.closed_because: Transient | None = None

    def look(self) -> None:
        """Look at the disk and the backlog; called by a timer, never per item."""
        free = shutil.disk_usage(self._store.directory).free
        pending = self._store.read(lambda tx: inbox.depth(tx, inbox.PENDING)).count
        if free < self._minimum_free:
            self.closed_because = Transient(f"only {free // 2**20} MiB of disk are free", enhanced="4.3.1", retry_seconds=60)
        elif pending >= self._pending_limit:
            self.closed_because = Transient(f"{pending} envelopes wait for triage", enhanced="4.3.2", retry_seconds=30)
        else:
            self.closed_because = None

    async def accept(self, arrival: Arrival, *, also: Callable[[Tx], None] | None = None) -> Accepted:
        """Store it and return after the commit; raises Transient (try later) or Conflict (the key was used for other bytes).

        `also` is a door's own work in the same commit, such as a checkpoint; it is done for a repeat too.
        """
        if self.closed_because is not None:
            raise self.closed_because
        arrived = self._arrived(arrival)
        if arrival.idempotency_key is None and also is None:
            body = self._known(arrival.digest, arrived.envelope.received_at)
            if body is not None:
                return await self._again(arrived, body)
            await self._store.awrite_many(_add_many, arrived, step=STEP)
            accepted = Accepted(inbox_id=arrived.envelope.id)
        else:
            accepted = await self._once(arrival.idempotency_key, arrived, also)
        if not accepted.repeated:
            _ACCEPTED[arrival.channel].inc()
            self._wake()
        return accepted

    @property
    def knows_bodies(self) -> bool:
        """Whether the digest of a body is of use here."""
        return self._resends is not None

    def _known(self, digest: bytes | None, now: datetime) -> Body | None:
        if digest is None or self._resends is None or self._casework is None:
            return None
        self._resends.use(self._casework())
        return self._resends.at_the_door(digest, now)

    async def _again(self, arrived: Arrived, body: Body) -> Accepted:
        """A body that came before as a whole: one commit accepts and ends it, unless something is new about one of its series."""
        assert self._accept_known is not None, "only the state cache knows a body"
        ended = await self._store.awrite_many(self._accept_known, (arrived, body), step=STEP)
        _ACCEPTED[arrived.envelope.channel].inc()
        if ended:
            count_repeats([(arrived.envelope, len(body.known))], self._store.clock())
        else:
            self._wake()
        return Accepted(inbox_id=arrived.envelope.id)

    def _arrived(self, arrival: Arrival) -> Arrived:
        envelope = Envelope(
            id=self._store.new_id(),
            channel=arrival.channel,
            source=arrival.source,
            format=arrival.format,
            received_at=arrival.received_at or self._store.clock(),
            reverse_path=arrival.reverse_path,
            forward_paths=arrival.forward_paths,
            peer=arrival.peer,
            login=arrival.login,
            size_bytes=len(arrival.body),
            message_id=message_id_of(arrival.body) if arrival.format == MAIL_FORMAT else None,
        )
        return Arrived(envelope=envelope, body=arrival.body)

    async def _once(self, key: tuple[str, str] | None, arrived: Arrived, also: Callable[[Tx], None] | None) -> Accepted:
        """The transport gave an id, or the door has work of its own: all in one transaction."""
        digest = hashlib.sha256(arrived.body).digest()

        def work(tx: Tx) -> Accepted:
            if also is not None:
                also(tx)
            first = idempotency.first_answer(tx, door=key[0], key=key[1], body_sha256=digest) if key else None
            if first is not None:
                return Accepted(inbox_id=first, repeated=True)
            inbox.add_many(tx, [arrived])
            if key is not None:
                idempotency.remember(tx, door=key[0], key=key[1], body_sha256=digest, inbox_id=arrived.envelope.id)
            return Accepted(inbox_id=arrived.envelope.id)

        return await self._store.awrite(work, step=STEP)


def _add_many(tx: Tx, arrived: Sequence[Arrived]) -> Sequence[int]:
    """One function object for every accept, so that neighbours in the writer's queue are done together."""
    return inbox.add_many(tx, arrived)
