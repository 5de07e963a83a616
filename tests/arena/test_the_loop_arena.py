"""The loop arena: responders of every make write back to the desk under virtual time, and each pair comes to rest in three mails a side."""

from datetime import timedelta

import pytest

import casework.load
from itsm.notification import Event
from itsm.ticket import State
from itsm.token import mint_mark
from rules.loops import LOOP_CODE, LOOP_SUBJECT
from rules.settings import Budgets
from store.settings import StoreSettings
from tests.arena.guards import BUDGETS_OF_OTHERS, GUARDS
from tests.arena.responders import MAKES, RATES, WIDE, Arena, Make
from tests.casework.desks import TestDesk

RESPONDERS = [each for each in MAKES if not each.crowd]


@pytest.fixture
def arena(tmp_path):
    made = []

    def make(makes, **budgets):
        made.append(Arena(tmp_path / f"arena{len(made)}", makes, **budgets))
        return made[-1]

    yield make
    for each in made:
        each.desk.store.close()


@pytest.mark.parametrize("rate", RATES)
def test_every_responder_comes_to_rest_in_three_mails_a_side(arena, rate):
    played = arena(RESPONDERS).play(RATES[rate])
    assert played.unsettled() == []
    assert min(played.theirs) >= 1


def test_only_what_looks_like_many_people_is_left_to_the_budgets():
    crowd = [each for each in MAKES if each.crowd]
    assert len(crowd) == 8
    assert {(each.headers, each.envelope, each.subject) for each in crowd} == {("bare", "own", "own")}


@pytest.mark.parametrize("name", GUARDS)
def test_a_pair_comes_to_rest_by_one_guard_and_would_go_on_without_it(arena, name, monkeypatch):
    guard = GUARDS[name]
    others = {key: value for key, value in BUDGETS_OF_OTHERS.items() if key != guard.budget}
    (with_it,) = arena([guard.pair], **others).play(RATES[guard.rate], guard.rounds).most()
    assert with_it <= guard.bound
    guard.off(monkeypatch)
    off = others | ({guard.budget: WIDE} if guard.budget else {})
    (without,) = arena([guard.pair], **off).play(RATES[guard.rate], guard.rounds).most()
    assert without == guard.rounds > guard.bound


def test_a_budget_in_all_bounds_what_many_domains_cause_in_a_minute_and_without_it_all_would_be_answered(arena):
    many = [Make(address="same")] * 60
    assert len(arena(many, total_minute=50).play(timedelta(seconds=1), rounds=1).sent()) == 50
    assert len(arena(many).play(timedelta(seconds=1), rounds=1).sent()) == 60


@pytest.fixture
def make_desk(tmp_path):
    made = []

    def make(**rules):
        made.append(TestDesk(StoreSettings(path=str(tmp_path / f"desk{len(made)}")), **rules))
        return made[-1]

    yield make
    for each in made:
        each.store.close()


