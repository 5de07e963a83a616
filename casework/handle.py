"""`handle`: lock, load, decide, apply, in one transaction (design 4). `perform` and `tick` do the same for acts and timers."""

from collections.abc import Callable, Sequence

import msgspec

from casework.apply import Applier, participants_hash
from casework.around import around, load_for_acts
from casework.context import Casework
from casework.load import event_snapshot, incidents_of, keys_of, load, load_tickets, mail_of, mail_snapshot, waits
from casework.part import Handled, Part
from casework.resends import Known, Resends, tag_of
from casework.workspace import Workspace
from itsm.act import Act
from itsm.decision import Decision, Reasons
from itsm.envelope import Outcome
from itsm.errors import Conflict, Permanent, Refused
from itsm.lifecycle import Illegal
from itsm.signal import Malformed, MonitoringEvent, TimerDue, UserMessage
from itsm.ticket import Ticket
from rules.acts import decide_act, decide_auto_close
from rules.authentication import trust_of
from rules.contact_form import from_the_person
from rules.extraction import extract
from rules.mail import decide_mail
from rules.monitoring import EXPIRY, decide_event, decide_expiry, incident_of
from rules.resend import only_counts, touch
from rules.ruleset import facts_of_mail
from rules.snapshot import EventSnapshot
from rules.undelivered import lifted
from store import outcomes, series_rows, stripes, tickets, timers
from store.transaction import Tx


def handle(tx: Tx, parts: Sequence[Part], casework: Casework, resends: Resends | None = None) -> list[Handled]:
    """Judge and apply the parts, in the order given, and record their outcomes; raises Conflict to be tried again.

    Runs inside the caller's transaction. A part that waits for the mail it answers has no outcome yet; one that another process
    decided meanwhile is left out. `resends` has counts that are not written yet: those of the series at hand are written with them.
    """
    decided = outcomes.decided_meanwhile(tx, ((part.envelope.id, part.seq) for part in parts))
    if decided:
        parts = [part for part in parts if (part.envelope.id, part.seq) not in decided]
    parts = [_extracted(_from_the_person(_signed(part), casework), casework) for part in parts]
    stripes.lock(tx, keys_of(parts))
    workspace = load(tx, parts, casework)
    if resends is not None:
        resends.overlay(tx, workspace)
    applier = Applier(tx, workspace, casework, expected=len(parts))
    handled = [_handle_one(tx, part, workspace, applier, casework) for part in parts]
    applier.flush()
    outcomes.record(tx, [(each.part.envelope.id, each.part.seq, each.outcome) for each in handled if each.outcome is not None])
    return handled if resends is None else [_with_known(each, workspace, casework) for each in handled]


def _signed(part: Part) -> Part:
    """The part with the verdict on its signature, to be kept with the reasons."""
    if isinstance(part.signal, UserMessage) and part.signal.signed_by:
        return msgspec.structs.replace(part, signed_by=part.signal.signed_by)
    return part


def _from_the_person(part: Part, casework: Casework) -> Part:
    forms = casework.ruleset.settings.contact_forms
    if not forms or not isinstance(part.signal, UserMessage):
        return part
    return msgspec.structs.replace(part, signal=from_the_person(part.signal, forms))


def _extracted(part: Part, casework: Casework) -> Part:
    """The part as an event of its source, where it is a monitor's mail that an extraction reads."""
    extractions, message = casework.ruleset.extractions, part.signal
    if not extractions or not isinstance(message, UserMessage) or message.sent_by_us is not None:
        return part
    facts = facts_of_mail(message, part.envelope, trust_of(message, part.envelope, casework.trust).level)
    event = extract(message, part.envelope, extractions, facts)
    return part if event is None else msgspec.structs.replace(part, signal=event)


def _with_known(handled: Handled, workspace: Workspace, casework: Casework) -> Handled:
    """What the state cache may keep of an event: only when its delivery is the one the stored state speaks of."""
    event = handled.part.signal
    if not isinstance(event, MonitoringEvent):
        return handled
    row = workspace.series[event.source, event.series_key]
    if not only_counts(row.state, event, casework.policy(event.source)):
        return handled
    more = touch(event, handled.part.envelope.received_at)
    known = Known(
        series=tag_of(event.source, event.series_key),
        series_id=row.state.id,
        version=row.version + 1,
        ticket_id=incident_of(row.state),
        started_at=more.started_at,
        firing=more.firing,
    )
    return msgspec.structs.replace(handled, known=known)


