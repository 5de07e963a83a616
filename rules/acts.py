"""What an act or a due timer does to a ticket: one pure judgement for every channel (design 4)."""

from datetime import datetime

import msgspec

from itsm.act import Act, ActorKind, Verb
from itsm.address import Address
from itsm.decision import AddEntry, ChangeTicket, Decision, Direction, Effect, Notify, Reasons, Visibility
from itsm.envelope import Outcome
from itsm.lifecycle import Illegal, judge, legal_acts
from itsm.notification import Event
from itsm.permission import refusal
from itsm.service import Desk
from itsm.signal import TimerDue
from itsm.ticket import State, Ticket, TicketType
from rules.audience import team_recipient
from rules.reopening import auto_close, stays_open, too_late, wake
from rules.ruleset import Ruleset

NO_REQUESTER = "the ticket has no requester"
TELLS_REQUESTER = {Verb.REPLY: Event.REPLY, Verb.RESOLVE: Event.RESOLVED, Verb.REOPEN: Event.REOPENED}
MAX_TAGS = 20


def decide_act(act: Act, ticket: Ticket, *, ruleset: Ruleset, desk: Desk, now: datetime) -> Decision | Illegal:
    """The decision for one act on the ticket it names, or why it may not be."""
    denied = refusal(act.actor)
    if denied:
        return Illegal(reason=denied, legal_acts=())
    judged = judge(ticket, act)
    if isinstance(judged, Illegal):
        return judged
    options = legal_acts(ticket, act.actor.kind)
    unknown = _unknown(act, desk)
    if unknown:
        return Illegal(reason=unknown, legal_acts=options)
    if _reopens(act, ticket) and too_late(ticket, ruleset.settings, now):
        late = f"it was resolved more than {ruleset.settings.reopen_days} days ago: open a new ticket"
        return Illegal(reason=late, legal_acts=tuple(each for each in options if each is not act.verb))
    actor = actor_text(act)
    after = _after(act, ticket, judged.state, ruleset, now)
    effects: list[Effect] = []
    if after != ticket:
        effects.append(ChangeTicket(before=ticket, after=after, verb=act.verb.value, actor=actor))
    if act.text.strip():
        effects.append(_words(act, ticket, actor))
    if _is_requesters_reply(act):
        effects += wake(ticket, actor, now)
    effects += _timers(act, ticket, ruleset, now)
    effects += _notices(act, after, desk)
    reasons = Reasons(code=f"act_{act.verb.value}", sentence=f"{actor} asked for it.", ruleset_sha256=ruleset.sha256, trust=act.actor.trust)
    return Decision(outcome=Outcome.APPENDED, ticket_id=ticket.id, effects=tuple(effects), reasons=reasons)


def actor_text(act: Act) -> str:
    """Who acts, as the history names them: `agent:ben`."""
    return f"{act.actor.kind.value}:{act.actor.name}" if act.actor.name else act.actor.kind.value


def _is_requesters_reply(act: Act) -> bool:
    return act.verb is Verb.REPLY and act.actor.kind is ActorKind.REQUESTER


def _reopens(act: Act, ticket: Ticket) -> bool:
    return act.verb is Verb.REOPEN or (_is_requesters_reply(act) and ticket.state is State.RESOLVED)


def _unknown(act: Act, desk: Desk) -> str:
    """The first name in the arguments that the desk does not have."""
    known = {
        "team": {team.key for team in desk.teams},
        "assignee": {agent.key for agent in desk.agents},
        "service": {service.key for service in desk.services},
    }
    for name, keys in known.items():
        value = act.arguments.get(name)
        if value and value not in keys:
            return f"there is no {name} {value!r}; known: {', '.join(sorted(keys)) or 'none'}"
    return ""


def _after(act: Act, ticket: Ticket, state: State, ruleset: Ruleset, now: datetime) -> Ticket:
    """The ticket after the act; unchanged when nothing about it changes."""
    given = act.arguments
    after = ticket
    match act.verb:
        case Verb.ASSIGN:
            after = msgspec.structs.replace(ticket, team=given.get("team", ticket.team), assignee=given.get("assignee", ticket.assignee))
        case Verb.PRIORITISE:
            impact, urgency = int(given["impact"]), int(given["urgency"])
            priority = ruleset.settings.priority[impact - 1][urgency - 1]
            after = msgspec.structs.replace(ticket, impact=impact, urgency=urgency, priority=priority)
        case Verb.CLASSIFY:
            tags = tuple(dict.fromkeys(given["tags"].split()))[:MAX_TAGS] if "tags" in given else ticket.tags
            type_ = TicketType(given.get("type", ticket.type.value))
            after = msgspec.structs.replace(ticket, type=type_, service=given.get("service", ticket.service), tags=tags)
        case _:
            after = _moved(act, ticket, state, now)
    return msgspec.structs.replace(after, updated_at=now) if after != ticket else ticket


