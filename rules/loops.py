"""The breaker: when a budget that only a loop uses up is used up, an incident about it is opened, once a day for each."""

from datetime import datetime

import msgspec

from itsm.decision import AddEntry, Decision, Direction, Effect, LinkTickets, OpenTicket, Visibility
from itsm.envelope import Envelope, Outcome
from itsm.notification import Event
from itsm.service import Desk
from itsm.signal import UserMessage
from itsm.ticket import State, Ticket, TicketType
from rules.audience import default_team, team_recipients
from rules.budget import BudgetKey, Used, breaker_keys, loop_keys
from rules.notice import notice_to, reply_until
from rules.settings import RulesSettings

LOOP_SUBJECT, LOOP_TAG, LOOP_CODE = "Mail loop stopped", "mail-loop", "loop_stopped"
BREAKER_HANDLE = -9  # the id of the incident, until it is applied
IMPACT, URGENCY = 2, 2
WORKED = frozenset({Outcome.CREATED, Outcome.APPENDED})


def with_breaker(
    decision: Decision, message: UserMessage, envelope: Envelope, *, used: Used, settings: RulesSettings, desk: Desk, now: datetime
) -> Decision:
    """The decision, with an incident about the loop where this mail met a budget that was used up before it."""
    if decision.outcome not in WORKED:
        return decision
    assert decision.ticket_id is not None, "what was worked has a ticket"
    sender = message.sender.address if message.sender else ""
    worked = (decision.ticket_id,) if decision.ticket_id > 0 else ()  # a new one has taken from no budget of its own
    guards = loop_keys(sender, worked, settings, now)
    tripped = next((each for each in guards if each.limit > 0 and each.used_up(used)), None)
    if tripped is None:
        return decision
    told = breaker_keys(tripped, settings, now)
    if any(each.used_up(used) for each in told):
        return decision
    effects = (*decision.effects, *_incident(decision.ticket_id, tripped, sender, envelope, settings, desk, now))
    return msgspec.structs.replace(decision, effects=(*effects, *(each.spend() for each in told)))


def _incident(
    ticket_id: int, tripped: BudgetKey, sender: str, envelope: Envelope, settings: RulesSettings, desk: Desk, now: datetime
) -> tuple[Effect, ...]:
    """The incident, its words, its link to the ticket of the loop, and one notice to the team that gets what has no owner."""
    ticket = Ticket(
        id=BREAKER_HANDLE,
        number=0,
        type=TicketType.INCIDENT,
        state=State.NEW,
        subject=LOOP_SUBJECT,
        impact=IMPACT,
        urgency=URGENCY,
        priority=settings.priority[IMPACT - 1][URGENCY - 1],
        requester="",
        team=default_team(desk),
        tags=(LOOP_TAG,),
        source=envelope.source,
        opened_at=envelope.received_at,
        updated_at=now,
    )
    name = tripped.key.partition("/")[0] if tripped.key.startswith("reopen/") else "/".join(tripped.key.split("/")[:2])
    words = (
        f"The budget {name} ({tripped.limit}) is used up; the last mail was from {sender or 'nobody'}. Automatic mails are held back "
        "until its window ends; every mail is kept on its ticket. Look at the linked ticket: is the sender a responder, or a person in need?"
    )
    entry = AddEntry(
        ticket_id=BREAKER_HANDLE, direction=Direction.DESK, visibility=Visibility.INTERNAL, author="system:loop_guard", text=words
    )
    facts = {"words": words, "requester": "", "requester_name": "triaged", "reason": LOOP_CODE}
    notices = [notice_to(each, BREAKER_HANDLE, Event.TEAM_NEW, facts, reply_until(settings, now)) for each in team_recipients(desk, ticket)]
    return (OpenTicket(ticket=ticket), entry, LinkTickets(ticket_id=BREAKER_HANDLE, other_id=ticket_id, kind="related"), *notices)
