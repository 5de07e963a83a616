"""Mails through casework on a real store: the right ticket, the right words, once."""

from datetime import timedelta

import pytest

import casework.handle as handle_module
from itsm.envelope import Outcome
from itsm.errors import Conflict
from itsm.ticket import State
from itsm.token import mint_mark, mint_verp
from rules.settings import Budgets
from store import budgets, history, outbox, threads
from store.inbox import PENDING, QUARANTINED


def test_a_mail_becomes_a_ticket_with_its_words_and_an_acknowledgement(desk, mail):
    where = desk.put(mail())
    desk.triage()
    (ticket,) = desk.tickets()
    assert (ticket.number, ticket.subject, ticket.requester, ticket.version) == (1001, "Printer 4F jams", "ana@corp.example", 1)
    (entry,) = desk.entries(ticket)
    assert (entry.text.strip(), entry.message_id, entry.verified) == ("It is broken.", "m1@corp.example", True)
    (ack,) = desk.outbox("acknowledged")
    assert (ack.recipient, ack.in_reply_to, ack.references) == ("ana@corp.example", "m1@corp.example", ("m1@corp.example",))
    assert ack.facts["number"] == "INC-1001"
    assert desk.inbox(where).outcomes == "C"
    (part,) = desk.parts(where)
    assert (part.outcome, part.ticket_id, part.reasons.code) == (Outcome.CREATED, ticket.id, "opened")


def test_the_same_mail_twice_makes_one_ticket_in_one_batch_or_two(desk, mail):
    first, second = desk.put(mail()), desk.put(mail())
    desk.triage()
    third = desk.put(mail())
    desk.triage()
    assert [desk.inbox(each).outcomes for each in (first, second, third)] == ["C", "D", "D"]
    assert len(desk.tickets()) == 1
    assert len(desk.outbox("acknowledged")) == 1


def test_a_reply_to_our_acknowledgement_lands_on_its_ticket(desk, mail):
    desk.put(mail())
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    desk.put(mail("m2", "Re: whatever", "Any news?", In_Reply_To=f"<{ack.message_id}>"))
    desk.triage()
    (ticket,) = desk.tickets()
    assert [entry.text.strip() for entry in desk.entries(ticket)] == ["It is broken.", "Any news?"]
    assert len(desk.outbox("team_reply")) == 1
    assert len(desk.outbox("acknowledged")) == 1


def test_a_reply_that_arrives_before_what_it_answers_waits_for_it(desk, mail):
    reply = desk.put(mail("m2", "Re: x", "me too", In_Reply_To="<m1@corp.example>"), login="app")
    later = desk.put(mail())
    desk.triage()
    assert desk.inbox(reply).outcomes == "A"
    assert desk.inbox(later).outcomes == "C"
    assert len(desk.tickets()) == 1


def test_a_reply_to_a_mail_that_never_comes_opens_a_ticket_of_its_own(desk, mail):
    where = desk.put(mail("m2", In_Reply_To="<gone@corp.example>"))
    desk.triage()
    assert desk.inbox(where).outcomes == "C"


def test_somebody_else_who_answers_the_users_mail_is_held(desk, mail):
    desk.put(mail())
    desk.put(
        mail("m2", "Re: Printer", "same here", sender="Bo <bo@corp.example>", References="<m1@corp.example>"),
        sender="bo@corp.example",
        later=1,
    )
    desk.triage()
    (ticket,) = desk.tickets()
    assert [entry.visibility for entry in desk.entries(ticket)] == ["public", "held"]


def test_a_forged_reference_to_our_message_id_leads_nowhere_new(desk, mail):
    desk.put(mail())
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    forged = ("a" if ack.message_id[0] != "a" else "b") + ack.message_id[1:]
    where = desk.put(mail("m2", In_Reply_To=f"<{forged}>"))
    desk.triage()
    assert desk.inbox(where).outcomes == "C"


def test_an_out_of_office_changes_nothing(desk, mail):
    desk.put(mail())
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    desk.put(mail("m2", "Automatic reply: x", "I am away", In_Reply_To=f"<{ack.message_id}>", Auto_Submitted="auto-replied"))
    desk.triage()
    (ticket,) = desk.tickets()
    assert [entry.kind for entry in desk.entries(ticket)] == ["human", "auto_reply"]
    assert ticket.version == 1
    assert len(desk.outbox()) == 2


def test_our_own_mail_that_comes_back_is_recorded(desk, mail):
    desk.put(mail())
    desk.triage()
    where = desk.put(mail("m9", X_Triaged_Loop=mint_mark(desk.keys, "x@corp.example")))
    desk.triage()
    assert desk.inbox(where).outcomes == "R"


