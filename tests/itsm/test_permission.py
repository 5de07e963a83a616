"""`may`: one pure judgement of scope, role, organisation and source; whatever is not allowed is denied."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itsm.act import Actor, ActorKind
from itsm.permission import (
    ADMIN,
    EVERYTHING,
    RIGHTS,
    Action,
    Owned,
    Principal,
    Role,
    Verdict,
    Visible,
    may,
    owned,
    principal_of,
    refusal,
)
from itsm.service import Agent, Desk
from tests.rules.worlds import ticket

DESK = Desk(
    agents=(
        Agent(key="ben", name="Ben", address="ben@corp.example"),
        Agent(key="eve", name="Eve", address="eve@corp.example", role="auditor"),
        Agent(key="oda", name="Oda", address="oda@corp.example", organisations=("acme", "initech")),
    )
)
SCOPES = sorted({right.scope for right in RIGHTS.values()} | {ADMIN, "silences:read"})
names = st.sampled_from(["", "acme", "initech", "am", "grafana"])
things = st.builds(Owned, organisation=names, source=names)
visibles = st.builds(Visible, organisations=st.none() | st.tuples(names.filter(bool)), source=st.none() | names.filter(bool))
principals = st.builds(
    Principal, role=st.sampled_from(Role), name=st.just("x"), scopes=st.frozensets(st.sampled_from(SCOPES)), visible=visibles
)


def principal(acts_as, *scopes):
    found = principal_of(acts_as, token="t", scopes=scopes, desk=DESK)
    assert found is not None
    return found


def test_every_action_has_its_right():
    assert set(RIGHTS) == set(Action)


@given(principals, st.sampled_from(Action), things | st.none())
def test_it_is_yes_only_with_the_scope_the_role_and_a_thing_that_is_seen(who, action, thing):
    right = RIGHTS[action]
    allowed = bool({right.scope, "admin"} & who.scopes) and who.role in right.roles
    verdict = may(who, action, thing)
    assert (verdict is Verdict.FORBIDDEN) is not allowed
    if verdict is Verdict.YES and thing is not None:
        assert who.visible.organisations is None or thing.organisation in who.visible.organisations
        assert who.visible.source is None or thing.source == who.visible.source


@given(st.sampled_from(Action), st.sampled_from(Role), things)
def test_without_a_scope_nothing_is_allowed_to_anybody(action, role, thing):
    assert may(Principal(role=role, name="x", scopes=frozenset()), action, thing) is Verdict.FORBIDDEN


@pytest.mark.parametrize("action", [Action.ACT, Action.ENTER, Action.CHANGE_QUEUE])
@pytest.mark.parametrize("acts_as", ["agent:eve", "source:am"])
def test_auditors_and_sources_change_nothing_even_with_every_scope(action, acts_as):
    assert may(principal(acts_as, "admin"), action) is Verdict.FORBIDDEN


def test_an_auditor_reads_what_an_agent_reads_and_sends_no_mail():
    eve = principal("agent:eve", "admin")
    assert may(eve, Action.READ_TICKET, ticket()) is Verdict.YES
    assert may(eve, Action.SEND_MESSAGE) is Verdict.FORBIDDEN


def test_an_agent_of_organisations_sees_their_tickets_and_no_others():
    oda = principal("agent:oda", "admin")
    assert may(oda, Action.ACT, ticket(organisation="acme")) is Verdict.YES
    assert may(oda, Action.ACT, ticket(organisation="globex")) is Verdict.UNSEEN
    assert may(oda, Action.READ_TICKET, ticket()) is Verdict.UNSEEN


def test_a_source_sees_what_its_own_alerts_opened():
    source = principal("source:am", "tickets:read")
    assert may(source, Action.READ_TICKET, ticket(source="am", group_key="disk")) is Verdict.YES
    assert may(source, Action.READ_TICKET, ticket(source="grafana", group_key="disk")) is Verdict.UNSEEN


def test_a_ticket_of_a_person_belongs_to_no_source_whatever_its_door_is_called():
    assert owned(ticket(source="smtp", organisation="acme")) == Owned(organisation="acme")
    assert may(principal("source:smtp", "tickets:read"), Action.READ_TICKET, ticket(source="smtp")) is Verdict.UNSEEN


@pytest.mark.parametrize("acts_as", ["agent:gone", "agent:", "agent", "source:", "source", "", "requester:ana", "operator:x"])
def test_a_token_of_nobody_we_know_stands_for_nobody(acts_as):
    assert principal_of(acts_as, token="t", scopes=("admin",), desk=DESK) is None


@pytest.mark.parametrize(
    ("acts_as", "actor"),
    [
        ("operator", Actor(kind=ActorKind.OPERATOR, name="t", trust=2)),
        ("agent:ben", Actor(kind=ActorKind.AGENT, name="ben", trust=2)),
        ("agent:eve", Actor(kind=ActorKind.AGENT, name="eve", trust=2)),
        ("source:am", Actor(kind=ActorKind.SOURCE, name="am", trust=2)),
    ],
)
def test_a_principal_acts_in_its_own_name_at_the_trust_of_a_token(acts_as, actor):
    assert principal(acts_as, "admin").actor == actor


def test_operators_and_plain_agents_see_everything():
    assert principal("operator").visible == principal("agent:ben").visible == EVERYTHING


@pytest.mark.parametrize(
    ("kind", "trust", "allowed"), [("agent", 2, True), ("agent", 1, False), ("source", 3, False), ("anyone", 3, False)]
)
def test_who_may_act_at_all_takes_trust(kind, trust, allowed):
    assert (refusal(Actor(kind=ActorKind(kind), trust=trust)) == "") is allowed