def _handle_one(tx: Tx, part: Part, workspace: Workspace, applier: Applier, casework: Casework) -> Handled:
    signal, participants = part.signal, None
    if isinstance(signal, Malformed):
        reasons = Reasons(code="malformed", sentence=signal.reason, values={"detail": signal.detail} if signal.detail else {})
        decision = Decision(outcome=Outcome.QUARANTINED, reasons=reasons)
        kind = "malformed"
    elif isinstance(signal, MonitoringEvent):
        decision = _decide_event(tx, part, signal, workspace, casework)
        kind = "monitoring_event"
    else:
        message = mail_of(part)
        assert message is not None, "a part is malformed, an event or a mail"
        if waits(part, message, workspace):
            return Handled(part=part, outcome=None)
        snapshot, participants = mail_snapshot(part, message, workspace, casework), participants_hash(message)
        decision = decide_mail(
            signal,
            part.envelope,
            snapshot,
            participants_sha256=participants,
            trust=trust_of(message, part.envelope, casework.trust),
            ruleset=casework.ruleset,
            desk=casework.desk,
            now=tx.now,
        )
        decision = lifted(decision, message, snapshot)
        kind = "delivery_report" if signal is not message else "user_message"
    if part.signed_by:
        decision = msgspec.structs.replace(decision, reasons=msgspec.structs.replace(decision.reasons, signed_by=part.signed_by))
    ticket_id = applier.apply(decision, part, kind=kind, participants_sha256=participants)
    return Handled(part=part, outcome=decision.outcome, decision=decision, ticket_id=ticket_id)


def _decide_event(tx: Tx, part: Part, event: MonitoringEvent, workspace: Workspace, casework: Casework) -> Decision:
    return decide_event(
        event,
        part.envelope,
        event_snapshot(tx, event, workspace),
        policy=casework.policy(event.source),
        ruleset=casework.ruleset,
        desk=casework.desk,
        now=tx.now,
    )


def perform(tx: Tx, act: Act, casework: Casework, *, sees: Callable[[Ticket], bool] = lambda _: True) -> Ticket:
    """Do one act for an interactive door; raises Refused with the legal acts, Permanent (404) or Conflict.

    A ticket that the act names and the door does not see (`sees`) is as if it were not there.
    """
    stripes.lock(tx, [b"ticket:%d" % act.ticket_number])
    found = tickets.by_numbers(tx, [act.ticket_number]).get(act.ticket_number)
    if found is None:
        raise Permanent(f"there is no ticket number {act.ticket_number}", status=404)
    if act.expected_version is not None and act.expected_version != found.version:
        raise Conflict(f"the ticket is at version {found.version}, not {act.expected_version}: somebody changed it first")
    workspace = Workspace(tx.now)
    workspace.tickets[found.id] = found
    workspace.numbers[found.number] = found.id
    load_for_acts(tx, workspace, [act])
    snapshot = around(found.id, workspace, others=True)
    seen = {number: each for number, each in snapshot.others.items() if sees(each)}
    snapshot = msgspec.structs.replace(snapshot, others=seen)
    decision = decide_act(act, found, ruleset=casework.ruleset, desk=casework.desk, now=tx.now, snapshot=snapshot)
    if isinstance(decision, Illegal):
        raise Refused(decision.reason, legal=tuple(verb.value for verb in decision.legal_acts))
    applier = Applier(tx, workspace, casework, expected=1)
    applier.apply(decision, None, kind="act")
    applier.flush()
    return workspace.tickets[found.id]


def tick(tx: Tx, casework: Casework, *, limit: int) -> int:
    """Handle timers that are due, earliest first; returns how many. Runs in the caller's transaction."""
    due = timers.due(tx, limit)
    if not due:
        return 0
    workspace = Workspace(tx.now)
    workspace.tickets |= tickets.by_ids(tx, [each.subject_id for each in due if each.subject_kind == "ticket"])
    rows = series_rows.by_ids(tx, [each.subject_id for each in due if each.subject_kind == "series"])
    workspace.series |= {(row.state.source, row.state.series_key): row for row in rows.values()}
    load_tickets(tx, workspace, incidents_of(row.state for row in rows.values()))
    keys = [(each.subject_kind, each.subject_id, each.kind, each.threshold) for each in due]
    generations = timers.generations(tx, keys)
    applier = Applier(tx, workspace, casework, expected=len(due))
    for timer, key in zip(due, keys, strict=True):
        decision = _decide_timer(timer, generations.get(key), workspace, rows, casework)
        workspace.timers.setdefault(key, None)  # it is done, unless the decision sets it again
        applier.apply(decision, None, kind="timer_due")
    applier.flush()
    return len(due)


def _decide_timer(
    timer: TimerDue, generation: int | None, workspace: Workspace, rows: dict[int, series_rows.SeriesRow], casework: Casework
) -> Decision:
    if timer.kind != EXPIRY:
        return decide_auto_close(timer, workspace.tickets.get(timer.subject_id), generation, workspace.now)
    row = rows.get(timer.subject_id)
    snapshot = None
    if row is not None:
        state = workspace.series[(row.state.source, row.state.series_key)].state
        ids = {each.ticket_id for each in state.instances if each.ticket_id is not None}
        known = {ticket_id: workspace.tickets[ticket_id] for ticket_id in ids if ticket_id in workspace.tickets}
        snapshot = EventSnapshot(series=state, tickets=known)
    policy = casework.policy(row.state.source if row else "")
    return decide_expiry(timer, snapshot, generation, policy=policy, ruleset=casework.ruleset, desk=casework.desk, now=workspace.now)
