"""Agents by mail on a real store: the answer reaches the requester, the note does not, and nobody else speaks for an agent."""

import pytest

from itsm.ticket import State
from store import grants, history
from tests.rules.worlds import WITH_AGENTS, changed

NOTICE = "\r\n\r\nOn Mon, 23 Mar 2026 at 10:31, Service Desk <help@corp.example> wrote:\r\n> --- Reply above this line ---\r\n>\r\n> New incident\r\n> secret host db7"


@pytest.fixture
def desk(make_desk):
    return make_desk(members=True)


@pytest.fixture
def notice(desk, mail):
    desk.put(mail())
    desk.triage()
    return next(each for each in desk.outbox("team_new") if each.recipient == "ben@corp.example")


@pytest.fixture
def from_ben(mail):
    return lambda text, name="b1", sender="Ben <ben@corp.example>", **more: mail(name, "Re: [INC-1001] Printer", text, sender, **more)


def test_each_agent_of_the_team_gets_a_copy_with_a_reply_address_of_their_own(desk, notice):
    copies = desk.outbox("team_new")
    assert [each.recipient for each in copies] == ["ben@corp.example", "cid@corp.example"]
    assert len({each.reply_grant for each in copies}) == 2
    held = desk.store.read(lambda tx: grants.by_ids(tx, [each.reply_grant for each in copies]))
    assert sorted((each.person, each.ticket_number) for each in held.values()) == [("ben", 1001), ("cid", 1001)]


def test_an_answer_goes_to_the_requester_without_the_quoted_notice(desk, notice, from_ben):
    desk.answer(notice, from_ben("Have you tried tray 2?" + NOTICE))
    (reply,) = desk.outbox("reply")
    assert (reply.recipient, reply.facts["words"]) == ("ana@corp.example", "Have you tried tray 2?")
    (ticket,) = desk.tickets()
    assert ticket.state is State.IN_PROGRESS
    entry = desk.entries(ticket)[-1]
    assert (entry.author, entry.visibility, entry.direction, entry.reply_text, entry.trust) == (
        "agent:ben", "public", "desk", "Have you tried tray 2?", 2,
    )  # fmt: skip
    assert desk.outbox("command_result") == []


def test_commands_and_words_are_done_together_and_their_result_is_mailed(desk, notice, from_ben):
    where = desk.answer(notice, from_ben("#take\r\n#prio P1 because the whole floor waits\r\n#pending customer\r\n\r\nWhich tray is it?"))
    (ticket,) = desk.tickets()
    assert (ticket.assignee, ticket.priority, ticket.state, ticket.pending_reason) == ("ben", 1, State.PENDING, "customer")
    assert [each.facts["words"] for each in desk.outbox("reply")] == ["Which tray is it?"]
    (result,) = desk.outbox("command_result")
    assert (result.recipient, result.facts["done"].splitlines()[0], result.facts["state_now"]) == ("ben@corp.example", "#take", "pending")
    assert result.reply_grant is not None
    assert desk.parts(where)[0].reasons.trust == 2


def test_a_note_never_leaves_the_desk(desk, notice, from_ben):
    desk.answer(notice, from_ben("#note the customer is rude\r\n\r\nand owes us money"))
    (ticket,) = desk.tickets()
    assert desk.outbox("reply") == []
    assert desk.entries(ticket)[-1].visibility == "internal"
    assert desk.entries(ticket)[-1].text == "the customer is rude\nand owes us money"


@pytest.mark.parametrize("slip", ["#nota he is rude", "Hello,\r\n#note he is rude", "# note he is rude", "\uff03note he is rude"])
def test_a_slip_of_the_pen_sends_nothing(desk, notice, from_ben, slip):
    body = from_ben("@@", Content_Type="text/plain; charset=utf-8").replace(b"@@", slip.encode())
    desk.answer(notice, body)
    assert desk.outbox("reply") == []
    assert [each.visibility for each in desk.entries(desk.tickets()[0])] == ["public", "internal"]


def test_one_command_that_is_not_legal_undoes_all(desk, notice, from_ben):
    desk.answer(notice, from_ben("#take\r\n#reopen\r\n\r\nHello"))
    (ticket,) = desk.tickets()
    assert (ticket.assignee, ticket.state, ticket.version) == ("", State.NEW, 1)
    assert desk.outbox("reply") == []
    (result,) = desk.outbox("command_result")
    assert "cannot be changed by reopen" in result.facts["refused"]
    assert "#resolve fixed" in result.facts["legal"]


def test_an_answer_of_quoted_text_alone_sends_nothing(desk, notice, from_ben):
    desk.answer(notice, from_ben(NOTICE))
    assert desk.outbox("reply") == []
    assert "no words of yours" in desk.outbox("command_result")[0].facts["refused"]


