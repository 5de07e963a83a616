"""The endpoints that change something. Each runs in one write transaction, as the acts of every other channel do."""

from casework.entering import enter
from casework.handle import perform
from itsm.act import Act, Entered
from itsm.errors import Conflict, Refused
from itsm.identifier import inbox_text
from store import edited, inbox, outbox
from store.transaction import Tx
from webportal import present, reading, shapes
from webportal.asking import ActBody, AnyAsk, Ask, DropBody, EnterBody, Nothing

NOT_NOW = "is not in a state for that"


def act(tx: Tx, ask: Ask[Nothing, ActBody]) -> shapes.TicketShown:
    """Do one act to a ticket; a refusal names the legal ones."""
    body, found = ask.body, reading.ticket_of(tx, ask)
    asked = Act(
        verb=body.verb,
        ticket_number=found.number,
        actor=ask.principal.actor,
        text=body.text,
        arguments=body.arguments,
        expected_version=body.expected_version,
    )
    return reading.shown(tx, ask, perform(tx, asked, ask.casework, sees=ask.sees))


def enter_ticket(tx: Tx, ask: Ask[Nothing, EnterBody]) -> shapes.TicketShown:
    """Enter a ticket for somebody."""
    body = ask.body
    asked = Entered(actor=ask.principal.actor, **{name: getattr(body, name) for name in body.__struct_fields__})
    opened = enter(tx, asked, ask.casework)
    if not ask.sees(opened):
        raise Refused("the requester is of none of your organisations")
    return reading.shown(tx, ask, opened)


def retry_envelope(tx: Tx, ask: Ask[Nothing, Nothing]) -> shapes.EnvelopeShown:
    """Take an envelope out of quarantine to be tried again."""
    row, _ = reading.envelope_of(tx, ask)
    return _envelope(tx, ask, done=inbox.retry(tx, row.envelope.id))


def drop_envelope(tx: Tx, ask: Ask[Nothing, DropBody]) -> shapes.EnvelopeShown:
    """End a quarantined envelope by a person's word."""
    row, _ = reading.envelope_of(tx, ask)
    return _envelope(tx, ask, done=inbox.drop(tx, row.envelope.id, _reason(ask)))


def edit_envelope(tx: Tx, ask: Ask[Nothing, Nothing]) -> shapes.EnvelopeShown:
    """Mend a quarantined envelope: the new bytes are a new envelope that names the old one, and the old one is dropped."""
    row, _ = reading.envelope_of(tx, ask)
    new_id = edited.replace(tx, row, ask.raw)
    changed = inbox.find(tx, new_id)
    assert changed is not None, "it was stored in this transaction"
    return present.envelope(changed)


def _envelope(tx: Tx, ask: AnyAsk, *, done: bool) -> shapes.EnvelopeShown:
    found = inbox.find(tx, ask.inbox_id())
    if not done or found is None:
        raise Conflict(f"{inbox_text(ask.inbox_id())} {NOT_NOW}: it is not in quarantine")
    return present.envelope(found)


def hold_notification(tx: Tx, ask: Ask[Nothing, Nothing]) -> shapes.NotificationShown:
    """Keep a queued mail from being sent until somebody retries it."""
    return _notification(tx, ask, done=outbox.hold(tx, reading.notification_of(tx, ask).notification.id))


def retry_notification(tx: Tx, ask: Ask[Nothing, Nothing]) -> shapes.NotificationShown:
    """Send a mail that is held, dead or waits, at once."""
    return _notification(tx, ask, done=outbox.retry(tx, reading.notification_of(tx, ask).notification.id))


def drop_notification(tx: Tx, ask: Ask[Nothing, DropBody]) -> shapes.NotificationShown:
    """Never send a mail."""
    return _notification(tx, ask, done=outbox.drop(tx, reading.notification_of(tx, ask).notification.id, _reason(ask)))


def _notification(tx: Tx, ask: AnyAsk, *, done: bool) -> shapes.NotificationShown:
    row = reading.notification_of(tx, ask)
    if not done:
        raise Conflict(f"{row.notification.id} {NOT_NOW}: it is {row.notification.state.value}")
    return present.notification(row)


def _reason(ask: Ask[Nothing, DropBody]) -> str:
    actor = ask.principal.actor
    return f"dropped by {actor.kind.value}:{actor.name}: {ask.body.reason}"