def _moved(act: Act, ticket: Ticket, state: State, now: datetime) -> Ticket:
    """The ticket in its new state; a first public word takes a new ticket into work."""
    if act.verb is Verb.REPLY and ticket.state is State.NEW and act.actor.kind is not ActorKind.REQUESTER:
        state = State.IN_PROGRESS
    if act.verb in (Verb.REPLY, Verb.NOTE) and state is ticket.state:
        return ticket
    return msgspec.structs.replace(
        ticket,
        state=state,
        pending_reason=act.arguments.get("reason", "") if state is State.PENDING else "",
        resolution_code=_resolution_code(act, ticket, state),
        resolved_at=now if act.verb is Verb.RESOLVE else None if act.verb is Verb.REOPEN else ticket.resolved_at,
        closed_at=now if state in (State.CLOSED, State.CANCELLED) else None,
        reopen_count=ticket.reopen_count + (act.verb is Verb.REOPEN),
    )


def _resolution_code(act: Act, ticket: Ticket, state: State) -> str:
    if state is State.RESOLVED:
        return act.arguments.get("code", "") or ticket.resolution_code or "fixed"
    return ticket.resolution_code if state is State.CLOSED else ""


def _words(act: Act, ticket: Ticket, actor: str) -> AddEntry:
    """The entry: public when the requester wrote it or is told of it, else for the desk alone."""
    desk = act.actor.kind is not ActorKind.REQUESTER
    return AddEntry(
        ticket_id=ticket.id,
        direction=Direction.DESK if desk else Direction.INBOUND,
        visibility=Visibility.INTERNAL if desk and act.verb not in TELLS_REQUESTER else Visibility.PUBLIC,
        author=actor,
        author_name=act.actor.name,
        verified=True,
        text=act.text,
    )


def _timers(act: Act, ticket: Ticket, ruleset: Ruleset, now: datetime) -> list[Effect]:
    if act.verb is Verb.RESOLVE:
        return [auto_close(ticket.id, ruleset.settings, now)]
    if act.verb in (Verb.REOPEN, Verb.CLOSE):
        return [stays_open(ticket.id)]
    return []


def _notices(act: Act, ticket: Ticket, desk: Desk) -> list[Effect]:
    """The requester hears what the desk says; the team hears what the requester does."""
    if act.actor.kind is ActorKind.REQUESTER:
        recipient, suppressed = team_recipient(desk, ticket)
        facts = {"words": act.text, "requester": ticket.requester, "requester_name": ticket.requester_name, "reason": act.verb.value}
        return [Notify(ticket_id=ticket.id, event=Event.TEAM_REPLY, recipient=recipient, facts=facts, suppressed_because=suppressed)]
    event = TELLS_REQUESTER.get(act.verb)
    if event is None:
        return []
    recipient = Address(name=ticket.requester_name, address=ticket.requester)
    agent = next((each.name for each in desk.agents if each.key == act.actor.name), "")
    facts = {"words": act.text, "requester_name": ticket.requester_name, "code": ticket.resolution_code, "agent_name": agent}
    suppressed = None if ticket.requester else NO_REQUESTER
    return [Notify(ticket_id=ticket.id, event=event, recipient=recipient, facts=facts, suppressed_because=suppressed)]


def decide_auto_close(timer: TimerDue, ticket: Ticket | None, stored_generation: int | None, now: datetime) -> Decision:
    """Close a ticket that is still resolved; a timer that was set again or whose ticket moved on does nothing, recorded."""
    if ticket is None or stored_generation != timer.generation or ticket.state is not State.RESOLVED:
        reasons = Reasons(code="timer_outdated", sentence="The timer was set again or the ticket moved on.")
        return Decision(outcome=Outcome.RECORDED, ticket_id=ticket.id if ticket else None, reasons=reasons)
    after = msgspec.structs.replace(ticket, state=State.CLOSED, closed_at=now, updated_at=now)
    effects: tuple[Effect, ...] = (
        ChangeTicket(before=ticket, after=after, verb="close", actor="system:auto_close"),
        stays_open(ticket.id),
    )
    reasons = Reasons(code="auto_closed", sentence="Resolved long enough without an answer.")
    return Decision(outcome=Outcome.APPENDED, ticket_id=ticket.id, effects=effects, reasons=reasons)
