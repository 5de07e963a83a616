"""What a monitoring event does: merge it into its series, then bring the incidents in line with the episodes (design 4)."""

from datetime import datetime

import msgspec

from itsm.decision import (
    AddEntry,
    ChangeTicket,
    ClearTimer,
    Decision,
    Direction,
    Effect,
    KeepSeries,
    LinkTickets,
    Notify,
    OpenTicket,
    Reasons,
    SetTimer,
    Visibility,
)
from itsm.envelope import Envelope, Outcome
from itsm.notification import Event
from itsm.series import Instance, SeriesState
from itsm.service import Desk, Service
from itsm.signal import EventStatus, MonitoringEvent, TimerDue
from itsm.ticket import FINAL_STATES, OPEN_STATES, State, Ticket, TicketType
from rules.audience import default_team, team_recipients
from rules.notice import notice_to, reply_until
from rules.opening import MAX_SUBJECT_CHARACTERS
from rules.prioritise import Priority, prioritise_event
from rules.reopening import auto_close, stays_open
from rules.ruleset import Ruleset, Verdict, facts_of_event, judge
from rules.series import Episode, assign, episodes, merge, unchanged, valid_until
from rules.snapshot import EventSnapshot

EXPIRY = "expiry"
RECOVERED = "recovered"
MERGED = "merged_with_earlier_episode"


class EventPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What the source's configuration says: silence that ends an instance, the gap between episodes, team and service."""

    expire_after_seconds: int | None = None
    gap_seconds: int = 900
    team: str = ""
    service: str = ""


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """What every step of one decision reads."""

    event: MonitoringEvent | None
    verdict: Verdict
    policy: EventPolicy
    ruleset: Ruleset
    desk: Desk
    now: datetime
    state: SeriesState
    labels: str = ""  # as people read them


def decide_event(
    event: MonitoringEvent, envelope: Envelope, snapshot: EventSnapshot, *, policy: EventPolicy, ruleset: Ruleset, desk: Desk, now: datetime
) -> Decision:
    """The decision for one event. An unchanged re-send that extends no validity costs no judgement."""
    before = snapshot.series
    until = valid_until(event, envelope.received_at, policy.expire_after_seconds)
    if unchanged(before, event) and not _extends(before, event, until):
        state = merge(before, event, received_at=envelope.received_at, expire_after_seconds=policy.expire_after_seconds)
        reasons = Reasons(code="unchanged", sentence="The same as the last delivery of this series.")
        return Decision(outcome=Outcome.DUPLICATE, ticket_id=incident_of(state), effects=(KeepSeries(state=state),), reasons=reasons)
    verdict = judge(ruleset, facts_of_event(event, envelope)) if ruleset.compiled else Verdict()  # without rules nobody reads them
    state = merge(before, event, received_at=envelope.received_at, expire_after_seconds=policy.expire_after_seconds)
    labels = "\n".join([f"{name} = {value}" for name, value in sorted(event.labels.items())])
    case = _Case(event=event, verdict=verdict, policy=policy, ruleset=ruleset, desk=desk, now=now, state=state, labels=labels)
    if verdict.suppress:
        return Decision(
            outcome=Outcome.SUPPRESSED,
            effects=(KeepSeries(state=state),),
            reasons=_reasons(case, "suppressed_by_rule", "A rule suppresses it."),
        )
    return _in_line(case, before, snapshot.tickets)


def decide_expiry(
    timer: TimerDue,
    snapshot: EventSnapshot | None,
    stored_generation: int | None,
    *,
    policy: EventPolicy,
    ruleset: Ruleset,
    desk: Desk,
    now: datetime,
) -> Decision:
    """Silence has lasted: judge the episodes again at this instant."""
    if snapshot is None or stored_generation != timer.generation:
        return Decision(outcome=Outcome.RECORDED, reasons=Reasons(code="timer_outdated", sentence="The timer was set again."))
    case = _Case(event=None, verdict=Verdict(), policy=policy, ruleset=ruleset, desk=desk, now=now, state=snapshot.series)
    decision = _in_line(case, snapshot.series, snapshot.tickets)
    gone = ClearTimer(subject_kind="series", subject_id=timer.subject_id, kind=EXPIRY)
    if any(isinstance(effect, SetTimer) and effect.kind == EXPIRY for effect in decision.effects):
        return decision
    return msgspec.structs.replace(decision, effects=(*decision.effects, gone))


def _extends(state: SeriesState, event: MonitoringEvent, until: datetime | None) -> bool:
    if event.status is not EventStatus.FIRING:
        return False
    known = next((each for each in state.instances if each.started_at == event.started_at), None)
    return known is not None and known.valid_until is not None and (until is None or until > known.valid_until)


