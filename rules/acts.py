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
from itsm.person import muted, watchers
from itsm.service import Desk
from itsm.signal import TimerDue
from itsm.ticket import State, Ticket, TicketType
from rules.audience import team_recipients
from rules.follow_up_policy import policy_of
from rules.following import mute, settle_held, watch
from rules.merging import link, merge, split, unmerge
from rules.notice import notice_to, reply_until
from rules.reopening import auto_close, stays_open, too_late, wake
from rules.ruleset import Ruleset
from rules.snapshot import ActSnapshot

NO_REQUESTER = "the ticket has no requester"
TELLS_REQUESTER = {Verb.REPLY: Event.REPLY, Verb.RESOLVE: Event.RESOLVED, Verb.REOPEN: Event.REOPENED}
STAYS = frozenset({Verb.REPLY, Verb.NOTE, Verb.WATCH, Verb.UNWATCH, Verb.MUTE, Verb.LINK, Verb.UNMERGE, Verb.SPLIT, Verb.ACCEPT, Verb.DROP})
MAX_TAGS = 20
AUDITOR = "auditor"
ALONE = ActSnapshot()


def decide_act(
    act: Act, ticket: Ticket, *, ruleset: Ruleset, desk: Desk, now: datetime, snapshot: ActSnapshot = ALONE
) -> Decision | Illegal:
    """The decision for one act on the ticket it names, or why it may not be."""
    denied = refusal(act.actor) or _only_reads(act, desk)
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
        late = f"it was resolved more than {policy_of(ticket.team, ruleset.settings).reopen_days} days ago: open a new ticket"
        return Illegal(reason=late, legal_acts=tuple(each for each in options if each is not act.verb))
    actor = actor_text(act)
    after = _after(act, ticket, judged.state, ruleset, now)
    more = _around(act, ticket, snapshot, ruleset, desk, now)
    if isinstance(more, str):
        return Illegal(reason=more, legal_acts=options)
    effects = more
    if after != ticket:
        effects.append(ChangeTicket(before=ticket, after=after, verb=act.verb.value, actor=actor))
    if act.text.strip():
        effects.append(_words(act, ticket, actor))
    if _is_requesters_reply(act):
        effects += wake(ticket, actor, now)
    effects += _timers(act, ticket, ruleset, now)
    effects += _notices(act, after, desk, ruleset, snapshot, now)
    reasons = Reasons(code=f"act_{act.verb.value}", sentence=f"{actor} asked for it.", ruleset_sha256=ruleset.sha256, trust=act.actor.trust)
    return Decision(outcome=Outcome.APPENDED, ticket_id=ticket.id, effects=tuple(effects), reasons=reasons)


def _only_reads(act: Act, desk: Desk) -> str:
    """Why this agent may not act, "" when they may."""
    agent = next((each for each in desk.agents if act.actor.kind is ActorKind.AGENT and each.key == act.actor.name), None)
    return f"{agent.name} is an auditor, who reads and does not act" if agent is not None and agent.role == AUDITOR else ""


def _around(act: Act, ticket: Ticket, snapshot: ActSnapshot, ruleset: Ruleset, desk: Desk, now: datetime) -> list[Effect] | str:
    """What an act does beside the fields of its ticket, or why it may not."""
    actor = actor_text(act)
    match act.verb:
        case Verb.LINK:
            return link(act, ticket, snapshot)
        case Verb.MERGE:
            return merge(act, ticket, snapshot, actor, now)
        case Verb.UNMERGE:
            return unmerge(ticket, snapshot, ruleset.settings, actor, now)
        case Verb.SPLIT:
            return split(act, ticket, snapshot, actor, now)
        case Verb.WATCH | Verb.UNWATCH:
            return watch(act, ticket, snapshot, desk, actor)
        case Verb.MUTE:
            return mute(act, ticket, desk, actor, now)
        case Verb.ACCEPT | Verb.DROP:
            return settle_held(act, ticket, snapshot, desk, actor, now)
        case _:
            return []


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
            after = _prioritised(ticket, given, ruleset)
        case Verb.CLASSIFY:
            tags = tuple(dict.fromkeys(given["tags"].split()))[:MAX_TAGS] if "tags" in given else ticket.tags
            type_ = TicketType(given.get("type", ticket.type.value))
            after = msgspec.structs.replace(ticket, type=type_, service=given.get("service", ticket.service), tags=tags)
        case Verb.MERGE:
            pass  # rules.merging changes it, with everything that goes with it
        case _:
            after = _moved(act, ticket, state, now)
    return msgspec.structs.replace(after, updated_at=now) if after != ticket else ticket


def _prioritised(ticket: Ticket, given: dict[str, str], ruleset: Ruleset) -> Ticket:
    """A priority as such leaves impact and urgency as they are; these two give it by the matrix."""
    if "priority" in given:
        return msgspec.structs.replace(ticket, priority=int(given["priority"]))
    impact, urgency = int(given["impact"]), int(given["urgency"])
    priority = ruleset.settings.priority[impact - 1][urgency - 1]
    return msgspec.structs.replace(ticket, impact=impact, urgency=urgency, priority=priority)


def _moved(act: Act, ticket: Ticket, state: State, now: datetime) -> Ticket:
    """The ticket in its new state; a first public word takes a new ticket into work."""
    if act.verb is Verb.REPLY and ticket.state is State.NEW and act.actor.kind is not ActorKind.REQUESTER:
        state = State.IN_PROGRESS
    if act.verb in STAYS and state is ticket.state:
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
        return [auto_close(ticket.id, ticket.team, ruleset.settings, now)]
    if act.verb in (Verb.REOPEN, Verb.CLOSE):
        return [stays_open(ticket.id)]
    return []


def _notices(act: Act, ticket: Ticket, desk: Desk, ruleset: Ruleset, snapshot: ActSnapshot, now: datetime) -> list[Effect]:
    """Requester and watchers hear what the desk says; the team hears what the requester does."""
    if act.actor.kind is ActorKind.REQUESTER:
        facts = {"words": act.text, "requester": ticket.requester, "requester_name": ticket.requester_name, "reason": act.verb.value}
        readers = team_recipients(desk, ticket, muted(snapshot.followers, now))
        until = reply_until(ruleset.settings, now)
        return [notice_to(each, ticket.id, Event.TEAM_REPLY, facts, until) for each in readers]
    event = TELLS_REQUESTER.get(act.verb)
    if event is None:
        return []
    recipient = Address(name=ticket.requester_name, address=ticket.requester)
    agent = next((each.name for each in desk.agents if each.key == act.actor.name), "")
    facts = {"words": act.text, "requester_name": ticket.requester_name, "code": ticket.resolution_code, "agent_name": agent}
    suppressed = None if ticket.requester else NO_REQUESTER
    people = [(recipient, suppressed), *((Address(name=each.name, address=each.address), None) for each in watchers(snapshot.followers))]
    return [
        Notify(
            ticket_id=ticket.id, event=event, recipient=reader, facts=facts | {"requester_name": reader.name}, suppressed_because=because
        )
        for reader, because in people
    ]


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
