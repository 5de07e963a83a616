"""Two people, or one, answer a mail that never came to us: one ticket, in whatever order and batch; held where nobody vouches for them."""

import pytest

from casework.part import Part
from intake.mail.parse import parse_mail
from itsm.envelope import Outcome
from rules.threading import Strength
from triaged.commands.replay import judged

OLD, ROOT = "<old@corp.example>", "<root@corp.example>"
IN_BATCHES = pytest.mark.parametrize("batches", [1, 2])
SHORT = {"In_Reply_To": OLD}
LONG = {"In_Reply_To": OLD, "References": f"{ROOT} {OLD}"}
OTHER_BRANCH = {"In_Reply_To": "<other@corp.example>", "References": f"{ROOT} <other@corp.example>"}


def came(desk, batches, *mails):
    """Put them in this order, in one batch or each in its own, and tell what became of each."""
    where = []
    for each, login in mails:
        where.append(desk.put(each, login=login, later=1))
        if batches == 2:
            desk.triage(wait=False)
    desk.triage(wait=False)
    return [part.outcome for each in where for part in desk.parts(each)]


@IN_BATCHES
@pytest.mark.parametrize(("first", "second"), [(SHORT, LONG), (LONG, SHORT), (LONG, OTHER_BRANCH), (OTHER_BRANCH, LONG)])
def test_who_answers_an_old_mail_again_is_on_the_ticket_of_the_first_answer(desk, mail, batches, first, second):
    one, two = mail("m1", "Re: Offer 4", "Is it valid?", **first), mail("m2", "AW: Offer 4", "Please tell me.", **second)
    assert came(desk, batches, (one, "app"), (two, "app")) == [Outcome.CREATED, Outcome.APPENDED]
    (ticket,) = desk.tickets()
    assert [(each.visibility, each.verified) for each in desk.entries(ticket)] == [("public", True), ("public", True)]
    assert len(desk.outbox("acknowledged")) == 1


@IN_BATCHES
@pytest.mark.parametrize("second", ["ana", "bo"])
def test_whoever_nobody_vouches_for_is_held_on_that_ticket_and_the_team_is_told(desk, mail, batches, second):
    sender = f"{second.title()} <{second}@corp.example>"
    one, two = mail("m1", "Re: Offer 4", "Is it valid?", **LONG), mail("m2", "Re: Offer 4", "Same here.", sender=sender, **LONG)
    desk.put(one)
    if batches == 2:
        desk.triage(wait=False)
    where = desk.put(two, sender=f"{second}@corp.example", later=1)
    desk.triage(wait=False)
    (row,) = desk.parts(where)
    assert row.outcome is Outcome.APPENDED
    (ticket,) = desk.tickets()
    assert [each.visibility for each in desk.entries(ticket)] == ["public", "held"]
    assert [each.facts["reason"].split(":")[0] for each in desk.outbox("team_reply")] == ["held"]
    assert (
        row.reasons.values["candidates"]
        == f"{Strength.TOPIC.value} INC-1001 old@corp.example; {Strength.TOPIC.value} INC-1001 root@corp.example"
    )


@IN_BATCHES
def test_an_old_mail_that_was_answered_only_to_find_our_address_joins_nothing(desk, mail, batches):
    one, two = mail("m1", "Re: Offer 4", "Is it valid?", **LONG), mail("m2", "My printer jams", "Please help.", **LONG)
    assert came(desk, batches, (one, "app"), (two, "app")) == [Outcome.CREATED, Outcome.CREATED]
    assert len(desk.tickets()) == len(desk.outbox("acknowledged")) == 2


@IN_BATCHES
def test_a_monitor_that_references_one_mail_in_all_it_sends_is_heard_each_time(desk, mail, batches):
    alarms = [(mail(f"m{each}", "Disk full", f"node {each}", Auto_Submitted="auto-generated", **SHORT), "app") for each in (1, 2)]
    assert came(desk, batches, *alarms) == [Outcome.CREATED, Outcome.CREATED]


@IN_BATCHES
def test_the_same_answer_to_two_teams_makes_a_ticket_for_each(desk, mail, batches):
    one = mail("m1", "Re: Offer 4", "Is it valid?", **LONG)
    for to in ("help@corp.example", "net@corp.example"):
        desk.put(one, login="app", to=(to,))
        if batches == 2:
            desk.triage(wait=False)
    desk.triage(wait=False)
    assert [each.team for each in desk.tickets()] == ["desk", "net"]


def test_an_answer_whose_ticket_was_merged_is_on_the_one_that_goes_on(desk, mail):
    came(desk, 2, (mail("m0", "Offer 4", "Here it is."), "app"), (mail("m1", "Re: Offer 4", "Is it valid?", **LONG), "app"))
    desk.act("merge", 1002, into="INC-1001")
    came(desk, 1, (mail("m2", "Re: Offer 4", "Please tell me.", **LONG), "app"))
    assert [each.text.strip() for each in desk.entries(desk.tickets()[0])][-1] == "Please tell me."


def test_what_is_held_leads_nobody_else_here(desk, mail):
    """Else a stranger could gather the answers of others: a held mail that names another mail would hold theirs as well."""
    came(desk, 1, (mail("m1", "Re: Offer 4", "Is it valid?", **SHORT), "app"))
    bait = mail("m2", "Re: Offer 4", "Same.", sender="Eve <eve@evil.example>", In_Reply_To=OLD, References=f"<bait@corp.example> {OLD}")
    theirs = mail("m3", "Re: Offer 4", "Mine.", sender="Bo <bo@corp.example>", In_Reply_To="<bait@corp.example>")
    assert came(desk, 2, (bait, None), (theirs, None)) == [Outcome.APPENDED, Outcome.CREATED]


def test_a_mail_that_is_judged_again_does_not_find_its_own_ticket(desk, mail):
    body = mail("m1", "Re: Offer 4", "Is it valid?", **LONG)
    where = desk.put(body, login="app")
    desk.triage(wait=False)
    (again,) = judged(desk.store, [Part(envelope=desk.inbox(where).envelope, seq=0, signal=parse_mail(body))], desk.casework)
    assert again.outcome is Outcome.CREATED