def written(name="m1", subject="Printer", text="It is broken.", sender="ana@corp.example", **headers):
    lines = [f"From: {sender}", "To: help@corp.example", f"Subject: {subject}", f"Message-ID: <{name}@x.example>"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    return "\r\n".join([*lines, "", text, ""]).encode()


def told_to_the_team(desk):
    return [each for each in desk.outbox() if each.event in (Event.TEAM_NEW, Event.TEAM_REPLY) and each.suppressed_because is None]


@pytest.mark.parametrize("defended", [True, False])
def test_our_own_mail_that_a_mailbox_of_the_team_sends_back_is_recorded_by_our_mark_alone(make_desk, defended, monkeypatch):
    """A forwarding rule returns what we send octet for octet, under other Message-IDs: only our mark says whose it is."""
    if not defended:
        monkeypatch.setattr(casework.load, "is_our_mark", lambda keys, value: False)
    desk = make_desk()
    desk.put(written())
    desk.triage(wait=False)
    back = 0
    for _ in range(6):
        for told in told_to_the_team(desk)[back:]:
            back += 1
            fields = {"sender": "team@other.example", "X_Triaged_Loop": mint_mark(desk.keys, told.message_id)}
            desk.put(written(f"back{back}", f"[{told.facts['number']}] New", f"words {'abcdefgh'[back]}", **fields))
        desk.triage(wait=False)
    assert (len(told_to_the_team(desk)) == 1) == defended
    assert back == (1 if defended else 6)


REPLIES = 12


def replies_on_a_ticket(desk, *, domain, words, sender):
    """Answers to one mail of ours from people who are not on its ticket."""
    desk.put(written())
    desk.triage(wait=False)
    (ack,) = desk.outbox("acknowledged")
    for count in range(REPLIES):
        letter = "abcdefghijkl"[count]
        author = f"{sender.format(letter)}@{domain.format(letter)}"
        desk.put(written(f"r{count}", "Re: x", words.format(letter), author, In_Reply_To=f"<{ack.message_id}>"), sender=author)
        desk.triage(wait=False)
    return [each for each in desk.outbox("team_reply") if each.suppressed_because is None]


def new_mails(desk, *, sender, **_):
    """Mails of one address that open a ticket each."""
    for count in range(REPLIES):
        desk.put(written(f"n{count}", f"about {'abcdefghijkl'[count]}", "x", sender=sender), sender=sender)
        desk.triage(wait=False)
    return [each for each in desk.outbox("team_new") if each.suppressed_because is None and each.facts["reason"] != LOOP_CODE]


NOTICES = {
    "per_ticket_hour": (3, replies_on_a_ticket, {"domain": "y{}.example", "words": "away {}", "sender": "x"}),
    "same_words_day": (1, replies_on_a_ticket, {"domain": "y.example", "words": "away", "sender": "x{}"}),
    "notices_per_sender_hour": (3, new_mails, {"sender": "ana@corp.example"}),
}


@pytest.mark.parametrize("defended", [True, False])
@pytest.mark.parametrize("budget", NOTICES)
def test_notices_to_a_team_that_a_responder_causes_end_by_one_budget(make_desk, budget, defended):
    limit, cause, how = NOTICES[budget]
    others = {"per_ticket_hour": WIDE, "same_words_day": WIDE, "notices_per_sender_hour": WIDE, "per_address_hour": WIDE}
    desk = make_desk(budgets=Budgets(**(others | {budget: limit if defended else WIDE})))
    assert len(cause(desk, **how)) == (limit if defended else REPLIES)
    loops = [each.subject for each in desk.tickets()].count(LOOP_SUBJECT)
    assert loops == (1 if defended and budget != "same_words_day" else 0)


@pytest.mark.parametrize("defended", [True, False])
def test_a_ticket_that_somebody_resolves_and_a_responder_reopens_stays_resolved_in_the_end(make_desk, defended):
    desk = make_desk(budgets=Budgets(reopens_per_day=3 if defended else WIDE))
    desk.put(written())
    desk.triage(wait=False)
    (ack,) = desk.outbox("acknowledged")
    (ticket,) = desk.tickets()
    for count in range(6):
        if next(each for each in desk.tickets() if each.id == ticket.id).state is not State.RESOLVED:
            desk.act("resolve", ticket.number, "Done.", code="fixed")
        desk.put(written(f"r{count}", "Re: x", f"noted {'abcdef'[count]}", In_Reply_To=f"<{ack.message_id}>"))
        desk.triage(wait=False)
    ticket = next(each for each in desk.tickets() if each.id == ticket.id)
    assert (ticket.state, ticket.reopen_count) == ((State.RESOLVED, 3) if defended else (State.IN_PROGRESS, 6))


def test_every_budget_has_a_pair():
    tested = {each.budget for each in GUARDS.values()} | set(NOTICES) | {"total_minute", "reopens_per_day", "loop_incidents_per_day"}
    assert set(Budgets.__struct_fields__) == tested - {""}


@pytest.mark.parametrize("incidents", [0, 1])
def test_people_are_told_of_a_loop_unless_no_incident_may_say_so(make_desk, incidents):
    desk = make_desk(budgets=Budgets(per_ticket_hour=3, loop_incidents_per_day=incidents))
    replies_on_a_ticket(desk, domain="y{}.example", words="away {}", sender="x")
    assert [each.subject for each in desk.tickets()].count(LOOP_SUBJECT) == incidents


@pytest.mark.parametrize("defended", [True, False])
def test_a_mail_that_two_mailboxes_get_makes_one_ticket_a_team(make_desk, defended, monkeypatch):
    if not defended:
        monkeypatch.setattr("rules.mail.teams_addressed", lambda *_: ("desk",))
    desk = make_desk()
    body = written().replace(b"To: help@corp.example", b"To: help@corp.example, net@corp.example")
    for to in (("help@corp.example",), ("net@corp.example",), ("net@corp.example",), ("help@corp.example",)):
        desk.put(b"Received: by " + to[0].encode() + b"\r\n" + body, to=to)
        desk.triage(wait=False)
    assert [each.team for each in desk.tickets()] == (["desk", "net"] if defended else ["desk"])
    assert len(desk.outbox("acknowledged")) == 1
