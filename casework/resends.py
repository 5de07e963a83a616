"""The state cache: unchanged re-sends of alerts are known by their octets, and cost one look at the version of their series.

A delivery is remembered after the commit that merged it. While the row of its series has the version of that commit, the
same octets are a `duplicate` (rules.resend); the version is read in the transaction that says so, so neither a restart, nor
another replica, nor a resolve in between can make the cache lie. A body of which every delivery is known is remembered as a
whole by its hash, with the last of them: it need not be cut into alerts again, and its versions hold as long as nobody wrote a
series (the stamp of store.series_rows), and the door ends its re-sends in the commit that accepts them (ADR-0016). Counts and times
of re-sends are gathered here and written in batches: a crash may lose those of the last seconds, never an outcome.
"""

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from casework.context import Casework
from casework.workspace import Workspace
from itsm.envelope import MAIL_FORMAT, Envelope, Outcome
from rules.resend import Touch, together, touched
from store import inbox, outcomes, same_bodies, series_rows, tickets
from store.series_rows import SeriesRow
from store.transaction import Tx

MAX_DELIVERIES = 100_000
MAX_PLACES = 250_000  # in the bodies that are kept, one a delivery and some for each body: what they alone still hold is bounded too
PLACES_A_BODY = 32
MAX_FLUSHED = 500  # series a transaction
MAX_AT_THE_DOOR = 1_000  # parts of a body that the door's commit may look at
MAX_WAITING = 100  # envelopes that are looked at to tell whether there is news among them
STORED_AGAIN = timedelta(hours=1)  # so long a body's bytes are not stored again


def tag_of(source: str, series_key: str) -> int:
    """What tells series apart here. Two that share it are judged in full where one of them may have changed, which is right for both."""
    return hash((source, series_key))


class Known(msgspec.Struct, kw_only=True, eq=False, gc=False):
    """A delivery that was merged: its series as that commit left it, the incident it counts for, and what one more of it touches.

    `version` alone changes: it follows the writes of counts, which are ours. There are very many: half a kilobyte with all it holds.
    """

    series: int  # its tag
    series_id: int
    version: int
    ticket_id: int | None
    started_at: datetime | None
    firing: bool


class Body(msgspec.Struct, kw_only=True, eq=False):
    """A body of which every delivery was merged. `checked` is the stamp under which the versions were read last.

    `raw_of` is the envelope that has its bytes, since `stored_at`. `count` and `received_at` are of its re-sends that are not dealt out to
    their series yet.
    """

    digest: bytes
    known: tuple[Known, ...]
    raw_of: int
    stored_at: datetime
    checked: object = None
    count: int = 0
    received_at: datetime | None = None


