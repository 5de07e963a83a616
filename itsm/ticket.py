"""The ticket: one record of one person's report or one monitoring episode, with a number that never changes."""

from datetime import datetime
from enum import StrEnum

import msgspec


class TicketType(StrEnum):
    """ITIL practice the ticket belongs to."""

    INCIDENT = "incident"
    SERVICE_REQUEST = "service_request"


PREFIXES: dict[TicketType, str] = {TicketType.INCIDENT: "INC", TicketType.SERVICE_REQUEST: "REQ"}
KNOWN_PREFIXES = ("INC", "REQ", "PRB", "CHG")
MAX_NUMBER = 2**40 - 1  # five octets in a reply token


class State(StrEnum):
    """States of incidents and service requests; which move to which is in `itsm.lifecycle`."""

    NEW = "new"
    IN_PROGRESS = "in_progress"
    PENDING = "pending"
    RESOLVED = "resolved"
    CLOSED = "closed"
    CANCELLED = "cancelled"


OPEN_STATES = frozenset({State.NEW, State.IN_PROGRESS, State.PENDING})
FINAL_STATES = frozenset({State.CLOSED, State.CANCELLED})


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket as the store last saw it; `version` guards every write.

    `impact` and `urgency` run 1 (highest) to 3, `priority` 1 to 5. `requester` is a canonical address, "" for monitoring.
    `group_key` names the monitoring group whose episode this incident is, "" for people's tickets. `event_count` counts the
    deliveries seen; `severity` is the worst of its open instances. `suggested_for` is the number this might belong to. `trust` is
    the level (design 6) of the signal that opened it, `entered_by` who entered it for the requester, `merged_into` the number of
    the ticket that goes on in its place. `organisation` is the key of the one its requester belonged to when it was opened.
    """

    id: int
    number: int
    type: TicketType
    state: State
    subject: str
    impact: int
    urgency: int
    priority: int
    requester: str = ""
    requester_name: str = ""
    team: str = ""
    assignee: str = ""
    service: str = ""
    tags: tuple[str, ...] = ()
    source: str = ""
    group_key: str = ""
    severity: str = ""
    event_count: int = 0
    reopen_count: int = 0
    pending_reason: str = ""
    resolution_code: str = ""
    suggested_for: int | None = None
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    impact_started_at: datetime | None = None
    impact_ended_at: datetime | None = None
    version: int = 1
    trust: int = 0
    entered_by: str = ""
    merged_into: int | None = None
    state_before_merge: str = ""
    organisation: str = ""


def number_text(ticket_type: TicketType, number: int) -> str:
    """The number as people write it: `INC-1042`."""
    return f"{PREFIXES[ticket_type]}-{number}"


def parse_number(text: str) -> int | None:
    """The number in `INC-1042`, `req-1042` or `1042`, or None; any known prefix finds any ticket (design 5)."""
    head, dash, tail = text.strip().rpartition("-")
    if dash and head.upper() not in KNOWN_PREFIXES:
        return None
    if not (tail.isascii() and tail.isdigit()) or len(tail) > 13:
        return None
    number = int(tail)
    return number if 0 < number <= MAX_NUMBER else None
