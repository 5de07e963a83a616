"""Tickets, envelopes, alerts and mails as the API shows them."""

from collections.abc import Mapping, Sequence

import msgspec

from itsm.envelope import OUTCOME_OF_CODE
from itsm.identifier import inbox_text
from itsm.ticket import Ticket, number_text
from store.entries import Entry
from store.history import HistoryEntry
from store.inbox import InboxRow
from store.outbox import OutboxRow
from store.parts import PartRow
from store.series_rows import SeriesRow
from webportal import shapes

MAX_INSTANCES_SHOWN = 20
_RENAMED = frozenset({"id", "number", "suggested_for", "merged_into"})
_TICKET = tuple(name for name in shapes.TicketShown.__struct_fields__ if name not in _RENAMED)


def _id(value: int | None) -> str | None:
    return None if value is None else str(value)


def ticket_fields(value: Ticket, others: Mapping[int, Ticket]) -> dict[str, object]:
    """The fields of a ticket; `others` are those it may name, by number: one that is not there is not shown."""
    fields: dict[str, object] = {name: getattr(value, name) for name in _TICKET}
    for name in ("suggested_for", "merged_into"):
        other = others.get(getattr(value, name) or 0)
        fields[name] = number_text(other.type, other.number) if other else None
    return fields | {"id": str(value.id), "number": number_text(value.type, value.number)}


def message(value: Entry) -> shapes.Message:
    """Words on a ticket."""
    names = (
        "direction", "visibility", "author", "author_name", "verified", "trust", "kind", "subject", "text", "reply_text", "note",
        "message_id", "created_at",
    )  # fmt: skip
    files = tuple(shapes.File(**{name: getattr(each, name) for name in shapes.File.__struct_fields__}) for each in value.attachments)
    where = inbox_text(value.inbox_id) if value.inbox_id is not None else None
    return shapes.Message(id=str(value.id), inbox_id=where, attachments=files, **{name: getattr(value, name) for name in names})


def history(value: HistoryEntry) -> shapes.HistoryLink:
    """One link of the chain with its content, null once erased."""
    content = msgspec.json.decode(value.content, type=dict[str, str]) if value.content else None
    return shapes.HistoryLink(seq=value.seq, at=value.at, kind=value.kind, actor=value.actor, content=content)


def part(value: PartRow) -> shapes.PartShown:
    """What became of a part and why."""
    return shapes.PartShown(
        part=value.seq,
        kind=value.kind,
        outcome=value.outcome.value,
        ticket_id=_id(value.ticket_id),
        decided_at=value.decided_at,
        reasons=value.reasons,
    )


def envelope(value: InboxRow, parts: Sequence[PartRow] = ()) -> shapes.EnvelopeShown:
    """An envelope with its state and the outcome of each part."""
    found = value.envelope
    return shapes.EnvelopeShown(
        inbox_id=inbox_text(found.id),
        state=value.state,
        channel=found.channel.value,
        source=found.source,
        format=found.format,
        received_at=found.received_at,
        size_bytes=found.size_bytes,
        message_id=found.message_id,
        edited_from=inbox_text(found.edited_from) if found.edited_from is not None else None,
        attempts=value.attempts,
        reason=value.reason,
        outcomes=tuple(OUTCOME_OF_CODE[code].value if code in OUTCOME_OF_CODE else "pending" for code in value.outcomes),
        parts=tuple(part(each) for each in parts),
    )


def notification(value: OutboxRow) -> shapes.NotificationShown:
    """A notification and what became of it."""
    told = value.notification
    return shapes.NotificationShown(
        id=str(told.id),
        ticket_id=str(told.ticket_id),
        event=told.event,
        state=told.state,
        recipient=told.recipient,
        message_id=told.message_id,
        created_at=told.created_at,
        due_at=told.due_at,
        sent_at=value.sent_at,
        attempts=told.attempts,
        suppressed_because=told.suppressed_because,
        relay_reply=value.relay_reply,
        last_error=value.last_error,
        bounced_at=value.bounced_at,
    )


def alert(value: SeriesRow) -> shapes.AlertShown:
    """A series with its newest instances."""
    state = value.state
    return shapes.AlertShown(
        id=str(state.id),
        source=state.source,
        series_key=state.series_key,
        title=state.title,
        open=value.open,
        ticket_id=_id(value.ticket_id),
        event_count=state.event_count,
        last_seen_at=state.last_seen_at,
        instances=tuple(
            shapes.InstanceShown(started_at=each.started_at, ended_at=each.ended_at, severity=each.severity.value)
            for each in state.instances[-MAX_INSTANCES_SHOWN:]
        ),
    )
