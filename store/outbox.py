"""The durable outbox: one row is one recipient and one Message-ID; what was rendered once is sent again byte for byte (P3)."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BindParameter, Row, Update, and_, bindparam, case, exists, func, insert, literal, or_, select, update

from itsm.notification import DeliveryState, Event, Notification, StoredFile
from itsm.permission import EVERYTHING, Visible
from store import visibility
from store.bulk import BulkInsert
from store.chunking import in_lists
from store.instants import from_column, from_column_or_none, to_column
from store.schema import CHUNK_BYTES, outbox, outbox_raw
from store.threads import key_of
from store.transaction import Tx

ORDER_WINDOW = timedelta(minutes=15)  # an earlier mail that is due later than this does not hold up the next
LONGEST_WAIT = timedelta(hours=6)  # no mail is queued for later than that (`notifier.schedule`)
MAX_THREAD_ROWS = 1_000  # of the tickets of one run, newest first


# Literals in the words and order of the index of unsettled rows: only so the planner sees it.
_UNSETTLED: BindParameter[tuple[str, ...]] = bindparam(
    "unsettled", (DeliveryState.QUEUED.value, DeliveryState.SENDING.value), expanding=True, literal_execute=True
)


class ClaimedNotification(msgspec.Struct, frozen=True, kw_only=True):
    """A notification taken for sending; `fence` guards every later word about it, `rendered` tells that its bytes are stored."""

    notification: Notification
    fence: int
    reverse_path: str | None
    rendered: bool


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the outbox as `queue show` and the API show it."""

    notification: Notification
    sent_at: datetime | None
    relay_reply: str | None
    last_error: str | None
    bounced_at: datetime | None


_insert = BulkInsert(
    outbox,
    *("desk_id", "id", "ticket_id", "ticket_number", "event", "state", "recipient", "recipient_name", "message_id", "message_id_sha256"),
    *("in_reply_to", "reference_ids", "facts", "suppressed_because", "created_at", "due_at", "reply_grant", "attachments"),
)
_encode = msgspec.json.Encoder().encode


def enqueue(tx: Tx, notifications: Sequence[Notification]) -> None:
    """Insert rows, those that must not be sent with their reason."""
    rows = [
        (
            tx.desk_id,
            each.id,
            each.ticket_id,
            each.ticket_number,
            each.event.value,
            each.state.value,
            each.recipient,
            each.recipient_name,
            each.message_id,
            key_of(each.message_id),
            each.in_reply_to,
            _encode(each.references).decode(),
            _encode(each.facts).decode(),
            each.suppressed_because,
            to_column(each.created_at),
            to_column(each.due_at),
            each.reply_grant,
            _encode(each.attachments).decode(),
        )
        for each in notifications
    ]
    _insert(tx, rows)


def _notification(row: Row[Any]) -> Notification:
    return Notification(
        id=row.id,
        ticket_id=row.ticket_id,
        ticket_number=row.ticket_number,
        event=Event(row.event),
        recipient=row.recipient,
        recipient_name=row.recipient_name,
        message_id=row.message_id,
        in_reply_to=row.in_reply_to,
        references=msgspec.json.decode(row.reference_ids, type=tuple[str, ...]),
        facts=msgspec.json.decode(row.facts, type=dict[str, str]),
        created_at=from_column(row.created_at),
        due_at=from_column(row.due_at),
        state=DeliveryState(row.state),
        attempts=row.attempts,
        suppressed_because=row.suppressed_because,
        reply_grant=row.reply_grant,
        attachments=msgspec.json.decode(row.attachments, type=tuple[StoredFile, ...]),
    )


def claim(tx: Tx, *, process_id: int, limit: int) -> list[ClaimedNotification]:
    """Take due rows, oldest first; in order per ticket and recipient: a row waits for the unsettled one before it."""
    now, earlier = to_column(tx.now), outbox.alias("earlier")
    blocked = exists(
        select(earlier.c.id).where(
            earlier.c.desk_id == outbox.c.desk_id,
            earlier.c.ticket_id == outbox.c.ticket_id,
            earlier.c.recipient == outbox.c.recipient,
            earlier.c.id < outbox.c.id,
            earlier.c.state.in_(_UNSETTLED),
            earlier.c.due_at <= to_column(tx.now + ORDER_WINDOW),
        )
    )
    free = and_(outbox.c.state == DeliveryState.QUEUED.value, outbox.c.due_at <= now, outbox.c.claimed_by.is_(None), ~blocked)
    query = select(outbox).where(outbox.c.desk_id == tx.desk_id, free).order_by(outbox.c.due_at, outbox.c.id).limit(limit)
    query = query.with_for_update(skip_locked=True, of=outbox)  # on PostgreSQL: nobody waits for the claim of another
    rows = tx.connection.execute(query).all()
    for some in in_lists([row.id for row in rows]):
        taken = update(outbox).where(outbox.c.desk_id == tx.desk_id, outbox.c.id.in_(some))
        tx.connection.execute(taken.values(claimed_by=process_id, fence=outbox.c.fence + 1))
    return [
        ClaimedNotification(
            notification=_notification(row), fence=row.fence + 1, reverse_path=row.reverse_path, rendered=row.reverse_path is not None
        )
        for row in rows
    ]


