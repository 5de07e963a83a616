"""Acts from every channel and timers: one judgement, its effects, its notices."""

import msgspec
import pytest

from itsm.act import Act, Actor, ActorKind, Verb
from itsm.decision import AddEntry, ChangeTicket, ClearTimer, Notify, SetTimer, Visibility
from itsm.envelope import Outcome
from itsm.lifecycle import Illegal
from itsm.notification import Event
from itsm.signal import TimerDue
from itsm.ticket import State, TicketType
from rules.acts import decide_act, decide_auto_close
from tests.rules.worlds import DESK, NOW, effects, ruleset, ticket

RULES = ruleset()
BEN = Actor(kind=ActorKind.AGENT, name="ben", trust=2)


def decide(verb, found=None, *, actor=BEN, text="", **arguments):
    act = Act(verb=verb, ticket_number=1042, actor=actor, text=text, arguments=arguments)
    return decide_act(act, found or ticket(), ruleset=RULES, desk=DESK, now=NOW)


def after(decision):
    (change,) = effects(decision, ChangeTicket)
    return change.after


def test_a_reply_goes_to_the_requester_and_takes_a_new_ticket_into_work():
    decision = decide(Verb.REPLY, text="Is it plugged in?")
    assert after(decision).state is State.IN_PROGRESS
    (notify,) = effects(decision, Notify)
    assert (notify.event, notify.recipient.address, notify.facts["words"]) == (Event.REPLY, "ana@corp.example", "Is it plugged in?")
    assert decision.reasons.sentence == "agent:ben asked for it."


def test_a_second_reply_changes_no_state():
    assert effects(decide(Verb.REPLY, ticket(state=State.IN_PROGRESS), text="And now?"), ChangeTicket) == []


def test_a_note_is_internal_and_tells_nobody():
    decision = decide(Verb.NOTE, text="hm")
    assert effects(decision, AddEntry)[0].visibility is Visibility.INTERNAL
    assert effects(decision, Notify) == []
    assert effects(decision, ChangeTicket) == []


def test_resolving_tells_the_requester_and_sets_the_timer():
    decision = decide(Verb.RESOLVE, text="Cleared roller.", code="fixed")
    assert (after(decision).state, after(decision).resolution_code, after(decision).resolved_at) == (State.RESOLVED, "fixed", NOW)
    assert effects(decision, SetTimer)[0].kind == "auto_close"
    assert effects(decision, Notify)[0].event is Event.RESOLVED


def test_resolving_without_words_or_code_is_fixed():
    decision = decide(Verb.RESOLVE)
    assert after(decision).resolution_code == "fixed"
    assert effects(decision, AddEntry) == []


def test_a_ticket_of_a_monitor_has_no_requester_to_tell():
    (notify,) = effects(decide(Verb.RESOLVE, ticket(requester="")), Notify)
    assert notify.suppressed_because == "the ticket has no requester"


def test_reopening_and_closing_clear_the_timer():
    resolved = ticket(state=State.RESOLVED, resolved_at=NOW, resolution_code="fixed")
    reopened = decide(Verb.REOPEN, resolved)
    assert (after(reopened).reopen_count, after(reopened).resolution_code, after(reopened).resolved_at) == (1, "", None)
    closed = decide(Verb.CLOSE, resolved)
    assert (after(closed).state, after(closed).closed_at, after(closed).resolution_code) == (State.CLOSED, NOW, "fixed")
    assert len(effects(reopened, ClearTimer)) == len(effects(closed, ClearTimer)) == 1
    assert effects(closed, Notify) == []


def test_pending_keeps_its_reason_until_it_resumes():
    pending = after(decide(Verb.PEND, reason="vendor"))
    assert (pending.state, pending.pending_reason) == (State.PENDING, "vendor")
    assert after(decide(Verb.RESUME, pending)).pending_reason == ""


def test_cancelling_is_final():
    assert after(decide(Verb.CANCEL)).state is State.CANCELLED
    assert after(decide(Verb.START)).state is State.IN_PROGRESS


def test_assigning_prioritising_and_classifying_change_their_fields():
    assert after(decide(Verb.ASSIGN, assignee="ben")).assignee == "ben"
    assert after(decide(Verb.ASSIGN, team="net")).team == "net"
    assert after(decide(Verb.PRIORITISE, impact="1", urgency="1")).priority == 1
    changed = after(decide(Verb.CLASSIFY, type="service_request", service="mail", tags="a b"))
    assert (changed.type, changed.service, changed.tags) == (TicketType.SERVICE_REQUEST, "mail", ("a", "b"))
    assert after(decide(Verb.CLASSIFY, service="mail")).type is TicketType.INCIDENT


def test_an_act_that_changes_nothing_has_no_effect():
    assert decide(Verb.ASSIGN, team="desk").effects == ()


@pytest.mark.parametrize(
    ("verb", "arguments", "says"),
    [
        (Verb.ASSIGN, {"team": "x"}, "no team 'x'"),
        (Verb.ASSIGN, {"assignee": "x"}, "known: ben"),
        (Verb.CLASSIFY, {"service": "x"}, "no service"),
    ],
)
def test_a_name_the_desk_does_not_have_is_refused(verb, arguments, says):
    refused = decide(verb, **arguments)
    assert isinstance(refused, Illegal)
    assert says in refused.reason


def test_an_illegal_act_names_the_legal_ones():
    refused = decide(Verb.REOPEN)
    assert isinstance(refused, Illegal)
    assert Verb.RESOLVE in refused.legal_acts


def test_what_the_requester_does_is_told_to_the_team():
    requester = Actor(kind=ActorKind.REQUESTER, trust=1)
    decision = decide(Verb.REPLY, text="still broken", actor=requester)
    assert effects(decision, ChangeTicket) == []
    assert [notify.event for notify in effects(decision, Notify)] == [Event.TEAM_REPLY]
    assert effects(decision, AddEntry)[0].author == "requester"


def timer(generation=1):
    return TimerDue(subject_kind="ticket", subject_id=1, kind="auto_close", generation=generation, due_at=NOW)


def test_a_resolved_ticket_closes_by_itself():
    decision = decide_auto_close(timer(), ticket(state=State.RESOLVED), 1, NOW)
    assert after(decision).state is State.CLOSED
    assert decision.outcome is Outcome.APPENDED


@pytest.mark.parametrize(
    ("found", "generation"), [(ticket(state=State.RESOLVED), 2), (ticket(state=State.RESOLVED), None), (ticket(), 1), (None, 1)]
)
def test_an_outdated_timer_is_a_recorded_no_op(found, generation):
    decision = decide_auto_close(timer(), found, generation, NOW)
    assert (decision.outcome, decision.effects) == (Outcome.RECORDED, ())


def test_a_timer_names_its_ticket_when_there_is_one():
    assert decide_auto_close(timer(), ticket(), 1, NOW).ticket_id == 1
    assert msgspec.json.encode(decide_auto_close(timer(), None, 1, NOW))
