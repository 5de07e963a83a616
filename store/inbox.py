"""The durable inbox: accepted envelopes with their raw bytes, claimed for triage, done part by part (design 4)."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, func, literal, literal_column, or_, select, union, update

from itsm.envelope import PENDING_CODE, Channel, Envelope, Outcome
from itsm.permission import EVERYTHING, Visible
from store import visibility
from store.bulk import BulkInsert
from store.chunking import in_lists
from store.instants import from_column, from_column_or_none, to_column
from store.lookup import Change, Lookup, Query, among
from store.schema import CHUNK_BYTES, inbox, part, raw
from store.threads import key_of
from store.transaction import Tx

_paths_in = msgspec.json.Decoder(tuple[str, ...]).decode
PENDING, DONE, QUARANTINED = "pending", "done", "quarantined"
MAX_REASON = 1000  # characters of a reason that are kept
MAX_ATTEMPTS = 3  # attempts made alone; the third that fails quarantines
LONGEST_PAUSE = timedelta(minutes=1)  # nobody is told to wait longer: what would was told so before the clock was set back (F28)


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope taken for triage. `outcomes` has a letter for each part, "" before the first parse."""

    envelope: Envelope
    attempts: int
    alone: bool
    part_count: int
    outcomes: str


class InboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope as `queue show` and the API show it."""

    envelope: Envelope
    state: str
    attempts: int
    part_count: int
    outcomes: str
    reason: str | None
    done_at: datetime | None


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope with its bytes, to be accepted."""

    envelope: Envelope
    body: bytes


COLUMNS = (  # of a new row
    "desk_id", "id", "state", "channel", "source", "format", "received_at", "reverse_path", "forward_paths", "peer", "login",
    "size_bytes", "message_id", "message_id_sha256", "edited_from",
)  # fmt: skip
_insert_rows = BulkInsert(inbox, *COLUMNS)
_insert_chunks = BulkInsert(raw, "desk_id", "inbox_id", "seq", "chunk")


def add_many(tx: Tx, arrived: Sequence[Arrived]) -> list[int]:
    """Accept envelopes: rows and chunks, one statement each; returns their ids. This is commit 1."""
    _insert_rows(tx, [row_values(tx, each.envelope) for each in arrived])
    _insert_chunks(
        tx,
        [
            (tx.desk_id, each.envelope.id, seq, each.body[at : at + CHUNK_BYTES])
            for each in arrived
            for seq, at in enumerate(range(0, max(len(each.body), 1), CHUNK_BYTES))
        ],
    )
    return [each.envelope.id for each in arrived]


def row_values(tx: Tx, envelope: Envelope) -> tuple[object, ...]:
    """In the order of COLUMNS. Nobody has parsed anything yet, so text is cleaned here: a row must never be refused for it."""
    message_id = envelope.message_id
    return (
        tx.desk_id,
        envelope.id,
        PENDING,
        envelope.channel.value,
        envelope.source,
        envelope.format,
        to_column(envelope.received_at),
        _clean(envelope.reverse_path),
        msgspec.json.encode([_clean(each) for each in envelope.forward_paths]).decode() if envelope.forward_paths else "[]",
        _clean(envelope.peer),
        _clean(envelope.login),
        envelope.size_bytes,
        _clean(message_id),
        key_of(message_id) if message_id else None,
        envelope.edited_from,
    )


