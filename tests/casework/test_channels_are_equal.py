"""One act, any channel: a command by mail, an act by the API and a verb of the command line leave the same record (design 4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itsm.act import Act, Actor, ActorKind
from itsm.decision import ChangeTicket, KeepFollower, LinkTickets, Notify, RemoveFollower
from itsm.lifecycle import Illegal
from itsm.notification import Event
from rules.acts import decide_act
from rules.agent_mail import decide_agent_mail
from rules.authentication import TrustVerdict
from rules.authority import Authority
from rules.commands import acts_of, read
from rules.snapshot import ActSnapshot, MailSnapshot
from store import followers, history, tickets
from tests.rules.worlds import NOW, WITH_AGENTS, changed, ruleset, ticket
from tests.rules.worlds import mail as a_mail

RULES = ruleset()
LINES = (
    "#take", "#assign net", "#prio P1", "#start", "#pending customer", "#pending vendor", "#resume", "#resolve fixed", "#reopen", "#close", "#cancel",
    "#service mail", "#type service_request", "#tag a b", "#link INC-7", "#merge INC-7", "#watch w@x.example", "#unwatch w@x.example", "#mute 8h",
)  # fmt: skip
BEN = Actor(kind=ActorKind.AGENT, name="ben", trust=2)
AROUND = ActSnapshot(others={7: ticket(id=2, number=7, requester="bo@corp.example")})


def by_api(text):
    """Each act by itself, as the API and the command line do them; None when one is refused."""
    here, effects = ticket(), []
    for act in acts_of(read(text), 1042, BEN, WITH_AGENTS):
        decision = decide_act(act, here, ruleset=RULES, desk=WITH_AGENTS, now=NOW, snapshot=AROUND)
        if isinstance(decision, Illegal):
            return None
        effects += decision.effects
        here = next((each.after for each in reversed(decision.effects) if isinstance(each, ChangeTicket) and each.before.id == 1), here)
    return here, told(effects)


def by_mail(text):
    judged = Authority(trust=TrustVerdict(level=2, reason=""), holder=WITH_AGENTS.agents[0])
    message = a_mail(reply_text=text, text=text)
    decision = decide_agent_mail(message, ticket(), judged, MailSnapshot(around={1: AROUND}), ruleset=RULES, desk=WITH_AGENTS, now=NOW)
    if decision.reasons.code == "agent_mail_refused":
        return None
    here = next((each.after for each in reversed(decision.effects) if isinstance(each, ChangeTicket) and each.before.id == 1), ticket())
    return here, told(decision.effects)


def told(effects):
    """Everything but the words, which are a mail in one case, and the result, which only a mail gets."""
    return [
        each
        for each in effects
        if isinstance(each, LinkTickets | KeepFollower | RemoveFollower)
        or (isinstance(each, Notify) and each.event is not Event.COMMAND_RESULT)
    ]


@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=6), st.sampled_from(["", "\n\nSome words.", "\n#note\nfor us"]))
def test_a_mail_of_commands_does_what_its_acts_do_one_by_one_or_nothing(lines, words):
    text = "\n".join(lines) + words
    assert by_mail(text) == by_api(text)


@pytest.fixture
def record(make_desk, mail):
    """What an act left behind, by the channel it came through."""

    def act_by(channel, line):
        desk = make_desk(members=True)
        desk.put(mail())
        desk.put(mail("m2", "Other", "x", "Bo <bo@corp.example>"), sender="bo@corp.example")
        desk.triage()
        notice = next(each for each in desk.outbox("team_new") if each.recipient == "ben@corp.example")
        if channel == "mail":
            desk.answer(notice, mail("b1", "Re: x", line, "Ben <ben@corp.example>"))
        else:
            desk.time = desk.time.replace(microsecond=0)
            for act in acts_of(read(line), 1001, BEN, desk.casework.desk):
                desk.act(act.verb.value, 1001, act.text, kind=ActorKind.AGENT if channel == "api" else ActorKind.OPERATOR, **act.arguments)
        return left(desk)

    return act_by


def left(desk):
    found = next(each for each in desk.tickets() if each.number == 1001)
    shown = changed(found, id=0, opened_at=NOW, updated_at=NOW, resolved_at=None, closed_at=None)
    sent = [(each.event, each.recipient, each.facts.get("words", "")) for each in desk.outbox() if each.event is not Event.COMMAND_RESULT]
    follow = desk.store.read(lambda tx: followers.of_tickets(tx, [found.id])).get(found.id, ())
    links = [kind for _, kind in desk.store.read(lambda tx: tickets.links_of(tx, found.id))]
    kinds = [each.kind for each in desk.store.read(lambda tx: history.of_stream(tx, f"ticket:{found.id}")) if each.kind != "entry"]
    return shown, sent, [(each.address, each.kind) for each in follow], links, kinds


@pytest.mark.parametrize(
    "line", ["#prio P1", "#pending customer", "#resolve fixed", "#watch w@x.example", "#link INC-1002", "#merge INC-1002", "#tag a b"]
)
def test_mail_api_and_command_line_leave_the_same_record(record, line):
    assert record("mail", line) == record("api", line) == record("cli", line)


def test_a_channel_that_judged_for_itself_would_be_seen(monkeypatch):
    text = "#start"
    assert by_mail(text) == by_api(text)
    real = decide_act

    def elsewhere(act: Act, *rest, **more):
        decision = real(act, *rest, **more)
        return changed(decision, effects=())

    monkeypatch.setattr("rules.agent_mail.decide_act", elsewhere)
    assert by_mail(text) != by_api(text)
