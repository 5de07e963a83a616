"""The one table of the API: every operation with its path, what it takes and answers, and the action it needs permission for.

The router, the OpenAPI document, the reference page and the tests of permissions are all made of it.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from itsm.permission import RIGHTS, Action
from store.transaction import Tx
from webportal import acting, reading, shapes
from webportal.asking import ActBody, AlertQuery, Asked, DropBody, EnterBody, InboxQuery, MessageQuery, Nothing, OutboxQuery, TicketQuery
from webportal.shapes import Shape

PREFIX = "/api/v1"
MAIL, OCTETS, JSON = "message/rfc822", "application/octet-stream", "application/json"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation. `run` is None for what the composition root mounts; `answer` is None for bytes, `takes` names those of a body."""

    name: str
    method: str
    path: str
    action: Action
    summary: str
    run: Callable[[Tx, Any], Shape | bytes] | None
    query: type[Asked] = Nothing
    body: type[Asked] | None = None
    takes: str = ""
    answer: type[Shape] | None
    status: int = 200

    @property
    def scope(self) -> str:
        """The scope a token needs."""
        return RIGHTS[self.action].scope

    @property
    def writes(self) -> bool:
        """Whether it changes something: then it takes an Idempotency-Key."""
        return self.method == "POST"


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="sendMessage", method="POST", path="/messages", action=Action.SEND_MESSAGE, query=MessageQuery, takes=MAIL,
        answer=shapes.Accepted, status=202, run=None,
        summary="Take in a raw mail. It is durable when this answers; what becomes of it is seen in the inbox.",
    ),
    Operation(
        name="listInbox", method="GET", path="/inbox", action=Action.READ_QUEUE, query=InboxQuery, answer=shapes.EnvelopePage,
        run=reading.list_inbox, summary="List envelopes: those of a Message-ID, or in a state, in quarantine unless told.",
    ),
    Operation(
        name="showEnvelope", method="GET", path="/inbox/{id}", action=Action.READ_QUEUE, answer=shapes.EnvelopeShown,
        run=reading.show_envelope, summary="Show an envelope with what became of each part, and why.",
    ),
    Operation(
        name="showEnvelopeRaw", method="GET", path="/inbox/{id}/raw", action=Action.READ_QUEUE, answer=None,
        run=reading.show_envelope_raw, summary="The bytes of an envelope as they came.",
    ),
    Operation(
        name="retryEnvelope", method="POST", path="/inbox/{id}/retry", action=Action.CHANGE_QUEUE, answer=shapes.EnvelopeShown,
        run=acting.retry_envelope, summary="Take an envelope, or its quarantined parts, out of quarantine to be tried again.",
    ),
    Operation(
        name="dropEnvelope", method="POST", path="/inbox/{id}/drop", action=Action.CHANGE_QUEUE, body=DropBody,
        answer=shapes.EnvelopeShown, run=acting.drop_envelope, summary="End a quarantined envelope. It stays visible, with the reason.",
    ),
    Operation(
        name="editEnvelope", method="POST", path="/inbox/{id}/edit", action=Action.CHANGE_QUEUE, takes=OCTETS, answer=shapes.EnvelopeShown,
        run=acting.edit_envelope, summary="Mend a quarantined envelope: the new bytes are a new envelope, and the old one is dropped.",
    ),
    Operation(
        name="listTickets", method="GET", path="/tickets", action=Action.READ_TICKET, query=TicketQuery, answer=shapes.TicketPage,
        run=reading.list_tickets, summary="List tickets, the newest first.",
    ),
    Operation(
        name="enterTicket", method="POST", path="/tickets", action=Action.ENTER, body=EnterBody, answer=shapes.TicketShown,
        run=acting.enter_ticket, summary="Enter a ticket for somebody who called or came by.",
    ),
    Operation(
        name="showTicket", method="GET", path="/tickets/{number}", action=Action.READ_TICKET, answer=shapes.TicketWhole,
        run=reading.show_ticket, summary="Show a ticket with everything said and done on it. Any prefix of the number finds it.",
    ),
    Operation(
        name="actOnTicket", method="POST", path="/tickets/{number}/acts", action=Action.ACT, body=ActBody, answer=shapes.TicketShown,
        run=acting.act, summary="Do one act to a ticket. A refusal (422) names the acts that are legal.",
    ),
    Operation(
        name="listAlerts", method="GET", path="/alerts", action=Action.READ_ALERT, query=AlertQuery, answer=shapes.AlertPage,
        run=reading.list_alerts, summary="List open alerts, the newest first.",
    ),
    Operation(
        name="listOutbox", method="GET", path="/outbox", action=Action.READ_QUEUE, query=OutboxQuery, answer=shapes.NotificationPage,
        run=reading.list_outbox, summary="List notifications, the newest first.",
    ),
    Operation(
        name="showNotification", method="GET", path="/outbox/{id}", action=Action.READ_QUEUE, answer=shapes.NotificationShown,
        run=reading.show_notification, summary="Show a notification.",
    ),
    Operation(
        name="showNotificationRaw", method="GET", path="/outbox/{id}/raw", action=Action.READ_QUEUE, answer=None,
        run=reading.show_notification_raw, summary="The bytes of a notification as they are sent.",
    ),
    Operation(
        name="holdNotification", method="POST", path="/outbox/{id}/hold", action=Action.CHANGE_QUEUE, answer=shapes.NotificationShown,
        run=acting.hold_notification, summary="Keep a queued mail from being sent until somebody retries it.",
    ),
    Operation(
        name="retryNotification", method="POST", path="/outbox/{id}/retry", action=Action.CHANGE_QUEUE, answer=shapes.NotificationShown,
        run=acting.retry_notification, summary="Send a mail that is held, dead or waits, at once.",
    ),
    Operation(
        name="dropNotification", method="POST", path="/outbox/{id}/drop", action=Action.CHANGE_QUEUE, body=DropBody,
        answer=shapes.NotificationShown, run=acting.drop_notification, summary="Never send a mail. It stays visible, with the reason.",
    ),
)  # fmt: skip
SEND_MESSAGE = OPERATIONS[0]
