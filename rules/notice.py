"""Telling the people who work a ticket that a mail came: within a budget of its sender, so that no responder can make a loop."""

from datetime import datetime, timedelta

import msgspec

from itsm.address import canonical, is_mailbox
from itsm.decision import Effect, Notify
from itsm.notification import Event
from itsm.person import Follower, muted
from itsm.service import Desk
from itsm.signal import UserMessage
from itsm.ticket import Ticket
from rules.audience import Told, team_recipients
from rules.budget import BudgetKey, Used, notice_key, ticket_key, words_key
from rules.settings import RulesSettings

OWN_WORDS = "the recipient wrote it"
MAX_COPIED = 20
TOO_MANY_HERE = "mails on this ticket caused too many notices this hour"
SAME_WORDS = "the same words came from that domain again and again today"
TOO_MANY = "the sender's mails caused too many notices this hour"


def tell_team(
    message: UserMessage,
    ticket: Ticket,
    event: Event,
    *,
    reason: str = "",
    desk: Desk,
    settings: RulesSettings,
    budgets_used: Used,
    now: datetime,
    followers: tuple[Follower, ...] = (),
    doubted: bool = False,
) -> tuple[Effect, ...]:
    """The notices, a copy a reader, and what they cost together; recorded with the reason where one must not be sent.

    `doubted` tells that the mail names a ticket or a mail of ours and nothing proves that its sender may: it could be a responder.
    """
    sender = message.sender.address if message.sender else ""
    keys: tuple[BudgetKey, ...] = (notice_key(sender, settings, now),)
    if ticket.id > 0:
        keys = (*keys, ticket_key(ticket.id, settings, now))
    if doubted:
        keys = (*keys, words_key(message, settings, now))
    used_up = next((_too_many(each) for each in keys if each.used_up(budgets_used)), None)
    facts = {
        "words": message.reply_text or message.text,
        "requester": sender,
        "requester_name": message.sender.name if message.sender else "",
        "reason": reason,
        "copied": ", ".join(_copied(message, desk)),
    }
    notices: list[Notify] = []
    for told in team_recipients(desk, ticket, muted(followers, now)):
        suppressed = told.suppressed_because
        if suppressed is None and canonical(told.recipient.address) == canonical(sender):
            suppressed = OWN_WORDS
        if suppressed is None and used_up:
            suppressed = used_up
        reader = msgspec.structs.replace(told, suppressed_because=suppressed)
        notice = notice_to(reader, ticket.id, event, facts, reply_until(settings, now))
        references = (*message.references, *((message.message_id,) if message.message_id else ()))
        notices.append(msgspec.structs.replace(notice, in_reply_to=message.message_id, references=references))
    if all(each.suppressed_because is not None for each in notices):
        return tuple(notices)
    return (*notices, *(each.spend() for each in keys))


def _too_many(key: BudgetKey) -> str:
    """Why a notice is held back, by the budget that is used up."""
    if key.key.startswith("notice/ticket/"):
        return TOO_MANY_HERE
    return SAME_WORDS if key.key.startswith("notice/words/") else TOO_MANY


def _copied(message: UserMessage, desk: Desk) -> list[str]:
    """Who else the mail went to, bounded: they follow the ticket only when somebody says so."""
    ours = desk.inner_addresses
    return [each.address for each in message.cc if canonical(each.address) not in ours and is_mailbox(each.address)][:MAX_COPIED]


def reply_until(settings: RulesSettings, now: datetime) -> datetime:
    """When the reply addresses of mails made now end."""
    return now + timedelta(days=settings.reply_address_days)


def notice_to(told: Told, ticket_id: int, event: Event, facts: dict[str, str], until: datetime) -> Notify:
    """One reader's copy; an agent's has a reply address of its own."""
    return Notify(
        ticket_id=ticket_id,
        event=event,
        recipient=told.recipient,
        facts=facts | {"answerable": "yes" if told.agent else ""},
        suppressed_because=told.suppressed_because,
        reply_as=told.agent,
        reply_until=until if told.agent else None,
    )