def test_a_bounce_finds_its_notification_and_marks_it(desk, mail):
    desk.put(mail())
    desk.triage()
    number = desk.tickets()[0].number
    desk.act("reply", number, "Is it plugged in?")
    (told,) = desk.outbox("reply")
    bounce = (
        "From: MAILER-DAEMON@mx.example\r\nSubject: Undelivered Mail\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\nFinal-Recipient: rfc822; ana@corp.example\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    ).encode("ascii")
    desk.put(bounce, sender="", to=(f"bounces+{mint_verp(desk.keys, told.id)}@corp.example",))
    desk.triage()
    row = desk.store.read(lambda tx: outbox.find(tx, told.id))
    assert row.bounced_at is not None
    assert "5.1.1" in desk.entries(desk.tickets()[0])[-1].text


def test_a_number_in_the_subject_of_a_stranger_is_a_suggested_link(desk, mail):
    desk.put(mail())
    desk.triage()
    desk.put(mail("m2", "about INC-1001", sender="Eve <eve@evil.example>"), sender="eve@evil.example")
    desk.triage()
    assert [each.suggested_for for each in desk.tickets()] == [None, 1001]


def test_budgets_stop_a_flood_of_acknowledgements_and_say_so(make_desk, mail):
    desk = make_desk(budgets=Budgets(per_address_hour=2))
    for index in range(5):
        desk.put(mail(f"m{index}", f"mail {index}"))
    desk.triage(wait=False)
    states = [(each.state.value, each.suppressed_because) for each in desk.outbox("acknowledged")]
    assert [state for state, _ in states] == ["queued", "queued", "suppressed", "suppressed", "suppressed"]
    assert "budget" in states[-1][1]
    assert len(desk.tickets()) == 5


def test_a_budget_that_ran_out_meanwhile_is_decided_again(desk, mail):
    def too_much(tx):
        budgets.spend(tx, {("answer/all", desk.time): (1, 1)})
        budgets.spend(tx, {("answer/all", desk.time): (1, 1)})

    with pytest.raises(Conflict):
        desk.store.write(too_much).result()


def test_a_crash_of_the_parser_tries_alone_and_quarantines_the_third_time(desk, mail):
    good, bad = desk.put(mail()), desk.put(mail("poison", "poison"))

    async def fragile(name, requests):
        poisoned = any(b"poison" in request for request in requests)
        return [None] * len(requests) if poisoned else await desk.parse(name, requests)

    for _ in range(6):
        desk.triage(parse=fragile)
        desk.time += timedelta(seconds=10)
    assert desk.inbox(good).outcomes == "C"
    assert desk.inbox(bad).state == QUARANTINED
    assert "parser" in desk.inbox(bad).reason


def test_a_bug_in_triage_sets_one_mail_aside_and_the_rest_goes_on(desk, mail, monkeypatch):
    decide = handle_module.decide_mail

    def buggy(signal, *args, **kwargs):
        if signal.subject == "bug":
            raise KeyError("a bug")
        return decide(signal, *args, **kwargs)

    monkeypatch.setattr(handle_module, "decide_mail", buggy)
    good, bad = desk.put(mail()), desk.put(mail("m2", "bug"))
    for _ in range(6):
        desk.triage()
        desk.time += timedelta(seconds=10)
    assert desk.inbox(good).outcomes == "C"
    assert desk.inbox(bad).state == QUARANTINED


def test_history_is_a_chain_that_verifies(desk, mail):
    desk.put(mail())
    desk.triage()
    (ticket,) = desk.tickets()
    kinds = [entry.kind for entry in desk.store.read(lambda tx: history.of_stream(tx, f"ticket:{ticket.id}"))]
    assert kinds == ["open"]  # what opened it and what it said are one entry


def test_what_waits_is_known_by_its_message_id(desk, mail):
    where = desk.put(mail())
    found = desk.store.read(lambda tx: threads.pending_in_inbox(tx, [threads.key_of("m1@corp.example")]))
    assert found == {threads.key_of("m1@corp.example")}
    assert desk.inbox(where).state == PENDING


def test_a_reply_reopens_what_was_resolved_and_a_timer_closes_it(desk, mail):
    desk.put(mail())
    desk.triage()
    number = desk.tickets()[0].number
    assert desk.act("resolve", number, "Cleared.", code="fixed").state is State.RESOLVED
    (told,) = desk.outbox("resolved")
    desk.put(mail("m2", "Re: x", "still broken", In_Reply_To=f"<{told.message_id}>"))
    desk.triage()
    assert desk.tickets()[0].state is State.IN_PROGRESS
    assert desk.tick(days=4) == 0
    desk.act("resolve", number)
    assert desk.tick(days=1) == 0
    assert desk.tick(days=3) == 1
    assert desk.tickets()[0].state is State.CLOSED