def _fenced(tx: Tx, outbox_id: int, fence: int) -> Update:
    return update(outbox).where(outbox.c.desk_id == tx.desk_id, outbox.c.id == outbox_id, outbox.c.fence == fence)


def store_rendered(tx: Tx, rendered: Iterable[tuple[int, int, str, bytes]]) -> set[int]:
    """Keep (row, fence, reverse-path, bytes) before the first attempt; returns the rows that were still ours."""
    kept: set[int] = set()
    for outbox_id, fence, reverse_path, body in rendered:
        first = _fenced(tx, outbox_id, fence).where(outbox.c.reverse_path.is_(None)).values(reverse_path=reverse_path)
        if tx.connection.execute(first).rowcount != 1:
            continue
        chunks = [
            {"desk_id": tx.desk_id, "outbox_id": outbox_id, "seq": seq, "chunk": body[at : at + CHUNK_BYTES]}
            for seq, at in enumerate(range(0, len(body), CHUNK_BYTES))
        ]
        tx.connection.execute(insert(outbox_raw), chunks)
        kept.add(outbox_id)
    return kept


def rendered_bytes(tx: Tx, ids: Iterable[int]) -> dict[int, bytes]:
    """The stored bytes of rows that were rendered."""
    chunks: dict[int, list[bytes]] = {}
    for some in in_lists(sorted(set(ids))):
        query = select(outbox_raw).where(outbox_raw.c.desk_id == tx.desk_id, outbox_raw.c.outbox_id.in_(some))
        for row in tx.connection.execute(query.order_by(outbox_raw.c.outbox_id, outbox_raw.c.seq)):
            chunks.setdefault(row.outbox_id, []).append(row.chunk)
    return {outbox_id: b"".join(parts) for outbox_id, parts in chunks.items()}


def mark_sending(tx: Tx, claimed: Iterable[tuple[int, int]], *, lease: timedelta) -> set[int]:
    """Record, in a commit before MAIL FROM, that rows (id, fence) are being sent; returns those that were still ours."""
    until = to_column(tx.lease_now + lease)
    values = {"state": DeliveryState.SENDING.value, "sending_at": to_column(tx.now), "lease_until": until}
    return {row for row, fence in claimed if tx.connection.execute(_fenced(tx, row, fence).values(**values)).rowcount == 1}


def record_sent(tx: Tx, outbox_id: int, fence: int, reply: str) -> bool:
    """The relay took it; False when the row was no longer ours to speak of."""
    values = {"state": DeliveryState.SENT.value, "sent_at": to_column(tx.now), "relay_reply": reply[:500], "claimed_by": None}
    done = _fenced(tx, outbox_id, fence).values(**values, lease_until=None, attempts=outbox.c.attempts + 1, last_error=None)
    return tx.connection.execute(done).rowcount == 1


def record_retry(tx: Tx, outbox_id: int, fence: int, *, due_at: datetime, error: str, counted: bool = True) -> bool:
    """Try again later; an attempt that never reached the relay's answer for this mail need not be counted."""
    values = {"state": DeliveryState.QUEUED.value, "due_at": to_column(due_at), "last_error": error[:500], "claimed_by": None}
    later = _fenced(tx, outbox_id, fence).values(**values, lease_until=None, attempts=outbox.c.attempts + (1 if counted else 0))
    return tx.connection.execute(later).rowcount == 1


def record_dead(tx: Tx, outbox_id: int, fence: int, error: str) -> bool:
    """Give up: the relay refused it for good, or its days are over."""
    values = {"state": DeliveryState.DEAD.value, "last_error": error[:500], "claimed_by": None, "lease_until": None}
    return tx.connection.execute(_fenced(tx, outbox_id, fence).values(**values, attempts=outbox.c.attempts + 1)).rowcount == 1