@pytest.mark.parametrize(
    ("login", "sender", "says"),
    [(None, "ben@corp.example", "nobody vouches"), ("ana", "ben@corp.example", "nobody vouches"), ("cid", "cid@corp.example", "somebody else used it")],
)  # fmt: skip
def test_nobody_else_speaks_by_an_agents_reply_address(desk, notice, from_ben, login, sender, says):
    desk.answer(notice, from_ben("#resolve\r\n\r\nDone.", sender=f"X <{sender}>"), login=login)
    (ticket,) = desk.tickets()
    assert (ticket.state, ticket.version) == (State.NEW, 1)
    assert desk.outbox("resolved") == desk.outbox("reply") == []
    assert [each.visibility for each in desk.entries(ticket)] == ["public", "held"]
    (told,) = desk.outbox("command_result")
    assert says in told.facts["refused"]
    assert (told.recipient, told.facts["held"]) == ("ben@corp.example", "yes")


def test_a_reply_address_ends_and_can_be_revoked(desk, notice, from_ben):
    assert desk.store.write(lambda tx: grants.revoke(tx, "ben", ticket_number=1001)).result() == 1
    desk.answer(notice, from_ben("#resolve"))
    assert "revoked" in desk.outbox("command_result")[0].facts["refused"]
    other = next(each for each in desk.outbox("team_new") if each.recipient == "cid@corp.example")
    desk.answer(other, from_ben("#resolve", "c1", "Cid <cid@corp.example>"), login="cid")
    assert desk.tickets()[0].state is State.RESOLVED
    kinds = [each.kind for each in desk.store.read(lambda tx: history.of_stream(tx, "access"))]
    assert "reply_addresses_revoked" in kinds


def test_an_expired_reply_address_gives_nothing(desk, notice, from_ben):
    desk.time += desk.time - desk.time.replace(month=1)
    desk.answer(notice, from_ben("#resolve"))
    assert "expired" in desk.outbox("command_result")[0].facts["refused"]


def test_a_former_agent_speaks_no_more(desk, notice, from_ben):
    desk.casework = changed(desk.casework, desk=changed(WITH_AGENTS, agents=WITH_AGENTS.agents[1:]))
    desk.answer(notice, from_ben("#resolve"))
    assert desk.tickets()[0].state is State.NEW
    assert desk.entries(desk.tickets()[0])[-1].visibility == "held"


def test_an_agent_who_answers_to_the_desk_is_held_and_told_where_to_answer(desk, notice, from_ben):
    desk.answer(notice, from_ben("#note rude", In_Reply_To=f"<{notice.message_id}>"), to="help@corp.example")
    assert desk.entries(desk.tickets()[0])[-1].visibility == "held"
    assert all("reply address" in each.facts["reason"] for each in desk.outbox("team_reply"))
    assert desk.outbox("reply") == []


def test_the_out_of_office_of_an_agent_changes_nothing(desk, notice, from_ben):
    desk.answer(notice, from_ben("#resolve", Auto_Submitted="auto-replied"))
    assert desk.tickets()[0].state is State.NEW
    assert desk.outbox("command_result") == []


def test_a_held_mail_is_accepted_or_dropped_by_one_command(desk, notice, from_ben, mail):
    desk.put(mail("s1", "Re: Printer", "me too", "Bo <bo@corp.example>", References="<m1@corp.example>"), sender="bo@corp.example", later=1)
    desk.put(mail("s2", "Re: Printer", "spam", "Xx <xx@evil.example>", References="<m1@corp.example>"), sender="xx@evil.example", later=1)
    desk.triage()
    (ticket,) = desk.tickets()
    assert [each.visibility for each in desk.entries(ticket)] == ["public", "held", "held"]
    desk.answer(notice, from_ben("#drop"))
    desk.answer(notice, from_ben("#accept", "b2"))
    assert [each.visibility for each in desk.entries(ticket)][:3] == ["public", "public", "dropped"]
    desk.answer(notice, from_ben("#accept", "b3"))
    assert "no mail is held" in desk.outbox("command_result")[-1].facts["refused"]


def test_an_accepted_mail_reopens_what_was_resolved(desk, notice, from_ben, mail):
    desk.act("resolve", 1001, "done")
    desk.put(
        mail("s1", "Re: Printer", "still broken", "Bo <bo@corp.example>", References="<m1@corp.example>"), sender="bo@corp.example", later=1
    )
    desk.triage()
    assert desk.tickets()[0].state is State.RESOLVED
    desk.act("accept", 1001)
    assert desk.tickets()[0].state is State.IN_PROGRESS
