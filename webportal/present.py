"""Tickets, envelopes, alerts and mails as the API shows them: identifiers are strings, instants ISO 8601 in UTC."""

from collections.abc import Sequence
from datetime import datetime

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

Json = dict[str, object]


def instant(value: datetime | None) -> str | None:
    """ISO 8601 with a Z, or null."""
    return value.isoformat().replace("+00:00", "Z") if value else None


def ticket(value: Ticket) -> Json:
    """A ticket; `number` is written with its prefix."""
    shown: Json = {name: getattr(value, name) for name in value.__struct_fields__ if name not in ("id", "number")}
    for name in ("opened_at", "updated_at", "resolved_at", "closed_at", "impact_started_at", "impact_ended_at"):
        shown[name] = instant(getattr(value, name))
    shown["suggested_for"] = None if value.suggested_for is None else str(value.suggested_for)
    return {"id": str(value.id), "number": number_text(value.type, value.number)} | shown


def entry(value: Entry) -> Json:
    """Words on a ticket."""
    names = ("direction", "visibility", "author", "author_name", "verified", "kind", "subject", "text", "reply_text", "note", "message_id")
    files = [{name: getattr(each, name) for name in each.__struct_fields__} for each in value.attachments]
    where = inbox_text(value.inbox_id) if value.inbox_id is not None else None
    shown: Json = {name: getattr(value, name) for name in names}
    return {"id": str(value.id), "inbox_id": where, "created_at": instant(value.created_at), "attachments": files} | shown


def history(value: HistoryEntry) -> Json:
    """One link of the chain with its content, null once erased."""
    content = msgspec.json.decode(value.content) if value.content else None
    return {"seq": value.seq, "at": instant(value.at), "kind": value.kind, "actor": value.actor, "content": content}


def part(value: PartRow) -> Json:
    """What became of a part and why."""
    return {
        "part": value.seq,
        "kind": value.kind,
        "outcome": value.outcome.value,
        "ticket_id": str(value.ticket_id) if value.ticket_id is not None else None,
        "decided_at": instant(value.decided_at),
        "reasons": msgspec.to_builtins(value.reasons) if value.reasons else None,
    }


def inbox(value: InboxRow, parts: Sequence[PartRow] = ()) -> Json:
    """An envelope with its state and the outcome of each part."""
    envelope = value.envelope
    return {
        "inbox_id": inbox_text(envelope.id),
        "state": value.state,
        "channel": envelope.channel.value,
        "source": envelope.source,
        "format": envelope.format,
        "received_at": instant(envelope.received_at),
        "size_bytes": envelope.size_bytes,
        "message_id": envelope.message_id,
        "attempts": value.attempts,
        "reason": value.reason,
        "outcomes": [OUTCOME_OF_CODE[code].value if code in OUTCOME_OF_CODE else "pending" for code in value.outcomes],
        "parts": [part(each) for each in parts],
    }


def outbox(value: OutboxRow) -> Json:
    """A notification and what became of it."""
    told = value.notification
    return {
        "id": str(told.id),
        "ticket_id": str(told.ticket_id),
        "event": told.event.value,
        "state": told.state.value,
        "recipient": told.recipient,
        "message_id": told.message_id,
        "created_at": instant(told.created_at),
        "due_at": instant(told.due_at),
        "sent_at": instant(value.sent_at),
        "attempts": told.attempts,
        "suppressed_because": told.suppressed_because,
        "relay_reply": value.relay_reply,
        "last_error": value.last_error,
        "bounced_at": instant(value.bounced_at),
    }


def alert(value: SeriesRow) -> Json:
    """An open series with its instances."""
    state = value.state
    return {
        "id": str(state.id),
        "source": state.source,
        "series_key": state.series_key,
        "title": state.title,
        "ticket_id": str(value.ticket_id) if value.ticket_id is not None else None,
        "event_count": state.event_count,
        "last_seen_at": instant(state.last_seen_at),
        "instances": [
            {"started_at": instant(each.started_at), "ended_at": instant(each.ended_at), "severity": each.severity.value}
            for each in state.instances[-20:]
        ],
    }
