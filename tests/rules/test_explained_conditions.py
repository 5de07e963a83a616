"""Conditions say the smallest set of predicates that kept them; gates spare rules that cannot match; budgets stop notices."""

from datetime import timedelta

import pytest

from itsm.act import Act, Actor, ActorKind, Verb
from itsm.decision import Notify, SpendBudget
from itsm.lifecycle import Illegal, judge
from itsm.notification import Event
from itsm.permission import refusal
from itsm.ticket import State
from rules.acts import decide_act
from rules.authentication import TrustSettings, trust_of
from rules.budget import notice_key
from rules.notice import OWN_WORDS, TOO_MANY, tell_team
from rules.predicate import PredicateError, compile_condition
from rules.ruleset import judge as apply_rules
from rules.settings import Rule, RulesSettings
from tests.rules.worlds import DESK, NOW, changed, effects, envelope, mail, ruleset, ticket

FACTS = {"subject": "disk full", "trust": 1, "kind": "alert", "source": "am", "to": ("help@x", "net@x")}


def missed(when):
    """The near misses of one rule that asks for this."""
    return [(miss.predicate, miss.value) for miss in apply_rules(ruleset(rule=(Rule(key="r", when=when),)), FACTS).near_misses]


@pytest.mark.parametrize(
    ("when", "near"),
    [
        ({"trust": 2, "subject": {"contains": "disk"}}, [("trust equals 2", "1")]),
        ({"not": {"trust": 1}}, [("not trust equals 1", "1")]),
        ({"not": {"any": [{"trust": 1}, {"trust": 2}]}}, [("not trust equals 1", "1")]),
        ({"not": {"any": [{"trust": 1}, {"subject": {"contains": "disk"}}]}}, []),
        ({"any": [{"trust": 2}, {"trust": 3, "subject": "x"}]}, [("trust equals 2", "1")]),
        ({"all": [{"trust": 2}, {"subject": {"contains": "disk"}}]}, [("trust equals 2", "1")]),
        ({"not": {"all": [{"trust": 1}, {"subject": {"contains": "disk"}}]}}, [("not trust equals 1", "1")]),
        ({"all": [{"trust": 2}, {"trust": 3}]}, []),
    ],
)
def test_a_near_miss_names_the_one_predicate_that_kept_it(when, near):
    assert missed(when) == near


def test_values_of_every_matching_condition_are_read():
    rules = ruleset(rule=(Rule(key="r", when={"any": [{"trust": 1}, {"subject": "x"}], "not": {"trust": 2}, "to": {"contains": "net"}}),))
    assert apply_rules(rules, FACTS).values == {"trust": "1", "subject": "disk full", "to": "help@x net@x"}


def test_rules_behind_a_closed_gate_are_not_tried():
    rules = ruleset(
        rule=(
            Rule(key="mine", when={"source": "am", "trust": 1}, team="a"),
            Rule(key="other", when={"source": {"in": ["x", "y"]}, "trust": 1}, team="b"),
            Rule(key="all", when={"trust": 1}, team="c"),
        )
    )
    verdict = apply_rules(rules, FACTS)
    assert verdict.rules == ("mine", "all")
    assert verdict.near_misses == ()


@pytest.mark.parametrize(
    ("when", "truth"),
    [
        ({"to": "help@x"}, True),
        ({"to": "elsewhere@x"}, False),
        ({"to": {"in": ["a@x", "net@x"]}}, True),
        ({"to": {"starts": "net@"}}, True),
        ({"to": {"contains": "zzz"}}, False),
    ],
)
def test_a_field_of_many_values_matches_by_any_of_them(when, truth):
    assert bool(apply_rules(ruleset(rule=(Rule(key="r", when=when),)), FACTS).rules) is truth


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ({"subject": {}}, "no predicate"),
        ({"subject": {"contains": ""}}, "needs some"),
        ({"not": {}}, "one table"),
        ({"any": [{}]}, "list of tables"),
    ],
)
def test_conditions_that_say_nothing_are_refused(when, says):
    with pytest.raises(PredicateError, match=says):
        compile_condition(when)


@pytest.mark.parametrize(
    ("kind", "trust", "says"),
    [
        (ActorKind.ANYONE, 3, "anyone may not"),
        (ActorKind.SOURCE, 3, "source may not"),
        (ActorKind.AGENT, 1, "takes trust level 2"),
        (ActorKind.REQUESTER, 0, "takes trust level 1"),
    ],
)
def test_nobody_acts_without_the_trust_it_takes(kind, trust, says):
    assert says in refusal(Actor(kind=kind, trust=trust))
    refused = decide_act(
        Act(verb=Verb.CLOSE, ticket_number=1, actor=Actor(kind=kind, trust=trust)), ticket(), ruleset=ruleset(), desk=DESK, now=NOW
    )
    assert isinstance(refused, Illegal)
    assert refusal(Actor(kind=ActorKind.SYSTEM)) == ""


