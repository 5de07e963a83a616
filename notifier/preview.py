"""What a mail of each event looks like, with sample facts: for `triaged preview`, the reference page and the eye."""

from datetime import UTC, datetime

from itsm.notification import Event, Notification
from notifier.events import FACTS
from notifier.render import Identity, Rendered, RenderRequest, render

SAMPLE_IDENTITY = Identity(name="Service Desk", address="desk@corp.example", domain="corp.example")
SAMPLE_INSTANT = datetime(2026, 3, 23, 10, 30, tzinfo=UTC)
SAMPLES: dict[Event, dict[str, str]] = {
    Event.TEAM_NEW: {
        "state": "new",
        "words": "Hello,\n\nprinter 4F takes two sheets at once and jams. I have tried another tray.\n\nAna",
    },
    Event.TEAM_REPLY: {"words": "It jams again since this morning, sorry.\n\nAna"},
    Event.TEAM_ALERT_OPENED: {
        "subject": "Disk of db1 will fill in 4 hours",
        "service": "Database",
        "reason": "",
        "words": "/var/lib/postgresql on db1 has 6 % left and loses 1.4 % an hour.",
    },
    Event.TEAM_ALERT_RESOLVED: {"subject": "Disk of db1 will fill in 4 hours", "service": "Database", "reason": "", "words": ""},
    Event.UPDATED: {"reason": "we wait for a part of the maker", "state": "pending", "words": ""},
    Event.REOPENED: {"reason": "", "words": ""},
    Event.COMMAND_RESULT: {"refused": "", "held": ""},
}


def sample(event: Event, *, trusted: bool = True) -> Notification:
    """A notification of the event with every fact it may state."""
    facts = {fact.name: fact.sample for fact in FACTS} | SAMPLES.get(event, {}) | ({} if trusted else {"trusted": ""})
    for_agents = event is Event.COMMAND_RESULT or event.value.startswith("team_")
    return Notification(
        id=1,
        ticket_id=1,
        ticket_number=1042,
        event=event,
        recipient="ben@corp.example" if for_agents else "ana@corp.example",
        recipient_name="Ben Example" if for_agents else "Ana Example",
        message_id="sample@corp.example",
        facts=facts,
        created_at=SAMPLE_INSTANT,
        due_at=SAMPLE_INSTANT,
    )


def preview(
    event: Event, *, identity: Identity = SAMPLE_IDENTITY, templates: str = "", language: str = "", trusted: bool = True
) -> Rendered:
    """The mail of an event with sample facts; raises NoMailbox when the identity has no usable address."""
    request = RenderRequest(
        notification=sample(event, trusted=trusted),
        identity=identity,
        verp="sample",
        loop_mark="sample",
        date=SAMPLE_INSTANT,
        reply_token="sample" if event is Event.COMMAND_RESULT or event.value.startswith("team_") else "",
        templates=templates,
        language=language,
    )
    return render(request)