def _clean(text: str | None) -> str | None:
    """Text without surrogates and NUL, which no database takes."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _envelope(row: Row[Any]) -> Envelope:
    return Envelope(
        id=row.id,
        channel=Channel(row.channel),
        source=row.source,
        format=row.format,
        received_at=from_column(row.received_at),
        reverse_path=row.reverse_path,
        forward_paths=_paths_in(row.forward_paths),
        peer=row.peer,
        login=row.login,
        size_bytes=row.size_bytes,
        message_id=row.message_id,
        edited_from=row.edited_from,
    )


def is_state(state: str) -> ColumnElement[bool]:
    """The state as a literal, so that the planner sees its partial index."""
    return inbox.c.state == literal(state, literal_execute=True)


_free = Query(
    select(inbox)
    .where(
        inbox.c.desk_id == bindparam("desk_id"),
        inbox.c.state == literal_column("'pending'"),  # as `is_state`, in a text that is compiled once
        inbox.c.claimed_by.is_(None),
        or_(inbox.c.not_before <= bindparam("now"), inbox.c.not_before > bindparam("latest")),
    )
    .order_by(inbox.c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True),  # on PostgreSQL: nobody waits for the claim of another
    *("desk_id", "now", "latest", "limit"),
)
_take = Change(
    update(inbox).where(inbox.c.desk_id == bindparam("desk_id"), among(inbox.c.id)).values(claimed_by=bindparam("claimed_by")),
    "claimed_by",
)


def claim(tx: Tx, *, process_id: int, limit: int, max_bytes: int) -> list[Claimed]:
    """Take the oldest free envelopes up to `limit` and `max_bytes` (at least one); one marked alone comes alone."""
    taken: list[Claimed] = []
    size_bytes = 0
    for row in _free(tx.connection, tx.desk_id, to_column(tx.now), to_column(tx.now + LONGEST_PAUSE), limit):
        size_bytes += row.size_bytes
        if taken and (row.alone or size_bytes > max_bytes):
            break
        taken.append(
            Claimed(envelope=_envelope(row), attempts=row.attempts, alone=bool(row.alone), part_count=row.part_count, outcomes=row.outcomes)
        )
        if row.alone:
            break
    _take(tx, (process_id,), [each.envelope.id for each in taken])
    return taken


def _set(tx: Tx, ids: Sequence[int], **values: object) -> None:
    for some in in_lists(ids):
        tx.connection.execute(update(inbox).where(inbox.c.desk_id == tx.desk_id, inbox.c.id.in_(some)).values(**values))


_chunks = Lookup(
    select(raw.c.inbox_id, raw.c.chunk)
    .where(raw.c.desk_id == bindparam("desk_id"), among(raw.c.inbox_id))
    .order_by(raw.c.inbox_id, raw.c.seq)
)


_elsewhere = Lookup(
    select(inbox.c.id, inbox.c.raw_of).where(inbox.c.desk_id == bindparam("desk_id"), inbox.c.raw_of.is_not(None), among(inbox.c.id))
)


def raw_bytes(tx: Tx, ids: Iterable[int]) -> dict[int, bytes]:
    """The stored bytes of envelopes, be they their own or those of the one they repeat; what retention removed is left out."""
    wanted = set(ids)
    found = _own_bytes(tx, wanted)
    elsewhere = {row.id: row.raw_of for row in _elsewhere(tx, wanted - found.keys())}
    theirs = _own_bytes(tx, elsewhere.values())
    return found | {inbox_id: theirs[other] for inbox_id, other in elsewhere.items() if other in theirs}


def _own_bytes(tx: Tx, ids: Iterable[int]) -> dict[int, bytes]:
    chunks: dict[int, list[bytes]] = {}
    for row in _chunks(tx, ids):
        chunks.setdefault(row.inbox_id, []).append(row.chunk)
    return {inbox_id: b"".join(parts) for inbox_id, parts in chunks.items()}


_paths = Lookup(select(inbox.c.id, inbox.c.forward_paths).where(inbox.c.desk_id == bindparam("desk_id"), among(inbox.c.id)))


def forward_paths(tx: Tx, ids: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """The envelope recipients of these envelopes; those that retention took are left out."""
    return {row.id: _paths_in(row.forward_paths) for row in _paths(tx, ids)}


def quarantine(tx: Tx, inbox_id: int, reason: str) -> None:
    """Set a whole envelope aside: its parse gave no parts, or it failed too often. It stays visible and can be retried."""
    here = update(inbox).where(
        inbox.c.desk_id == tx.desk_id, inbox.c.id == inbox_id, is_state(PENDING)
    )  # not what another finished meanwhile
    tx.connection.execute(here.values(state=QUARANTINED, reason=reason[:MAX_REASON], claimed_by=None, done_at=None))


def release(tx: Tx, ids: Sequence[int], *, not_before: datetime | None = None) -> None:
    """Give envelopes back, perhaps not before an instant; no attempt is counted."""
    _set(tx, ids, claimed_by=None, not_before=to_column(not_before) if not_before else 0)


def release_own(tx: Tx, process_id: int) -> int:
    """Give back what a process has claimed: when its worker begins anew, for then nothing is at hand."""
    mine = update(inbox).where(inbox.c.desk_id == tx.desk_id, is_state(PENDING), inbox.c.claimed_by == process_id)
    return tx.connection.execute(mine.values(claimed_by=None)).rowcount


def release_all(tx: Tx) -> int:
    """Give back every claim: at start of the one daemon of this data directory, nobody else can hold one.

    They were claimed by a process that died, perhaps of one of them, so they are tried alone.
    """
    claimed = update(inbox).where(inbox.c.desk_id == tx.desk_id, is_state(PENDING), inbox.c.claimed_by.is_not(None))
    return tx.connection.execute(claimed.values(claimed_by=None, alone=True)).rowcount


def fail(tx: Tx, claimed: Sequence[Claimed], reason: str) -> None:
    """An attempt failed. Those that were not alone are tried alone, uncounted; the third attempt alone quarantines."""
    _set(tx, [each.envelope.id for each in claimed if not each.alone], claimed_by=None, alone=True)
    for each in claimed:
        attempts = each.attempts + 1
        if not each.alone:
            continue
        if attempts >= MAX_ATTEMPTS:
            quarantine(tx, each.envelope.id, reason)
        else:
            later = to_column(tx.now + timedelta(seconds=attempts))
            _set(tx, [each.envelope.id], claimed_by=None, attempts=attempts, not_before=later, reason=reason[:MAX_REASON])


def _in_quarantine(tx: Tx, inbox_id: int) -> Row[Any] | None:
    """The row of an envelope that is quarantined, whole or in some of its parts."""
    query = select(inbox).where(inbox.c.desk_id == tx.desk_id, inbox.c.id == inbox_id)
    row = tx.connection.execute(query).one_or_none()
    if row is None or row.state == PENDING:
        return None
    return row if row.state == QUARANTINED or Outcome.QUARANTINED.code in row.outcomes else None


def _quarantined_parts(tx: Tx, inbox_id: int) -> tuple[ColumnElement[bool], ...]:
    return (part.c.desk_id == tx.desk_id, part.c.inbox_id == inbox_id, part.c.outcome == Outcome.QUARANTINED.value)


def retry(tx: Tx, inbox_id: int) -> bool:
    """Take an envelope, or those of its parts that are there, out of quarantine to be tried again; False when none is."""
    row = _in_quarantine(tx, inbox_id)
    if row is None:
        return False
    tx.connection.execute(delete(part).where(*_quarantined_parts(tx, inbox_id)))
    fresh = {"state": PENDING, "reason": None, "claimed_by": None, "attempts": 0, "alone": True, "not_before": 0, "done_at": None}
    _set(tx, [inbox_id], **fresh, outcomes=row.outcomes.replace(Outcome.QUARANTINED.code, PENDING_CODE))
    return True


def drop(tx: Tx, inbox_id: int, reason: str) -> bool:
    """End a quarantined envelope, or its quarantined parts, by a person's word; False when none is in quarantine."""
    row = _in_quarantine(tx, inbox_id)
    if row is None:
        return False
    dropped = Outcome.DROPPED.code
    outcomes = row.outcomes.replace(Outcome.QUARANTINED.code, dropped).replace(PENDING_CODE, dropped) or dropped
    tx.connection.execute(update(part).where(*_quarantined_parts(tx, inbox_id)).values(outcome=Outcome.DROPPED.value))
    done = {"state": DONE, "reason": reason[:MAX_REASON], "done_at": to_column(tx.now), "claimed_by": None}
    _set(tx, [inbox_id], **done, outcomes=outcomes, part_count=len(outcomes))
    return True


