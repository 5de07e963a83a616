"""Values that tests of the rules build their worlds from."""

from datetime import UTC, datetime, timedelta

import msgspec

from itsm.address import Address
from itsm.envelope import Channel, Envelope
from itsm.service import Agent, Desk, Service, Team
from itsm.signal import EventStatus, MailKind, MonitoringEvent, Severity, UserMessage
from itsm.ticket import State, Ticket, TicketType
from rules.ruleset import compile_ruleset
from rules.settings import RulesSettings

NOW = datetime(2026, 3, 23, 10, 30, 15, tzinfo=UTC)
DESK = Desk(
    address="help@corp.example",
    domain="corp.example",
    teams=(
        Team(key="desk", name="Service Desk", addresses=("help@corp.example",), notify="team@corp.example"),
        Team(key="net", name="Network", addresses=("net@corp.example",)),
    ),
    agents=(Agent(key="ben", name="Ben", address="ben@corp.example", teams=("desk",)),),
    services=(Service(key="mail", name="Mail", team="net", tier=1), Service(key="wiki", name="Wiki", tier=4)),
)

WITH_AGENTS = msgspec.structs.replace(  # a team without an address for all: each of its agents gets an own copy
    DESK,
    teams=(msgspec.structs.replace(DESK.teams[0], notify=""), DESK.teams[1]),
    agents=(
        Agent(key="ben", name="Ben", address="ben@corp.example", teams=("desk",), aliases=("b.example@corp.example",)),
        Agent(key="cid", name="Cid", address="cid@corp.example", teams=("desk",)),
        Agent(key="eve", name="Eve", address="eve@corp.example", teams=("net",), role="auditor"),
    ),
)


def ruleset(**settings):
    compiled, errors = compile_ruleset(RulesSettings(**settings))
    assert errors == ()
    return compiled


def mail(**fields):
    plain = {
        "kind": MailKind.HUMAN,
        "message_id": "m1@corp.example",
        "sender": Address(name="Ana", address="ana@corp.example"),
        "to": (Address(address="help@corp.example"),),
        "subject": "Printer 4F jams",
        "text": "It is broken again.",
        "reply_text": "It is broken again.",
        "content_sha256": b"content",
        "fallback_sha256": b"fallback",
    }
    return UserMessage(**(plain | fields))


def envelope(**fields):
    plain = {
        "id": 10,
        "channel": Channel.SMTP,
        "source": "smtp",
        "received_at": NOW,
        "size_bytes": 100,
        "reverse_path": "ana@corp.example",
        "forward_paths": ("help@corp.example",),
        "peer": "192.0.2.1",
    }
    return Envelope(**(plain | fields))


def ticket(**fields):
    plain = {
        "id": 1,
        "number": 1042,
        "type": TicketType.INCIDENT,
        "state": State.NEW,
        "subject": "Printer 4F jams",
        "impact": 3,
        "urgency": 2,
        "priority": 4,
        "requester": "ana@corp.example",
        "requester_name": "Ana",
        "team": "desk",
        "opened_at": NOW - timedelta(days=1),
        "updated_at": NOW - timedelta(days=1),
    }
    return Ticket(**(plain | fields))


def event(**fields):
    plain = {
        "source": "am",
        "series_key": "disk/db1",
        "status": EventStatus.FIRING,
        "severity": Severity.CRITICAL,
        "severity_raw": "critical",
        "title": "Disk full on db1",
        "text": "92 % used",
        "links": ("https://m.example/x",),
        "started_at": NOW,
        "labels": {"instance": "db1"},
    }
    return MonitoringEvent(**(plain | fields))


def effects(decision, kind):
    return [effect for effect in decision.effects if isinstance(effect, kind)]


def changed(value, **fields):
    return msgspec.structs.replace(value, **fields)