def incident_of(state: SeriesState) -> int | None:
    """The incident of its newest instance that has one."""
    return next((each.ticket_id for each in reversed(state.instances) if each.ticket_id is not None), None)


def _in_line(case: _Case, before: SeriesState, tickets: dict[int, Ticket]) -> Decision:
    """Give each episode its incident and each incident the state of its episode."""
    found = episodes(case.state, gap_seconds=case.policy.gap_seconds, now=case.now)
    chosen, lost = assign(found)
    effects: list[Effect] = []
    members: dict[datetime, int | None] = {each.started_at: each.ticket_id for each in case.state.instances}
    opened: list[int] = []
    for episode, ticket_id in zip(found, chosen, strict=True):
        ticket = tickets.get(ticket_id) if ticket_id is not None else None
        fresh = [each for each in episode.instances if each.ticket_id is None and _touched(before, each)]
        if ticket is not None and not (ticket.state in FINAL_STATES and fresh and episode.open):
            effects += _follow(case, episode, ticket, reopen=bool(fresh))
            members |= {each.started_at: ticket.id for each in episode.instances if each.ticket_id is not None or fresh}
            continue
        joining = (
            fresh if ticket is not None else [each for each in episode.instances if each.ticket_id is not None or _touched(before, each)]
        )
        if not joining:
            continue  # suppressed or never told: no ticket until a delivery asks for one
        handle = -(len(opened) + 1)
        opened.append(handle)
        effects += _open(case, episode, handle, ticket)
        members |= {each.started_at: handle for each in joining}
    effects += [effect for each in lost if each in tickets for effect in _give_up(case, tickets[each])]
    instances = tuple(
        each if each.ticket_id == members[each.started_at] else msgspec.structs.replace(each, ticket_id=members[each.started_at])
        for each in case.state.instances
    )
    state = msgspec.structs.replace(case.state, instances=instances)
    return _decision(case, found, state, effects, opened, chosen)


def _touched(before: SeriesState, instance: Instance) -> bool:
    """Whether this delivery speaks of the instance: it is new or fires for the first time or again."""
    known = next((each for each in before.instances if each.started_at == instance.started_at), None)
    return known is None or known.event_count != instance.event_count


def _decision(
    case: _Case, found: tuple[Episode, ...], state: SeriesState, effects: list[Effect], opened: list[int], chosen: tuple[int | None, ...]
) -> Decision:
    expiries = [each.expires_at for each in found if each.expires_at is not None]
    timer = [SetTimer(subject_kind="series", subject_id=state.id, kind=EXPIRY, due_at=max(expiries))] if expiries else []
    attached = opened[0] if opened else next((each for each in reversed(chosen) if each is not None), None)
    if opened:
        outcome, code, sentence = (Outcome.CREATED, "incident_opened", "A new episode of this series.")
    elif attached is None:
        outcome, code, sentence = (Outcome.RECORDED, "nothing_open", "It says nothing of an episode we know; kept for what comes later.")
    elif effects:
        outcome, code, sentence = (Outcome.APPENDED, "incident_updated", "It changes its incident.")
    else:
        outcome, code, sentence = (Outcome.DUPLICATE, "nothing_new", "It changes nothing about its incident.")
    every = (*effects, KeepSeries(state=state), *timer)
    return Decision(outcome=outcome, ticket_id=attached, effects=every, reasons=_reasons(case, code, sentence))


def _reasons(case: _Case, code: str, sentence: str) -> Reasons:
    return Reasons(
        code=code,
        sentence=sentence,
        ruleset_sha256=case.ruleset.sha256,
        rules=case.verdict.rules,
        values=case.verdict.values,
        near_misses=case.verdict.near_misses,
    )


def _service(case: _Case) -> Service | None:
    key = case.verdict.service or case.policy.service
    return next((each for each in case.desk.services if each.key == key), None)


def _open(case: _Case, episode: Episode, handle: int, earlier: Ticket | None) -> list[Effect]:
    """A new incident for an episode; one that is already over is opened resolved and nobody is woken."""
    event, service = case.event, _service(case)
    priority = prioritise_event(episode.severity, service, case.verdict, case.ruleset.settings)
    title = (event.title if event else case.state.title) or case.state.series_key
    ticket = Ticket(
        id=handle,
        number=0,
        type=TicketType.INCIDENT,
        state=State.NEW if episode.open else State.RESOLVED,
        subject=title[:MAX_SUBJECT_CHARACTERS],
        impact=priority.impact,
        urgency=priority.urgency,
        priority=priority.priority,
        team=case.verdict.team or case.policy.team or (service.team if service else "") or default_team(case.desk),
        service=service.key if service else "",
        tags=case.verdict.tags,
        source=case.state.source,
        group_key=case.state.series_key[:MAX_SUBJECT_CHARACTERS],
        severity=episode.severity.value,
        event_count=sum(each.event_count for each in episode.instances),
        resolution_code="" if episode.open else RECOVERED,
        opened_at=case.now,
        updated_at=case.now,
        resolved_at=None if episode.open else case.now,
        impact_started_at=episode.started_at,
        impact_ended_at=episode.ended_at,
    )
    effects: list[Effect] = [OpenTicket(ticket=ticket), _entry(case, handle)]
    effects += _tell(case, ticket, Event.TEAM_ALERT_OPENED, None if episode.open else "the episode is already over")
    if not episode.open:
        effects.append(auto_close(handle, ticket.team, case.ruleset.settings, case.now))
    if earlier is not None:
        effects.append(LinkTickets(ticket_id=handle, other_id=earlier.id, kind="follows"))
    return effects


