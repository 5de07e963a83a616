"""Telling the people who work a ticket that a mail came: within a budget of its sender, so that no responder can make a loop."""

from collections.abc import Mapping
from datetime import datetime

from itsm.address import canonical
from itsm.decision import Effect, Notify, SpendBudget
from itsm.notification import Event
from itsm.service import Desk
from itsm.signal import UserMessage
from itsm.ticket import Ticket
from rules.answer import notice_key
from rules.audience import team_recipient
from rules.settings import RulesSettings

OWN_WORDS = "the recipient wrote it"
TOO_MANY = "the sender's mails caused too many notices this hour"


def tell_team(
    message: UserMessage,
    ticket: Ticket,
    event: Event,
    *,
    reason: str = "",
    desk: Desk,
    settings: RulesSettings,
    budgets_used: Mapping[tuple[str, datetime], int],
    now: datetime,
) -> tuple[Effect, ...]:
    """The notice and what it costs; recorded with its reason when it must not be sent."""
    recipient, suppressed = team_recipient(desk, ticket)
    sender = message.sender.address if message.sender else ""
    key = notice_key(sender, settings, now)
    if suppressed is None and canonical(recipient.address) == canonical(sender):
        suppressed = OWN_WORDS
    if suppressed is None and budgets_used.get((key.key, key.window_start), 0) >= key.limit:
        suppressed = TOO_MANY
    notify = Notify(
        ticket_id=ticket.id,
        event=event,
        recipient=recipient,
        facts={
            "words": message.reply_text or message.text,
            "requester": sender,
            "requester_name": message.sender.name if message.sender else "",
            "reason": reason,
        },
        in_reply_to=message.message_id,
        references=(*message.references, *((message.message_id,) if message.message_id else ())),
        suppressed_because=suppressed,
    )
    if suppressed is not None:
        return (notify,)
    return notify, SpendBudget(key=key.key, window_start=key.window_start, limit=key.limit)
