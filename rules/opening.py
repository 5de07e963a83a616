"""A new ticket from a mail: type, priority, team, and whether its sender is answered."""

from datetime import datetime

import msgspec

from itsm.address import Address, canonical
from itsm.decision import AddEntry, Decision, Direction, Effect, LinkTickets, Notify, OpenTicket, Reasons, Visibility
from itsm.envelope import Envelope, Outcome
from itsm.notification import Event
from itsm.service import Desk
from itsm.signal import UserMessage
from itsm.ticket import State, Ticket
from rules.answer import acknowledgement
from rules.audience import our_addresses, team_addressed
from rules.authentication import TrustVerdict
from rules.classify import classify
from rules.notice import tell_team
from rules.prioritise import prioritise_mail
from rules.ruleset import Ruleset, Verdict
from rules.snapshot import MailSnapshot

HANDLE = -1  # the id of the ticket a decision opens, until it is applied
NO_SUBJECT = "(no subject)"
MAX_SUBJECT_CHARACTERS = 250


def open_for_mail(
    message: UserMessage,
    envelope: Envelope,
    snapshot: MailSnapshot,
    *,
    verdict: Verdict,
    trust: TrustVerdict,
    ruleset: Ruleset,
    desk: Desk,
    now: datetime,
    suggested_id: int | None,
) -> Decision:
    """The decision that opens a ticket for a mail that leads to none.

    `suggested_id` is a ticket it may belong to; a number in the subject that was not enough to append suggests one too.
    """
    ticket, why = _ticket(message, envelope, snapshot, verdict, ruleset, desk, now)
    ticket = msgspec.structs.replace(ticket, trust=trust.level)
    sender = message.sender or Address(address="")
    entry = AddEntry(
        ticket_id=HANDLE,
        direction=Direction.INBOUND,
        visibility=Visibility.PUBLIC,
        author=canonical(sender.address),
        author_name=sender.name,
        verified=True,
        subject=message.subject,
        text=message.text,
        from_signal=True,
        trust=trust.level,
    )
    effects: list[Effect] = [OpenTicket(ticket=ticket), entry]
    suggested = suggested_id or (snapshot.by_subject.id if snapshot.by_subject else None)
    if suggested is not None:
        effects.append(LinkTickets(ticket_id=HANDLE, other_id=suggested, kind="suggested"))
    if ruleset.settings.team_notices:
        used = snapshot.budgets_used
        effects += tell_team(message, ticket, Event.TEAM_NEW, desk=desk, settings=ruleset.settings, budgets_used=used, now=now)
    answered, because = _acknowledge(message, envelope, snapshot, verdict, trust, ruleset, desk, now)
    reasons = Reasons(
        code="opened",
        sentence=f"A new ticket. {why} {because}",
        ruleset_sha256=ruleset.sha256,
        rules=verdict.rules,
        values=verdict.values,
        near_misses=verdict.near_misses,
        trust=trust.level,
    )
    return Decision(outcome=Outcome.CREATED, ticket_id=HANDLE, effects=(*effects, *answered), reasons=reasons)


def _ticket(
    message: UserMessage, envelope: Envelope, snapshot: MailSnapshot, verdict: Verdict, ruleset: Ruleset, desk: Desk, now: datetime
) -> tuple[Ticket, str]:
    kind = classify(message, verdict, ruleset.settings)
    priority = prioritise_mail(verdict, ruleset.settings)
    sender = message.sender or Address(address="")
    service = next((each for each in desk.services if each.key == verdict.service), None)
    team = verdict.team or (service.team if service else "") or team_addressed(desk, message, envelope)
    ticket = Ticket(
        id=HANDLE,
        number=0,
        type=kind.type,
        state=State.NEW,
        subject=(message.subject.strip() or NO_SUBJECT)[:MAX_SUBJECT_CHARACTERS],
        impact=priority.impact,
        urgency=priority.urgency,
        priority=priority.priority,
        requester=snapshot.person.address if snapshot.person is not None else canonical(sender.address),
        requester_name=sender.name or (snapshot.person.name if snapshot.person is not None else ""),
        organisation=snapshot.person.organisation if snapshot.person is not None else "",
        team=team,
        service=verdict.service or "",
        tags=verdict.tags,
        source=envelope.source,
        suggested_for=snapshot.by_subject.number if snapshot.by_subject else None,
        opened_at=envelope.received_at,
        updated_at=now,
    )
    return ticket, f"{kind.reason} {priority.reason}"


def _acknowledge(
    message: UserMessage,
    envelope: Envelope,
    snapshot: MailSnapshot,
    verdict: Verdict,
    trust: TrustVerdict,
    ruleset: Ruleset,
    desk: Desk,
    now: datetime,
) -> tuple[tuple[Effect, ...], str]:
    """The acknowledgement, recorded with its reason when it must not be sent; no sender, no row."""
    answer = acknowledgement(
        message,
        envelope,
        trust=trust.level,
        verdict=verdict,
        budgets_used=snapshot.budgets_used,
        settings=ruleset.settings,
        our_addresses=our_addresses(desk),
        now=now,
    )
    if message.sender is None:
        return (), answer.because
    facts = {"trusted": "yes" if trust.level >= 1 else "", "requester_name": message.sender.name}
    notify = Notify(
        ticket_id=HANDLE,
        event=Event.ACKNOWLEDGED,
        recipient=message.sender,
        facts=facts,
        in_reply_to=message.message_id,
        references=(*message.references, *((message.message_id,) if message.message_id else ())),
        suppressed_because=None if answer.send else answer.because,
    )
    return (notify, *answer.spend), answer.because