def _entry(case: _Case, ticket_id: int) -> AddEntry:
    event = case.event
    text = event.text if event else ""
    return AddEntry(
        ticket_id=ticket_id,
        direction=Direction.INBOUND,
        visibility=Visibility.INTERNAL,
        author=f"source:{case.state.source}",
        verified=False,
        subject=event.title if event else case.state.title,
        text="\n\n".join(each for each in (text, case.labels, "\n".join(event.links) if event else "") if each),
    )


def _follow(case: _Case, episode: Episode, ticket: Ticket, *, reopen: bool) -> list[Effect]:
    """Bring the incident in line: severity and priority, recovery, and a recovery that did not last."""
    priority = prioritise_event(episode.severity, _service(case), case.verdict, case.ruleset.settings)
    after = _measured(ticket, episode, priority if case.event is not None and ticket.severity != episode.severity.value else None)
    extra: list[Effect] = []
    verb = "update"
    if not episode.open and ticket.state in OPEN_STATES:
        verb = "recover"
        after = msgspec.structs.replace(after, state=State.RESOLVED, resolution_code=RECOVERED, resolved_at=case.now, pending_reason="")
        extra = [auto_close(ticket.id, ticket.team, case.ruleset.settings, case.now), *_tell(case, after, Event.TEAM_ALERT_RESOLVED, None)]
    elif episode.open and ticket.state is State.RESOLVED and (reopen or ticket.resolution_code == RECOVERED):
        verb = "reopen"
        after = msgspec.structs.replace(
            after,
            state=State.IN_PROGRESS if ticket.assignee else State.NEW,
            resolution_code="",
            resolved_at=None,
            reopen_count=ticket.reopen_count + 1,
        )
        extra = [
            stays_open(ticket.id),
            *_tell(case, after, Event.TEAM_ALERT_OPENED, None),
        ]
    if after == ticket:
        return []
    after = msgspec.structs.replace(after, updated_at=case.now)
    return [ChangeTicket(before=ticket, after=after, verb=verb, actor=f"source:{case.state.source}"), *extra]


def _measured(ticket: Ticket, episode: Episode, priority: Priority | None) -> Ticket:
    """The ticket with what the episode says of severity, time and priority."""
    after = msgspec.structs.replace(
        ticket, severity=episode.severity.value, impact_started_at=episode.started_at, impact_ended_at=episode.ended_at
    )
    if priority is None or ticket.state in FINAL_STATES:
        return after
    return msgspec.structs.replace(after, impact=priority.impact, urgency=priority.urgency, priority=priority.priority)


def _give_up(case: _Case, ticket: Ticket) -> list[Effect]:
    """An incident whose episode turned out to be part of an earlier one is resolved as merged, without a notice."""
    if ticket.state not in OPEN_STATES:
        return []
    after = msgspec.structs.replace(ticket, state=State.RESOLVED, resolution_code=MERGED, resolved_at=case.now, updated_at=case.now)
    return [
        ChangeTicket(before=ticket, after=after, verb="merge", actor=f"source:{case.state.source}"),
        auto_close(ticket.id, ticket.team, case.ruleset.settings, case.now),
    ]


def _tell(case: _Case, ticket: Ticket, event: Event, because: str | None) -> tuple[Notify, ...]:
    """A copy a reader."""
    signal = case.event
    facts = {
        "severity": ticket.severity,
        "source": case.state.source,
        "words": signal.text if signal else "",
        "labels": case.labels,
        "links": "\n".join(signal.links) if signal else "",
        "reason": "it fires again" if ticket.reopen_count else "",
    }
    until = reply_until(case.ruleset.settings, case.now)
    notices = (notice_to(each, ticket.id, event, facts, until) for each in team_recipients(case.desk, ticket))
    return tuple(msgspec.structs.replace(each, suppressed_because=because or each.suppressed_because) for each in notices)
