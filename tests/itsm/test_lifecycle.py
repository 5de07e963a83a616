"""The table of acts: every pair of state and verb, for every kind of actor."""

import itertools
from datetime import UTC, datetime

import pytest

from itsm.act import Act, Actor, ActorKind, Verb
from itsm.lifecycle import MOVES, Illegal, Legal, judge, legal_acts
from itsm.ticket import FINAL_STATES, State, Ticket, TicketType

NOW = datetime(2026, 3, 23, 10, tzinfo=UTC)
WHOLE = {
    Verb.PEND: {"reason": "customer"},
    Verb.ASSIGN: {"team": "desk"},
    Verb.PRIORITISE: {"impact": "1", "urgency": "2"},
    Verb.CLASSIFY: {"type": "incident"},
    Verb.WATCH: {"address": "bo@corp.example"},
    Verb.UNWATCH: {"address": "bo@corp.example"},
    Verb.MUTE: {"hours": "8"},
    Verb.LINK: {"to": "INC-2"},
    Verb.MERGE: {"into": "2"},
}


def ticket(state, merged_into=None):
    return Ticket(
        id=1,
        number=1,
        merged_into=merged_into,
        type=TicketType.INCIDENT,
        state=state,
        subject="x",
        impact=3,
        urgency=2,
        priority=4,
        opened_at=NOW,
        updated_at=NOW,
    )


def act(verb, kind=ActorKind.AGENT, **arguments):
    return Act(verb=verb, ticket_number=1, actor=Actor(kind=kind), text="words", arguments=WHOLE.get(verb, {}) | arguments)


@pytest.mark.parametrize(("state", "verb", "kind"), list(itertools.product(State, Verb, ActorKind)))
def test_a_whole_act_is_legal_exactly_where_the_table_says(state, verb, kind):
    found = ticket(state, 2 if verb is Verb.UNMERGE else None)
    judged = judge(found, act(verb, kind))
    move = MOVES[verb]
    if state in move.sources and kind in move.actors:
        assert judged == Legal(state=move.target or state)
        assert verb in legal_acts(found, kind)
    else:
        assert isinstance(judged, Illegal)
        assert verb not in judged.legal_acts
        assert judged.reason


def test_nobody_changes_what_is_final_but_notes_stay_possible():
    for state in FINAL_STATES:
        assert legal_acts(ticket(state), ActorKind.AGENT) == (Verb.NOTE, Verb.LINK, Verb.ACCEPT, Verb.DROP)


def test_only_what_was_merged_can_be_taken_apart():
    judged = judge(ticket(State.CLOSED), act(Verb.UNMERGE))
    assert isinstance(judged, Illegal)
    assert "not merged" in judged.reason
    assert Verb.UNMERGE in legal_acts(ticket(State.CLOSED, 2), ActorKind.AGENT)


@pytest.mark.parametrize(
    ("verb", "arguments", "text", "says"),
    [
        (Verb.PEND, {"reason": "lunch"}, "", "pend needs a reason"),
        (Verb.ASSIGN, {"team": ""}, "", "assign needs"),
        (Verb.REPLY, {}, "  ", "reply needs words"),
        (Verb.NOTE, {}, "", "note needs words"),
        (Verb.PRIORITISE, {"impact": "4", "urgency": "1"}, "", "from 1 to 3"),
        (Verb.CLASSIFY, {}, "", "classify needs"),
        (Verb.CLASSIFY, {"type": "problem"}, "", "type must be"),
        (Verb.PRIORITISE, {"priority": "6"}, "", "from 1 to 5"),
        (Verb.WATCH, {"address": "two words"}, "", "needs a mail address"),
        (Verb.UNWATCH, {"address": ""}, "", "needs a mail address"),
        (Verb.MUTE, {"hours": "721"}, "", "hours from 1 to 720"),
        (Verb.MUTE, {"hours": "x"}, "", "hours from 1 to 720"),
        (Verb.LINK, {"to": "INC-1"}, "", "another ticket"),
        (Verb.MERGE, {"into": "no"}, "", "another ticket"),
        (Verb.SPLIT, {"entry": "x"}, "", "id of an entry"),
    ],
)
def test_an_act_that_lacks_something_says_what(verb, arguments, text, says):
    judged = judge(ticket(State.NEW), Act(verb=verb, ticket_number=1, actor=Actor(kind=ActorKind.AGENT), text=text, arguments=arguments))
    assert isinstance(judged, Illegal)
    assert says in judged.reason
