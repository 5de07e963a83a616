"""What the API answers, as types: the answers are encoded from them and the OpenAPI document is made of them.

Identifiers are strings, instants ISO 8601 in UTC.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from itsm.decision import Reasons
from itsm.notification import DeliveryState, Event
from itsm.ticket import State, TicketType

Cursor = Annotated[str, Meta(description="Continues the list: give it as `cursor`; null on the last page.")]


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Something the API answers."""


class Problem(Shape, frozen=True, kw_only=True):
    """What went wrong and what to do (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    legal_acts: tuple[str, ...] = ()


class TicketShown(Shape, frozen=True, kw_only=True):
    """A ticket; `number` is written with its prefix."""

    id: str
    number: str
    type: TicketType
    state: State
    subject: str
    impact: int
    urgency: int
    priority: int
    requester: str
    requester_name: str
    organisation: str
    team: str
    assignee: str
    service: str
    tags: tuple[str, ...]
    source: str
    group_key: str
    severity: str
    event_count: int
    reopen_count: int
    pending_reason: str
    resolution_code: str
    suggested_for: str | None
    merged_into: str | None
    entered_by: str
    trust: int
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    closed_at: datetime | None
    impact_started_at: datetime | None
    impact_ended_at: datetime | None
    version: int


class TicketPage(Shape, frozen=True, kw_only=True):
    """Tickets, the newest first."""

    items: tuple[TicketShown, ...]
    cursor: Cursor | None


class File(Shape, frozen=True, kw_only=True):
    """A file that came with a message."""

    filename: str | None
    content_type: str
    size_bytes: int
    sha256: str
    inline: bool
    content_id: str | None


class Message(Shape, frozen=True, kw_only=True):
    """Words on a ticket. `direction` is inbound, outbound or desk; `visibility` public, internal, held or dropped."""

    id: str
    direction: str
    visibility: str
    author: str
    author_name: str
    verified: bool
    trust: int
    kind: str
    subject: str
    text: str
    reply_text: str
    note: str
    message_id: str | None
    inbox_id: str | None
    created_at: datetime
    attachments: tuple[File, ...]


class HistoryLink(Shape, frozen=True, kw_only=True):
    """One link of the chain of a ticket; `content` is null once erased."""

    seq: int
    at: datetime
    kind: str
    actor: str
    content: dict[str, str] | None


class PartShown(Shape, frozen=True, kw_only=True):
    """What became of a part of an envelope, and why; `reasons` is null once erased."""

    part: int
    kind: str
    outcome: str
    ticket_id: str | None
    decided_at: datetime
    reasons: Reasons | None


class Link(Shape, frozen=True, kw_only=True):
    """A link to another ticket; `of:` before the kind when it comes from there."""

    kind: str
    ticket: str


class NotificationShown(Shape, frozen=True, kw_only=True):
    """A notification and what became of it."""

    id: str
    ticket_id: str
    event: Event
    state: DeliveryState
    recipient: str
    message_id: str
    created_at: datetime
    due_at: datetime
    sent_at: datetime | None
    attempts: int
    suppressed_because: str | None
    relay_reply: str | None
    last_error: str | None
    bounced_at: datetime | None


class NotificationPage(Shape, frozen=True, kw_only=True):
    """Notifications, the newest first."""

    items: tuple[NotificationShown, ...]
    cursor: Cursor | None


class InstanceShown(Shape, frozen=True, kw_only=True):
    """One firing period of an alert."""

    started_at: datetime
    ended_at: datetime | None
    severity: str


class AlertShown(Shape, frozen=True, kw_only=True):
    """A series of a monitoring source with its newest 20 instances."""

    id: str
    source: str
    series_key: str
    title: str
    open: bool
    ticket_id: str | None
    event_count: int
    last_seen_at: datetime | None
    instances: tuple[InstanceShown, ...]


class AlertPage(Shape, frozen=True, kw_only=True):
    """Open alerts, the newest first."""

    items: tuple[AlertShown, ...]
    cursor: Cursor | None


class Clock(Shape, frozen=True, kw_only=True):
    """A clock of a service level. There are none yet: the list is empty."""

    name: str
    due_at: datetime


class TicketWhole(TicketShown, frozen=True, kw_only=True):
    """A ticket with everything said and done on it: at most 500 messages and links of its history, 200 of the rest."""

    messages: tuple[Message, ...]
    history: tuple[HistoryLink, ...]
    alerts: tuple[AlertShown, ...]
    links: tuple[Link, ...]
    clocks: tuple[Clock, ...]
    decisions: tuple[PartShown, ...]
    notifications: tuple[NotificationShown, ...]


class EnvelopeShown(Shape, frozen=True, kw_only=True):
    """An envelope: `outcomes` has one word a part, `pending` until it is decided; `parts` those that had an effect, of one asked for."""

    inbox_id: str
    state: str
    channel: str
    source: str
    format: str
    received_at: datetime
    size_bytes: int
    message_id: str | None
    edited_from: str | None
    attempts: int
    reason: str | None
    outcomes: tuple[str, ...]
    parts: tuple[PartShown, ...]


class EnvelopePage(Shape, frozen=True, kw_only=True):
    """Envelopes: the newest of a state first, those of a Message-ID in order of arrival."""

    items: tuple[EnvelopeShown, ...]
    cursor: Cursor | None


class Accepted(Shape, frozen=True, kw_only=True):
    """A mail was taken in; `repeated` when this Idempotency-Key brought it before."""

    inbox_id: str
    repeated: bool
