"""The trace of a mail or a ticket: every stage from the door to the relay, read from what was kept; nothing is judged again."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice

import msgspec

from casework.flush import stream_of
from itsm.decision import NearMiss, Reasons
from itsm.envelope import OUTCOME_OF_CODE, PENDING_CODE, Channel
from itsm.identifier import inbox_text
from itsm.notification import DeliveryState, Event
from itsm.ticket import Ticket, number_text
from store import history, inbox, outbox, parts, tickets, timers
from store.history import HistoryEntry
from store.inbox import InboxRow
from store.outbox import OutboxRow
from store.parts import PartRow
from store.store import Store
from store.transaction import Tx
from triaged.access import Named, find
from triaged.rereading import Mappings, Parsed, Unread, read_in_a_child, unread

MAX_NOTIFICATIONS = 500  # of a ticket
THREADING_VALUES = ("reference", "candidates", "budgets", "trust")  # values of reasons that have a stage of their own


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """How an envelope came in and what state it is in; `outcomes` counts its parts."""

    inbox_id: str
    channel: Channel
    source: str
    format: str
    received_at: datetime
    size_bytes: int
    reverse_path: str | None
    forward_paths: tuple[str, ...]
    peer: str
    login: str | None
    message_id: str | None
    edited_from: str | None
    state: str
    attempts: int
    outcomes: tuple[str, ...]
    reason: str | None
    done_at: datetime | None


class Threading(msgspec.Struct, frozen=True, kw_only=True):
    """The reference that led to the ticket, and every way that was looked at, strongest first, as strength, ticket, reference."""

    reference: str
    candidates: tuple[str, ...]


class RulesApplied(msgspec.Struct, frozen=True, kw_only=True):
    """The rules that matched, what they read, what nearly matched, and the ruleset."""

    matched: tuple[str, ...]
    values: dict[str, str]
    near_misses: tuple[NearMiss, ...]
    ruleset_sha256: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the ticket's history that the part made; `content` is null once erased."""

    kind: str
    actor: str
    content: dict[str, str] | None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that was made: what became of it at the relay, and whether it came back."""

    id: str
    event: Event
    recipient: str
    state: DeliveryState
    message_id: str
    created_at: datetime
    due_at: datetime
    attempts: int
    suppressed_because: str | None
    sent_at: datetime | None
    relay_reply: str | None
    last_error: str | None
    bounced_at: datetime | None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A timer that is set on the ticket."""

    ticket: str
    kind: str
    threshold: int
    due_at: datetime


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One part: its outcome with code and sentence, then stage by stage; `reasons` is all of it as it was kept, null once erased."""

    inbox_id: str
    part: int
    kind: str
    outcome: str
    ticket: str | None
    decided_at: datetime
    reasons: Reasons | None
    threading: Threading
    trust: str
    rules: RulesApplied | None
    budgets: tuple[str, ...]
    acts: tuple[Done, ...]
    notifications: tuple[Told, ...]


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """Every stage of one thing, in the order in which they happen."""

    about: str
    doors: tuple[Door, ...]
    parse: tuple[Parsed, ...]
    parts: tuple[Judged, ...]
    timers: tuple[Waiting, ...]
    notifications: tuple[Told, ...]  # of its tickets, that no part here made: by people, timers and other mails


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """A trace whose mails are still to be read again (`triaged.rereading`), which must not happen in a transaction."""

    trace: Trace
    unread: tuple[Unread, ...]


class _World(msgspec.Struct, kw_only=True):
    """What the parts of one thing are told with."""

    tickets: dict[int, Ticket]
    history: dict[int, list[HistoryEntry]]
    told: dict[int, list[OutboxRow]]

    def number(self, ticket_id: int | None) -> str | None:
        """The number of a ticket as people write it."""
        found = self.tickets.get(ticket_id or 0)
        return number_text(found.type, found.number) if found else None


def traces(
    store: Store, id_: str, mappings: Mappings, *, deadline_seconds: float, functions: Mapping[str, str] | None = None
) -> list[Trace]:
    """For each thing that ID names, its trace: a ticket with all that touched it, or an envelope; raises Permanent for no such thing.

    Its mails are read again in a child, each within `deadline_seconds`, when no transaction is open; `functions` replaces the child's.
    """
    found = store.read(lambda tx: gather(tx, id_, mappings))
    wanted = [each for one in found for each in one.unread]
    parsed = iter(read_in_a_child(wanted, deadline_seconds=deadline_seconds, functions=functions))
    return [msgspec.structs.replace(one.trace, parse=tuple(islice(parsed, len(one.unread)))) for one in found]


def gather(tx: Tx, id_: str, mappings: Mappings) -> list[Gathered]:
    """The traces without what is read in their mails."""
    named = find(tx, id_)
    return [_gathered(tx, *each, mappings) for each in _things(tx, named)]


def _things(tx: Tx, named: Named) -> Iterable[tuple[str, Sequence[InboxRow], Sequence[PartRow], Sequence[int]]]:
    """A heading, the envelopes, their parts, and the tickets besides those of the parts."""
    if named.ticket is not None:
        rows = parts.of_ticket(tx, named.ticket.id)
        envelopes = [found for each in dict.fromkeys(row.inbox_id for row in rows) if (found := inbox.find(tx, each)) is not None]
        yield f"{number_text(named.ticket.type, named.ticket.number)}  {named.ticket.subject}", envelopes, rows, [named.ticket.id]
    for row in named.envelopes:
        yield inbox_text(row.envelope.id), [row], parts.of_inbox(tx, row.envelope.id), []


def _gathered(
    tx: Tx, about: str, envelopes: Sequence[InboxRow], rows: Sequence[PartRow], besides: Sequence[int], mappings: Mappings
) -> Gathered:
    ids = list(dict.fromkeys([*besides, *(row.ticket_id for row in rows if row.ticket_id is not None)]))
    world = _World(
        tickets=tickets.by_ids(tx, ids),
        history={each: history.of_stream(tx, stream_of(each)) for each in ids},
        told={each: outbox.listed(tx, ticket_id=each, limit=MAX_NOTIFICATIONS)[::-1] for each in ids},
    )
    judged = tuple(_judged(row, world) for row in rows)
    shown = {each.id for part in judged for each in part.notifications}
    raw = inbox.raw_bytes(tx, [row.envelope.id for row in envelopes])
    trace = Trace(
        about=about,
        doors=tuple(_door(row) for row in envelopes),
        parse=(),
        parts=judged,
        timers=tuple(
            Waiting(ticket=world.number(each.subject_id) or "", kind=each.kind, threshold=each.threshold, due_at=each.due_at)
            for each in timers.of_tickets(tx, ids)
        ),
        notifications=tuple(_told(row) for each in ids for row in world.told[each] if str(row.notification.id) not in shown),
    )
    return Gathered(trace=trace, unread=tuple(unread(row.envelope, raw.get(row.envelope.id), mappings) for row in envelopes))


def _door(row: InboxRow) -> Door:
    names = ("channel", "source", "format", "received_at", "size_bytes", "reverse_path", "forward_paths", "peer", "login", "message_id")
    fields = {name: getattr(row.envelope, name) for name in names}
    return Door(
        inbox_id=inbox_text(row.envelope.id),
        edited_from=inbox_text(row.envelope.edited_from) if row.envelope.edited_from is not None else None,
        state=row.state,
        attempts=row.attempts,
        outcomes=tuple("pending" if code == PENDING_CODE else OUTCOME_OF_CODE[code].value for code in row.outcomes),
        reason=row.reason,
        done_at=row.done_at,
        **fields,
    )


def _judged(row: PartRow, world: _World) -> Judged:
    reasons, ticket_id = row.reasons, row.ticket_id or 0
    values = reasons.values if reasons else {}
    return Judged(
        inbox_id=inbox_text(row.inbox_id),
        part=row.seq,
        kind=row.kind,
        outcome=row.outcome.value,
        ticket=world.number(row.ticket_id),
        decided_at=row.decided_at,
        reasons=reasons,
        threading=Threading(reference=values.get("reference", ""), candidates=_listed(values.get("candidates", ""))),
        trust=f"level {reasons.trust}" + (f": {values['trust']}" if values.get("trust") else "") if reasons else "",
        rules=RulesApplied(
            matched=reasons.rules,
            values={name: value for name, value in values.items() if name not in THREADING_VALUES},
            near_misses=reasons.near_misses,
            ruleset_sha256=reasons.ruleset_sha256,
        )
        if reasons
        else None,
        budgets=_listed(values.get("budgets", "")),
        acts=tuple(_done(each) for each in world.history.get(ticket_id, ()) if row.inbox_id in each.ids),
        notifications=tuple(_told(each) for each in world.told.get(ticket_id, ()) if each.notification.created_at == row.decided_at),
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split("; ")) if text else ()


def _done(value: HistoryEntry) -> Done:
    content = msgspec.json.decode(value.content, type=dict[str, str]) if value.content else None
    return Done(kind=value.kind, actor=value.actor, content=content)


def _told(row: OutboxRow) -> Told:
    told = row.notification
    names = ("event", "recipient", "state", "message_id", "created_at", "due_at", "attempts", "suppressed_because")
    fields = {name: getattr(told, name) for name in names}
    return Told(
        id=str(told.id), sent_at=row.sent_at, relay_reply=row.relay_reply, last_error=row.last_error, bounced_at=row.bounced_at, **fields
    )
