"""Merged tickets and their way back, watchers by acts alone, thanks that reopen nothing, and what a requester may ask by mail."""

from datetime import timedelta

import pytest

from casework.handle import perform
from itsm.act import Act, Actor, ActorKind, Verb
from itsm.errors import Refused
from itsm.ticket import State
from store import followers, tickets


@pytest.fixture
def desk(make_desk):
    return make_desk(members=True)


@pytest.fixture
def two(desk, mail):
    """Ana's ticket 1001 and Bo's ticket 1002."""
    desk.put(mail())
    desk.put(mail("m2", "Printer again", "jams", "Bo <bo@corp.example>"), sender="bo@corp.example", later=1)
    desk.triage()
    return desk.tickets()


def watching(desk, number):
    ticket = next(each for each in desk.tickets() if each.number == number)
    found = desk.store.read(lambda tx: followers.of_tickets(tx, [ticket.id]))
    return [each.address for each in found.get(ticket.id, ())]


def test_a_reply_to_a_merged_ticket_lands_in_the_one_that_goes_on(desk, two, mail):
    desk.act("merge", 1002, into="INC-1001")
    (told,) = desk.outbox("merged")
    assert (told.recipient, told.facts["into"]) == ("bo@corp.example", "INC-1001")
    desk.put(
        mail("m3", "Re: x", "still jams", "Bo <bo@corp.example>", In_Reply_To=f"<{told.message_id}>"), sender="bo@corp.example", later=1
    )
    desk.triage()
    ana, bo = desk.tickets()
    assert (bo.state, bo.merged_into, bo.resolution_code) == (State.CLOSED, 1001, "merged")
    assert [each.text.strip() for each in desk.entries(ana)] == ["It is broken.", "INC-1002 was merged into this ticket.", "still jams"]
    assert len(desk.tickets()) == 2


def test_a_chain_of_merges_is_followed(desk, two, mail):
    desk.put(mail("m4", "Third", "jams", "Cy <cy@corp.example>"), sender="cy@corp.example", later=1)
    desk.triage()
    (bos_notice, _) = desk.outbox("team_new")[2:4]
    ack = next(each for each in desk.outbox("acknowledged") if each.recipient == "cy@corp.example")
    desk.act("merge", 1003, into="1002")
    desk.act("merge", 1002, into="1001")
    desk.put(mail("m5", "Re: x", "me too", "Cy <cy@corp.example>", In_Reply_To=f"<{ack.message_id}>"), sender="cy@corp.example", later=1)
    desk.triage()
    assert desk.entries(desk.tickets()[0])[-1].text.strip() == "me too"
    desk.answer(bos_notice, mail("b1", "Re: x", "On it.", "Ben <ben@corp.example>"))
    assert sorted(each.recipient for each in desk.outbox("reply")) == ["ana@corp.example", "bo@corp.example", "cy@corp.example"]
    with pytest.raises(Refused, match="was merged into this ticket"):
        desk.act("merge", 1001, into="1003")


def test_a_merge_can_be_undone_for_thirty_days(desk, two):
    desk.act("start", 1002)
    desk.act("merge", 1002, into="1001")
    assert watching(desk, 1001) == ["bo@corp.example"]
    desk.act("unmerge", 1002)
    bo = desk.tickets()[1]
    assert (bo.state, bo.merged_into, bo.closed_at, bo.resolution_code) == (State.IN_PROGRESS, None, None, "")
    assert watching(desk, 1001) == []
    assert desk.store.read(lambda tx: tickets.links_of(tx, bo.id)) == []
    desk.act("merge", 1002, into="1001")
    desk.time += timedelta(days=31)
    with pytest.raises(Refused, match="more than 30 days"):
        desk.act("unmerge", 1002)


def test_a_resolved_ticket_is_resolved_again_after_the_undo(desk, two):
    desk.act("resolve", 1002, "done")
    desk.act("merge", 1002, into="1001")
    desk.act("unmerge", 1002)
    assert desk.tickets()[1].state is State.RESOLVED
    assert desk.tick(days=4) == 1
    assert desk.tickets()[1].state is State.CLOSED


@pytest.mark.parametrize(("into", "says"), [("INC-77", "no ticket INC-77"), ("1002", "closed")])
def test_a_merge_needs_a_ticket_that_goes_on(desk, two, into, says):
    desk.act("resolve", 1002, "done")
    desk.act("close", 1002)
    with pytest.raises(Refused, match=says):
        desk.act("merge", 1001, into=into)


def test_linked_tickets_know_each_other(desk, two):
    desk.act("link", 1001, to="1002")
    assert desk.store.read(lambda tx: tickets.links_of(tx, two[1].id)) == [(two[0].id, "of:related")]
    with pytest.raises(Refused, match="no ticket 9"):
        desk.act("link", 1001, to="9")


def test_a_mail_is_split_off_into_a_ticket_of_its_writer(desk, two, mail):
    desk.put(
        mail("s1", "Other thing", "my screen is dark", "Di <di@corp.example>", References="<m1@corp.example>"),
        sender="di@corp.example",
        later=1,
    )
    desk.triage()
    desk.act("split", 1001)
    fresh = desk.tickets()[-1]
    assert (fresh.requester, fresh.subject, fresh.entered_by, fresh.state) == ("di@corp.example", "Other thing", "agent:ben", State.NEW)
    assert [each.visibility for each in desk.entries(desk.tickets()[0])] == ["public", "dropped"]
    assert desk.outbox("acknowledged")[-1].recipient == "di@corp.example"
    assert desk.store.read(lambda tx: tickets.links_of(tx, fresh.id)) == [(desk.tickets()[0].id, "split_from")]