def release(tx: Tx, claimed: Iterable[tuple[int, int]]) -> None:
    """Give back claims (id, fence) untouched, those that had not begun to send."""
    for row, fence in claimed:
        free = _fenced(tx, row, fence).where(outbox.c.state == DeliveryState.QUEUED.value)
        tx.connection.execute(free.values(claimed_by=None))


def record_dropped(tx: Tx, outbox_id: int, fence: int, reason: str) -> bool:
    """Never send a claimed row: it has no use any more."""
    values = {"state": DeliveryState.SUPPRESSED.value, "suppressed_because": reason[:500], "claimed_by": None}
    return tx.connection.execute(_fenced(tx, outbox_id, fence).values(**values)).rowcount == 1


def thread_before(tx: Tx, notifications: Sequence[Notification]) -> dict[int, tuple[str, ...]]:
    """The thread each reader already has of the ticket, oldest first: what the first mail answered, then our mails to them."""
    wanted = sorted({each.ticket_id for each in notifications})
    rows: list[Any] = []
    for some in in_lists(wanted):
        columns = (outbox.c.id, outbox.c.ticket_id, outbox.c.recipient, outbox.c.message_id, outbox.c.reference_ids, outbox.c.state)
        query = select(*columns).where(outbox.c.desk_id == tx.desk_id, outbox.c.ticket_id.in_(some))
        rows += tx.connection.execute(query.order_by(outbox.c.id.desc()).limit(MAX_THREAD_ROWS)).all()
    threads: dict[int, tuple[str, ...]] = {}
    for each in notifications:
        found: dict[str, None] = {}
        for row in reversed(rows):
            if (row.ticket_id, row.recipient) == (each.ticket_id, each.recipient) and row.id < each.id:
                found |= dict.fromkeys(msgspec.json.decode(row.reference_ids, type=tuple[str, ...]))
                if row.state != DeliveryState.SUPPRESSED.value:
                    found[row.message_id] = None
        threads[each.id] = tuple(found)
    return threads


def release_all(tx: Tx, *, process_id: int | None = None) -> int:
    """Give back claims that had not begun to send: of one process, or, at start of the one daemon of a data directory, all."""
    whose = outbox.c.claimed_by.is_not(None) if process_id is None else outbox.c.claimed_by == process_id
    free = update(outbox).where(outbox.c.desk_id == tx.desk_id, outbox.c.state == DeliveryState.QUEUED.value, whose)
    return tx.connection.execute(free.values(claimed_by=None)).rowcount


def release_expired(tx: Tx, *, longest: timedelta | None = None, but: Sequence[int] = ()) -> int:
    """Rows whose sender was never heard of again are queued once more, same bytes: the one case of a second copy (P3).

    A lease that ends later than the `longest` from now was given before the clock was set back: it ends that long from now,
    so that a sender who lives has a whole lease, and a mail waits for a dead one no longer than that (F28). Likewise a mail that is
    queued for later than anything ever is, `LONGEST_WAIT`, was so before the clock was set back, and is due now.
    `but` names those the caller knows to be in good hands, its own: whatever the clock says, they are not sent twice (F27).
    """
    if longest is not None:
        sending = update(outbox).where(outbox.c.desk_id == tx.desk_id, outbox.c.state == DeliveryState.SENDING.value)
        latest = to_column(tx.now + longest)
        tx.connection.execute(sending.where(outbox.c.lease_until > latest).values(lease_until=latest))
    ahead = update(outbox).where(
        outbox.c.desk_id == tx.desk_id, outbox.c.state == literal(DeliveryState.QUEUED.value, literal_execute=True)
    )
    tx.connection.execute(ahead.where(outbox.c.due_at > to_column(tx.now + LONGEST_WAIT)).values(due_at=to_column(tx.now)))
    late = update(outbox).where(
        outbox.c.desk_id == tx.desk_id, outbox.c.state == DeliveryState.SENDING.value, outbox.c.lease_until < to_column(tx.lease_now)
    )
    late = late.where(outbox.c.id.not_in(but)) if but else late
    values = {"state": DeliveryState.QUEUED.value, "claimed_by": None, "lease_until": None, "fence": outbox.c.fence + 1}
    due_at = case((outbox.c.due_at > to_column(tx.now), to_column(tx.now)), else_=outbox.c.due_at)  # it was due before the clock went back
    return tx.connection.execute(late.values(**values, due_at=due_at, last_error="the sender was not heard of again")).rowcount