class Repeat(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope of which every part is known."""

    envelope: Envelope
    body: Body

    @property
    def parts(self) -> int:
        """How many it has."""
        return len(self.body.known)

    def speaks_of(self, series: set[int]) -> bool:
        """Whether one of its parts is a delivery of one of these series, by their tags."""
        return bool(series) and any(known.series in series for known in self.body.known)


class Resends:
    """Bounded; what was remembered first is forgotten first. Safe to use from any thread."""

    def __init__(self, limit: int = MAX_DELIVERIES) -> None:
        """Empty; `limit` 0 remembers nothing."""
        self._limit = limit
        self._known: dict[bytes, Known] = {}
        self._bodies: dict[bytes, Body] = {}
        self._places = 0
        self._waiting: dict[int, Body] = {}  # whose re-sends are not dealt out, by their id: two may have the same octets
        self._touches: dict[int, tuple[Known, Touch]] = {}
        self._casework: Casework | None = None
        self._unsettled: set[int] = set()  # envelopes of known bodies that a door could not end
        self._busy = False
        self._lock = threading.Lock()

    def use(self, casework: Casework) -> None:
        """Forget everything when these are not the rules of before: they may say something else."""
        if casework is not self._casework:
            with self._lock:
                self._casework = casework
                self._known.clear()
                self._bodies.clear()
                self._places = 0

    def body(self, digest: bytes) -> Body | None:
        """The body of that hash, None when it is not known as a whole."""
        return self._bodies.get(digest)

    def at_the_door(self, digest: bytes, now: datetime) -> Body | None:
        """The body of that hash where a door may end it: its bytes are stored, not too long ago, and it is not too large."""
        body = self._bodies.get(digest)
        return body if body is not None and len(body.known) <= MAX_AT_THE_DOOR and now - body.stored_at < STORED_AGAIN else None

    def find(self, digest: bytes, deliveries: Sequence[bytes], envelope: Envelope) -> Body | None:
        """The body of these deliveries, None when one of them is not known; from now on it is known by its hash."""
        found = []
        for each in deliveries:
            known = self._known.get(each)
            if known is None:
                return None
            found.append(known)
        if not found:
            return None
        body = Body(digest=digest, known=tuple(found), raw_of=envelope.id, stored_at=envelope.received_at)
        with self._lock:
            self._forget(digest)
            self._bodies[digest] = body
            self._places += len(found) + PLACES_A_BODY
            while self._places > MAX_PLACES:
                self._forget(next(iter(self._bodies)))
        return body

    def _forget(self, digest: bytes) -> None:
        body = self._bodies.pop(digest, None)
        if body is not None:
            self._places -= len(body.known) + PLACES_A_BODY

    def remember(self, delivery: bytes, known: Known) -> None:
        """Keep a delivery that was committed."""
        if not self._limit:
            return
        with self._lock:
            self._known.pop(delivery, None)
            while len(self._known) >= self._limit:
                del self._known[next(iter(self._known))]
            self._known[delivery] = known

    def settle(self, tx: Tx, repeats: Sequence[Repeat], stale: set[int]) -> list[Repeat]:
        """Record those that hold as duplicates and return them; adds series that have moved on to `stale`.

        One that speaks of such a series is left, so that deliveries of a series are judged in their order. Raises Conflict
        when somebody else decided one of the envelopes.
        """
        held = self._holding(tx, repeats, stale)
        outcomes.record_same(tx, [(each.envelope.id, each.parts) for each in held], Outcome.DUPLICATE)
        tx.on_commit(lambda: self._stored(held))
        return held

    def accept(self, tx: Tx, arrived: Sequence[tuple[inbox.Arrived, Body]]) -> list[bool]:
        """Accept envelopes of known bodies, and tell of each whether that was all: else it is stored whole and waits for triage.

        While something waits that may be news of the same series nothing is ended here.
        """
        repeats = [Repeat(envelope=each.envelope, body=body) for each, body in arrived]
        held = [] if self._news_waits(tx) else self._holding(tx, repeats, set())
        same_bodies.add_many(tx, [(each.envelope, each.parts, each.body.raw_of) for each in held], Outcome.DUPLICATE)
        ended = {each.envelope.id for each in held}
        left = [each for each, _ in arrived if each.envelope.id not in ended]
        inbox.add_many(tx, left)
        if left:
            tx.on_commit(lambda: self._wait(left))
        return [each.envelope.id in ended for each, _ in arrived]

    def _news_waits(self, tx: Tx) -> bool:
        """Whether an envelope waits that may say something new of a series.

        A known body does not: a part of it is unchanged, or of a series that has moved on, which whoever speaks of it finds out.
        A mail does where one may be an event.
        """
        waiting = same_bodies.waiting(tx, MAX_WAITING)
        with self._lock:
            self._unsettled.intersection_update([inbox_id for inbox_id, _ in waiting])
        extracts = self._casework is not None and bool(self._casework.ruleset.extractions)
        return len(waiting) == MAX_WAITING or any(
            inbox_id not in self._unsettled and (extracts or format_ != MAIL_FORMAT) for inbox_id, format_ in waiting
        )

    def _holding(self, tx: Tx, repeats: Sequence[Repeat], stale: set[int]) -> list[Repeat]:
        """Those of which no series has moved on: they are counted with the commit."""
        stamp = series_rows.stamp(tx)
        bodies = {id(each.body): each.body for each in repeats}
        unsure = [body for body in bodies.values() if stamp is None or body.checked != stamp]
        versions = series_rows.versions(tx, {known.series_id for body in unsure for known in body.known})
        for body in unsure:
            stale |= {known.series_id for known in body.known if versions.get(known.series_id) != known.version}
        moved = {at for at, body in bodies.items() if stale and any(known.series_id in stale for known in body.known)}
        held = [each for each in repeats if id(each.body) not in moved]
        checked = [body for body in unsure if id(body) not in moved]
        tx.on_commit(lambda: self._settled(held, checked, stamp, [bodies[at].digest for at in moved]))
        return held

    def _settled(self, held: Iterable[Repeat], checked: Iterable[Body], stamp: object, moved: Iterable[bytes]) -> None:
        with self._lock:
            for body in checked:
                body.checked = stamp
            for digest in moved:
                self._forget(digest)
            self._busy = self._busy or bool(held)
            for each in held:
                body, received_at = each.body, each.envelope.received_at
                body.count += 1
                body.received_at = received_at if body.received_at is None else max(body.received_at, received_at)
                self._waiting[id(body)] = body

    def _stored(self, held: Iterable[Repeat]) -> None:
        """Their bytes were stored once more: from now on they are those of the body."""
        with self._lock:
            for each in held:
                each.body.raw_of, each.body.stored_at = each.envelope.id, each.envelope.received_at

    def _wait(self, left: Iterable[inbox.Arrived]) -> None:
        with self._lock:
            self._unsettled.update(each.envelope.id for each in left)

    def rested(self) -> bool:
        """Whether nothing came again since this was asked last."""
        with self._lock:
            busy, self._busy = self._busy, False
        return not busy

    def _deal_out(self) -> None:
        """Give the re-sends of bodies to the series they speak of. Call it with the lock held."""
        for body in self._waiting.values():
            assert body.received_at is not None, "a body that waits was received"
            for known in body.known:
                one = Touch(started_at=known.started_at, firing=known.firing, count=body.count, received_at=body.received_at)
                _, before = self._touches.get(known.series_id, (known, None))
                self._touches[known.series_id] = known, together(before, one) if before else one
            body.count, body.received_at = 0, None
        self._waiting.clear()

    @property
    def touched(self) -> int:
        """How many series have re-sends that are not written yet, at most."""
        with self._lock:
            return len(self._touches) + sum(len(body.known) for body in self._waiting.values())

    def overlay(self, tx: Tx, workspace: Workspace) -> None:
        """Add what is not written yet to the series that were loaded; with the transaction's commit it is written."""
        with self._lock:
            self._deal_out()
        done: list[tuple[Known, Touch]] = []
        for key, row in workspace.series.items():
            waiting = self._touches.get(row.state.id)
            if waiting is not None:
                workspace.series[key] = _with(row, *waiting)
                _count(workspace.event_counts, *waiting)
                done.append(waiting)
        if done:
            tx.on_commit(lambda: self._written(done))

    def flush(self, tx: Tx) -> int:
        """Write the re-sends of at most 500 series; returns how many. Raises Conflict when somebody was faster."""
        with self._lock:
            self._deal_out()
            some = [each for each, _ in zip(self._touches.values(), range(MAX_FLUSHED), strict=False)]
        rows = series_rows.by_ids(tx, [known.series_id for known, _ in some])
        found = [(known, touch) for known, touch in some if known.series_id in rows]
        ours = [known for known, _ in found if rows[known.series_id].version == known.version]
        followed = len(ours) == len(found)
        series_rows.keep_many(tx, [_with(rows[known.series_id], known, touch) for known, touch in found], followed=followed)
        counts: dict[int, int] = {}
        for known, touch in some:
            _count(counts, known, touch)
        tickets.count_events(tx, counts)
        tx.on_commit(lambda: self._flushed(some, ours))
        return len(some)

    def _flushed(self, some: Sequence[tuple[Known, Touch]], ours: Sequence[Known]) -> None:
        self._written(some)
        with self._lock:
            for known in ours:
                known.version += 1

    def _written(self, some: Sequence[tuple[Known, Touch]]) -> None:
        with self._lock:
            for known, touch in some:
                now = self._touches.pop(known.series_id, None)
                if now is not None and now[1].count > touch.count:
                    left = msgspec.structs.replace(now[1], count=now[1].count - touch.count)
                    self._touches[known.series_id] = now[0], left


def _with(row: SeriesRow, known: Known, touch: Touch) -> SeriesRow:
    """The row after the re-sends; where somebody changed it since they were judged only its counts move."""
    plain = touch if row.version == known.version else msgspec.structs.replace(touch, started_at=None)
    return msgspec.structs.replace(row, state=touched(row.state, plain))


def _count(counts: dict[int, int], known: Known, touch: Touch) -> None:
    if known.ticket_id is not None:
        counts[known.ticket_id] = counts.get(known.ticket_id, 0) + touch.count