def _row(row: Row[Any]) -> InboxRow:
    return InboxRow(
        envelope=_envelope(row),
        state=row.state,
        attempts=row.attempts,
        part_count=row.part_count,
        outcomes=row.outcomes,
        reason=row.reason,
        done_at=from_column_or_none(row.done_at),
    )


def find(tx: Tx, inbox_id: int) -> InboxRow | None:
    """One envelope, or None."""
    row = tx.connection.execute(select(inbox).where(inbox.c.desk_id == tx.desk_id, inbox.c.id == inbox_id)).one_or_none()
    return _row(row) if row else None


def find_by_message_id(
    tx: Tx, message_id: str, *, limit: int = 20, visible: Visible = EVERYTHING, after_id: int | None = None
) -> list[InboxRow]:
    """Envelopes whose header scan found this Message-ID (no angle brackets), oldest first. `after_id` continues a page."""
    query = select(inbox).where(inbox.c.desk_id == tx.desk_id, inbox.c.message_id_sha256 == key_of(message_id))
    query = query.where(*visibility.of_envelopes(visible))
    if after_id is not None:
        query = query.where(inbox.c.id > after_id)
    return [_row(row) for row in tx.connection.execute(query.order_by(inbox.c.id).limit(limit))]


def _in_state(tx: Tx, state: str) -> Select[Any]:
    """Rows of a state; an envelope of which only parts are quarantined counts as quarantined too."""
    if state != QUARANTINED:
        return select(inbox).where(inbox.c.desk_id == tx.desk_id, is_state(state))
    whole = select(inbox.c.id).where(inbox.c.desk_id == tx.desk_id, is_state(QUARANTINED))
    in_part = part.c.outcome == literal(Outcome.QUARANTINED.value, literal_execute=True)
    ids = union(whole, select(part.c.inbox_id).where(part.c.desk_id == tx.desk_id, in_part))
    return select(inbox).where(inbox.c.desk_id == tx.desk_id, inbox.c.id.in_(ids))


def listed(tx: Tx, state: str, *, limit: int = 50, visible: Visible = EVERYTHING, before_id: int | None = None) -> list[InboxRow]:
    """The newest envelopes in a state. `before_id` continues a page."""
    query = _in_state(tx, state).where(*visibility.of_envelopes(visible))
    if before_id is not None:
        query = query.where(inbox.c.id < before_id)
    return [_row(row) for row in tx.connection.execute(query.order_by(inbox.c.id.desc()).limit(limit))]


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """How much waits and since when."""

    count: int
    oldest_at: datetime | None


def depth(tx: Tx, state: str) -> Depth:
    """The number and age of envelopes in `pending` or `quarantined`."""
    query = _in_state(tx, state).with_only_columns(func.count(), func.min(inbox.c.received_at))
    count, oldest = tx.connection.execute(query).one()
    return Depth(count=count, oldest_at=from_column_or_none(oldest))