def mark_bounced(tx: Tx, ids: Sequence[int]) -> None:
    """A delivery report came back for these rows."""
    for some in in_lists(ids):
        back = update(outbox).where(outbox.c.desk_id == tx.desk_id, outbox.c.id.in_(some))
        tx.connection.execute(back.values(bounced_at=to_column(tx.now)))


def _row(row: Row[Any]) -> OutboxRow:
    return OutboxRow(
        notification=_notification(row),
        sent_at=from_column_or_none(row.sent_at),
        relay_reply=row.relay_reply,
        last_error=row.last_error,
        bounced_at=from_column_or_none(row.bounced_at),
    )


def find(tx: Tx, outbox_id: int) -> OutboxRow | None:
    """One row, or None."""
    row = tx.connection.execute(select(outbox).where(outbox.c.desk_id == tx.desk_id, outbox.c.id == outbox_id)).one_or_none()
    return _row(row) if row else None


def listed(
    tx: Tx,
    *,
    state: str | None = None,
    ticket_id: int | None = None,
    visible: Visible = EVERYTHING,
    before_id: int | None = None,
    limit: int = 50,
) -> list[OutboxRow]:
    """The newest rows, of one state or one ticket. `before_id` continues a page."""
    query = select(outbox).where(outbox.c.desk_id == tx.desk_id, *visibility.of_notifications(visible))
    if before_id is not None:
        query = query.where(outbox.c.id < before_id)
    if state is not None:
        query = query.where(outbox.c.state == state)
    if ticket_id is not None:
        query = query.where(outbox.c.ticket_id == ticket_id)
    return [_row(row) for row in tx.connection.execute(query.order_by(outbox.c.id.desc()).limit(limit))]


_STOPPED = (DeliveryState.DEAD.value, DeliveryState.HELD.value)


def retry(tx: Tx, outbox_id: int) -> bool:
    """Queue a dead or held row again, now; False when it is neither."""
    here = update(outbox).where(outbox.c.desk_id == tx.desk_id, outbox.c.id == outbox_id)
    stopped = or_(outbox.c.state.in_(_STOPPED), outbox.c.state == DeliveryState.QUEUED.value)
    values = {"state": DeliveryState.QUEUED.value, "due_at": to_column(tx.now), "claimed_by": None}
    return tx.connection.execute(here.where(stopped, outbox.c.claimed_by.is_(None)).values(**values)).rowcount == 1


def hold(tx: Tx, outbox_id: int) -> bool:
    """Keep a queued row from being sent until somebody retries it; False when it is not queued."""
    here = update(outbox).where(outbox.c.desk_id == tx.desk_id, outbox.c.id == outbox_id, outbox.c.state == DeliveryState.QUEUED.value)
    return tx.connection.execute(here.where(outbox.c.claimed_by.is_(None)).values(state=DeliveryState.HELD.value)).rowcount == 1


def drop(tx: Tx, outbox_id: int, reason: str) -> bool:
    """Never send a row that waits, is held or dead; False when it is none of these."""
    here = update(outbox).where(outbox.c.desk_id == tx.desk_id, outbox.c.id == outbox_id, outbox.c.claimed_by.is_(None))
    waiting = outbox.c.state.in_((*_STOPPED, DeliveryState.QUEUED.value))
    return (
        tx.connection.execute(here.where(waiting).values(state=DeliveryState.SUPPRESSED.value, suppressed_because=reason[:500])).rowcount
        == 1
    )


def counts(tx: Tx) -> dict[str, int]:
    """Rows by state, of the states that do not last: queued, sending, dead, held; each by its own index, however many were sent."""
    found = {}
    for state in (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.DEAD, DeliveryState.HELD):
        here = outbox.c.state == literal(state.value, literal_execute=True)
        count = tx.connection.execute(select(func.count()).select_from(outbox).where(outbox.c.desk_id == tx.desk_id, here)).scalar_one()
        if count:
            found[state.value] = count
    return found


def oldest_queued(tx: Tx) -> datetime | None:
    """When the oldest row that still waits was made, or None."""
    query = select(func.min(outbox.c.created_at)).where(outbox.c.desk_id == tx.desk_id, outbox.c.state == DeliveryState.QUEUED.value)
    return from_column_or_none(tx.connection.execute(query).scalar())
