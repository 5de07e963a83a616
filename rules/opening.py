"""A new ticket from a mail: type, priority, team, and whether its sender is answered."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from itsm.address import Address, canonical
from itsm.decision import AddEntry, Decision, Direction, Effect, LinkTickets, Notify, OpenTicket, Reasons, SpendBudget, Visibility
from itsm.envelope import Envelope, Outcome
from itsm.notification import Event
from itsm.service import Desk
from itsm.signal import UserMessage
from itsm.ticket import State, Ticket
from rules.answer import acknowledgement
from rules.audience import team_addressed
from rules.authentication import TrustVerdict
from rules.budget import Used
from rules.classify import classify
from rules.follow_up_policy import out_of_hours_text
from rules.notice import tell_team
from rules.prioritise import prioritise_mail
from rules.ruleset import Ruleset, Verdict
from rules.snapshot import MailSnapshot
from rules.threading import candidates

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
    teams: tuple[str, ...] = (),
    copy_of: int | None = None,
) -> Decision:
    """The decision that opens a ticket for a mail that leads to none.

    `suggested_id` is a ticket it may belong to; a number in the subject that was not enough to append suggests one too.
    `teams` are those it was sent to where no rule chose one: each gets a ticket of its own, linked. `copy_of` is the ticket
    that the same mail made before for another team: the sender was answered then.
    """
    ticket, why = _ticket(message, envelope, snapshot, verdict, ruleset, desk, now)
    ticket = msgspec.structs.replace(ticket, trust=trust.level, team=teams[0] if teams else ticket.team)
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
    if copy_of is not None:
        effects.append(LinkTickets(ticket_id=HANDLE, other_id=copy_of, kind="related"))
    effects += _for_others(ticket, entry, teams[1:])
    if ruleset.settings.team_notices:
        opened = [each.ticket for each in effects if isinstance(each, OpenTicket)]
        effects += _tell_teams(message, opened, snapshot, trust, ruleset, desk, now)
    answered, because = (
        ((), "The sender was answered when the same mail came first.")
        if copy_of is not None
        else _acknowledge(message, envelope, snapshot, verdict, trust, ruleset, desk, now, ticket.team)
    )
    reasons = Reasons(
        code="opened",
        sentence=f"A new ticket. {why} {because}",
        ruleset_sha256=ruleset.sha256,
        rules=verdict.rules,
        values=verdict.values | ({"candidates": "; ".join(shown)} if (shown := candidates(snapshot, trust.level)) else {}),
        near_misses=verdict.near_misses,
        trust=trust.level,
    )
    return Decision(outcome=Outcome.CREATED, ticket_id=HANDLE, effects=(*effects, *answered), reasons=reasons)


def _for_others(ticket: Ticket, entry: AddEntry, teams: tuple[str, ...]) -> Iterator[Effect]:
    """A ticket with the same words for each other team, linked to the first."""
    for place, team in enumerate(teams, start=1):
        other = msgspec.structs.replace(ticket, id=HANDLE - place, team=team)
        yield OpenTicket(ticket=other)
        yield msgspec.structs.replace(entry, ticket_id=other.id)
        yield LinkTickets(ticket_id=other.id, other_id=HANDLE, kind="related")


def _tell_teams(
    message: UserMessage,
    opened: list[Ticket],
    snapshot: MailSnapshot,
    trust: TrustVerdict,
    ruleset: Ruleset,
    desk: Desk,
    now: datetime,
) -> list[Effect]:
    """A notice for each ticket; what one takes from a budget the next does not find there."""
    used: Used = snapshot.budgets_used
    told: list[Effect] = []
    doubted = _answers_us(snapshot) and trust.level < 1
    for ticket in opened:
        notices = tell_team(
            message, ticket, Event.TEAM_NEW, desk=desk, settings=ruleset.settings, budgets_used=used, now=now, doubted=doubted
        )
        told += notices
        if ticket is not opened[-1]:
            used = _with(used, notices)
    return told


def _with(used: Used, effects: tuple[Effect, ...]) -> Used:
    """What is used of the budgets once the effects have taken from them."""
    more = dict(used)
    for each in effects:
        if isinstance(each, SpendBudget):
            more[each.key, each.window_start] = more.get((each.key, each.window_start), 0) + 1
    return more


def _answers_us(snapshot: MailSnapshot) -> bool:
    """Whether the mail names a ticket or a mail of ours."""
    return bool(snapshot.referenced) or snapshot.by_subject is not None


def _chained(snapshot: MailSnapshot) -> bool:
    """Whether a stranger names a ticket that a stranger's mail opened which named one: people do not, responders that move do (A20)."""
    named = snapshot.by_subject
    return named is not None and named.suggested_for is not None and not snapshot.by_subject_participant


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
    team: str,
) -> tuple[tuple[Effect, ...], str]:
    """The acknowledgement, recorded with its reason when it must not be sent; no sender, no row."""
    answer = acknowledgement(
        message,
        envelope,
        trust=trust.level,
        verdict=verdict,
        budgets_used=snapshot.budgets_used,
        settings=ruleset.settings,
        our_addresses=desk.own_addresses,
        now=now,
        has_number=not snapshot.referenced and snapshot.by_subject_participant and trust.level < 1,
        chained=_chained(snapshot),
    )
    if message.sender is None:
        return (), answer.because
    facts = {
        "trusted": "yes" if trust.level >= 1 else "",
        "requester_name": message.sender.name,
        "out_of_hours": out_of_hours_text(team, ruleset.settings, now),
    }
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