def test_a_cc_makes_nobody_a_watcher_until_somebody_says_so(desk, mail):
    desk.put(mail(Cc="Mallory <mallory@evil.example>, bo@corp.example, ben@corp.example"), login="app")
    desk.triage()
    assert watching(desk, 1001) == []
    assert desk.outbox("team_new")[0].facts["copied"] == "mallory@evil.example, bo@corp.example"
    desk.act("reply", 1001, "It is the tray.")
    assert [each.recipient for each in desk.outbox("reply")] == ["ana@corp.example"]
    desk.act("watch", 1001, address="Bo@corp.example")
    desk.act("reply", 1001, "Fixed?")
    assert [each.recipient for each in desk.outbox("reply")] == ["ana@corp.example", "ana@corp.example", "bo@corp.example"]
    assert "mallory@evil.example" not in {each.recipient for each in desk.outbox()}


def test_the_requester_adds_a_watcher_by_mail_and_a_reply_to_all_keeps_it(desk, mail):
    desk.put(mail(), login="app")
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    reference = {"In_Reply_To": f"<{ack.message_id}>"}
    desk.put(mail("m2", "Re: x", "#watch bo@corp.example", **reference), later=1)  # nobody vouches for it
    desk.triage()
    assert watching(desk, 1001) == []
    desk.put(mail("m3", "Re: x", "#watch bo@corp.example", **reference), login="app", later=1)
    desk.triage()
    assert watching(desk, 1001) == ["bo@corp.example"]
    desk.put(mail("m4", "Re: x", "more words", **reference), login="app", later=1)
    desk.triage()
    assert watching(desk, 1001) == ["bo@corp.example"]
    desk.put(mail("m5", "Re: x", "#unwatch bo@corp.example", **reference), login="app", later=1)
    desk.triage()
    assert watching(desk, 1001) == []


def test_an_agent_mutes_a_ticket_for_some_hours(desk, mail):
    desk.put(mail())
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    desk.act("mute", 1001, hours="8")
    for at, hours in (("m2", 1), ("m3", 9)):
        desk.put(mail(at, "Re: x", "more", In_Reply_To=f"<{ack.message_id}>"), later=hours * 3600)
        desk.triage()
    bens = [each.suppressed_because for each in desk.outbox("team_reply") if each.recipient == "ben@corp.example"]
    assert (bens[0] is None, bens[1] is None) == (False, True)


def test_thanks_do_not_reopen_and_a_but_does(desk, mail):
    desk.put(mail())
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    desk.act("resolve", 1001, "New tray.")
    desk.put(mail("m2", "Re: x", "Many thanks, works great! Ana", In_Reply_To=f"<{ack.message_id}>"), later=1)
    desk.triage()
    (ticket,) = desk.tickets()
    assert (ticket.state, desk.entries(ticket)[-1].visibility, desk.outbox("team_reply")) == (State.RESOLVED, "public", [])
    desk.put(mail("m3", "Re: x", "Thanks, but it jams again", In_Reply_To=f"<{ack.message_id}>"), later=1)
    desk.triage()
    assert desk.tickets()[0].state is State.IN_PROGRESS


def test_the_status_is_answered_only_to_the_known_address(desk, mail):
    desk.put(mail())
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    desk.put(mail("m2", "Re: x", "#status", "Eve <eve@evil.example>", References="<m1@corp.example>"), sender="eve@evil.example", later=1)
    desk.triage()
    assert desk.outbox("status") == []
    desk.put(mail("m3", "Re: x", "#status", In_Reply_To=f"<{ack.message_id}>"), later=1)
    desk.triage()
    (answer,) = desk.outbox("status")
    assert (answer.recipient, answer.facts["state"], answer.facts["trusted"]) == ("ana@corp.example", "new", "")


def test_a_requester_resolves_by_mail_when_authenticated_and_says_it_otherwise(desk, mail):
    desk.put(mail(), login="app")
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    desk.put(mail("m2", "Re: x", "#solved", In_Reply_To=f"<{ack.message_id}>"), later=1)
    desk.triage()
    assert desk.tickets()[0].state is State.NEW
    desk.put(mail("m3", "Re: x", "#solved\r\n\r\nIt was unplugged.", In_Reply_To=f"<{ack.message_id}>"), login="app", later=1)
    desk.triage()
    (ticket,) = desk.tickets()
    assert ticket.state is State.RESOLVED
    assert [each.text.strip() for each in desk.entries(ticket)] == ["It is broken.", "#solved", "It was unplugged."]


def test_an_auditor_reads_and_never_acts(desk, two):
    act = Act(verb=Verb.NOTE, ticket_number=1001, actor=Actor(kind=ActorKind.AGENT, name="eve", trust=2), text="x")
    with pytest.raises(Refused, match="auditor"):
        desk.store.write(lambda tx: perform(tx, act, desk.casework)).result()