def test_an_argument_a_verb_does_not_take_is_refused():
    agent = Actor(kind=ActorKind.AGENT, trust=2)
    surplus = judge(ticket(), Act(verb=Verb.START, ticket_number=1, actor=agent, arguments={"reason": "x"}))
    assert isinstance(surplus, Illegal)
    assert "takes no arguments" in surplus.reason
    long = judge(ticket(), Act(verb=Verb.CLASSIFY, ticket_number=1, actor=agent, arguments={"tags": "x" * 5000}))
    assert isinstance(long, Illegal)
    assert "longer than" in long.reason


def test_reopening_after_the_window_is_refused():
    old = ticket(state=State.RESOLVED, resolved_at=NOW - timedelta(days=8))
    refused = decide_act(
        Act(verb=Verb.REOPEN, ticket_number=1, actor=Actor(kind=ActorKind.AGENT, trust=2)), old, ruleset=ruleset(), desk=DESK, now=NOW
    )
    assert isinstance(refused, Illegal)
    assert "open a new ticket" in refused.reason
    assert Verb.REOPEN not in refused.legal_acts


LISTED = TrustSettings(authserv_ids=("mx.corp.example",), handed_over_from=("192.0.2.0/24",))


@pytest.mark.parametrize(
    ("field", "level"),
    [
        ('mx.corp.example; smtp.mailfrom="a;dmarc=pass"; dmarc=pass header.from=corp.example', 1),
        ('mx.corp.example 1; spf=pass smtp.mailfrom="x; dmarc=pass header.from=corp.example"', 0),
        ('mx.corp.example; dmarc=pass header.from=corp.example; x="never closed', 0),
        ("mx.corp.example; dmarc=pass (never closed header.from=corp.example", 0),
        ("mx.corp.example; dmarc=pass (a (nested) comment) header.from=corp.example", 1),
        ("mx.corp.example; dmarc=pass header.from=corp.example; dmarc=fail header.from=corp.example", 0),
        ("mx.corp.example; dmarc/1 = pass header.from=corp.example", 1),
        ("mx.corp.example; dmarc=pass header.from=corp.example" + "; x=y" * 3000, 0),
    ],
)
def test_authentication_results_are_read_as_they_are_written(field, level):
    assert trust_of(mail(authentication=(field,)), envelope(), LISTED).level == level


@pytest.mark.parametrize("peer", ["", "no address", "203.0.113.1"])
def test_a_peer_outside_of_the_listed_networks_is_not_believed(peer):
    field = "mx.corp.example; dmarc=pass header.from=corp.example"
    assert trust_of(mail(authentication=(field,)), envelope(peer=peer), LISTED).level == 0
    assert trust_of(mail(authentication=(field,)), envelope(peer="::ffff:192.0.2.7"), LISTED).level == 1


def tell(message=None, used=0, desk=DESK):
    settings = RulesSettings()
    key = notice_key("ana@corp.example", settings, NOW)
    budgets = {(key.key, key.window_start): used}
    return tell_team(message or mail(), ticket(), Event.TEAM_REPLY, desk=desk, settings=settings, budgets_used=budgets, now=NOW), key


def test_a_notice_costs_its_sender_a_budget_that_ends():
    told, key = tell()
    assert [type(effect) for effect in told] == [Notify, SpendBudget, SpendBudget]
    stopped, _ = tell(used=key.limit)
    assert [effect.suppressed_because for effect in stopped] == [TOO_MANY]


def test_nobody_is_told_of_their_own_mail():
    team = changed(DESK, teams=(changed(DESK.teams[0], notify="Ana@corp.example"),))
    told, _ = tell(desk=team)
    assert [effect.suppressed_because for effect in told] == [OWN_WORDS]


def test_a_reply_of_the_requester_by_an_act_wakes_the_ticket():
    pending = ticket(state=State.PENDING, pending_reason="customer")
    act = Act(verb=Verb.REPLY, ticket_number=1, actor=Actor(kind=ActorKind.REQUESTER, trust=1), text="here it is")
    assert effects(decide_act(act, pending, ruleset=ruleset(), desk=DESK, now=NOW), Notify)[0].event is Event.TEAM_REPLY
