"""A ticket that somebody of the desk enters for a requester who called or came by (design 4, one act, any channel)."""

from datetime import datetime

from itsm.act import ActorKind, Entered
from itsm.address import Address, canonical, is_mailbox
from itsm.decision import AddEntry, Decision, Direction, Effect, Notify, OpenTicket, Reasons, Visibility
from itsm.envelope import Outcome
from itsm.lifecycle import Illegal
from itsm.notification import Event
from itsm.permission import refusal
from itsm.person import Person
from itsm.service import Desk
from itsm.ticket import State, Ticket, TicketType
from rules.audience import default_team, team_recipients
from rules.notice import notice_to, reply_until
from rules.opening import HANDLE, MAX_SUBJECT_CHARACTERS
from rules.ruleset import Ruleset

MAY_ENTER = frozenset({ActorKind.AGENT, ActorKind.OPERATOR})
USUAL_IMPACT, USUAL_URGENCY = 3, 2


def decide_entered(entered: Entered, *, person: Person | None, ruleset: Ruleset, desk: Desk, now: datetime) -> Decision | Illegal:
    """The decision that opens it, or why it may not be opened; `person` is who the requester's address belongs to."""
    wrong = _wrong(entered, desk)
    if wrong:
        return Illegal(reason=wrong, legal_acts=())
    actor = f"{entered.actor.kind.value}:{entered.actor.name}"
    ticket = _ticket(entered, person, ruleset, desk, actor, now)
    effects: list[Effect] = [OpenTicket(ticket=ticket)]
    if entered.text.strip():
        effects.append(
            AddEntry(
                ticket_id=HANDLE, direction=Direction.DESK, visibility=Visibility.PUBLIC, author=actor, author_name=entered.actor.name,
                verified=True, subject=ticket.subject, text=entered.text, note="Entered for the requester.", trust=entered.actor.trust,
            )
        )  # fmt: skip
    facts = {"words": entered.text, "requester": ticket.requester, "requester_name": ticket.requester_name, "reason": f"entered by {actor}"}
    until = reply_until(ruleset.settings, now)
    if ruleset.settings.team_notices:
        readers = (
            each for each in team_recipients(desk, ticket) if each.agent != entered.actor.name or entered.actor.kind is not ActorKind.AGENT
        )
        effects += [notice_to(each, HANDLE, Event.TEAM_NEW, facts, until) for each in readers]
    if ticket.requester and entered.acknowledge:
        recipient = Address(name=ticket.requester_name, address=ticket.requester)
        told = {"trusted": "yes", "requester_name": ticket.requester_name}
        effects.append(Notify(ticket_id=HANDLE, event=Event.ACKNOWLEDGED, recipient=recipient, facts=told))
    sentence = f"{actor} entered it{' for ' + ticket.requester if ticket.requester else ''}."
    reasons = Reasons(code="entered", sentence=sentence, ruleset_sha256=ruleset.sha256, trust=entered.actor.trust)
    return Decision(outcome=Outcome.CREATED, ticket_id=HANDLE, effects=tuple(effects), reasons=reasons)


def _wrong(entered: Entered, desk: Desk) -> str:
    """Why it may not be opened, "" when it may."""
    if entered.actor.kind not in MAY_ENTER:
        return f"{entered.actor.kind.value} may not enter tickets for others"
    agent = next((each for each in desk.agents if entered.actor.kind is ActorKind.AGENT and each.key == entered.actor.name), None)
    denied = refusal(entered.actor) or (
        f"{agent.name} is an auditor, who reads and does not act" if agent and agent.role == "auditor" else ""
    )
    if denied:
        return denied
    if not entered.subject.strip():
        return "a ticket needs a subject"
    if entered.requester and not is_mailbox(entered.requester):
        return f"{entered.requester!r} is no mail address"
    if entered.type not in ("", *(each.value for each in TicketType)):
        return "type must be incident or service_request"
    if not (0 <= entered.impact <= 3 and 0 <= entered.urgency <= 3):
        return "impact and urgency run from 1 to 3"
    if entered.team and entered.team not in {each.key for each in desk.teams}:
        return f"there is no team {entered.team!r}"
    if entered.service and entered.service not in {each.key for each in desk.services}:
        return f"there is no service {entered.service!r}"
    return ""


def _ticket(entered: Entered, person: Person | None, ruleset: Ruleset, desk: Desk, actor: str, now: datetime) -> Ticket:
    impact, urgency = entered.impact or USUAL_IMPACT, entered.urgency or USUAL_URGENCY
    service = next((each for each in desk.services if each.key == entered.service), None)
    return Ticket(
        id=HANDLE,
        number=0,
        type=TicketType(entered.type or TicketType.INCIDENT.value),
        state=State.NEW,
        subject=" ".join(entered.subject.split())[:MAX_SUBJECT_CHARACTERS],
        impact=impact,
        urgency=urgency,
        priority=ruleset.settings.priority[impact - 1][urgency - 1],
        requester=person.address if person else canonical(entered.requester),
        requester_name=entered.requester_name or (person.name if person else ""),
        organisation=person.organisation if person else "",
        team=entered.team or (service.team if service else "") or default_team(desk),
        service=entered.service,
        source="desk",
        opened_at=now,
        updated_at=now,
        trust=entered.actor.trust,
        entered_by=actor,
    )
