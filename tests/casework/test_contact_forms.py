"""Mails of a contact form belong to the person in Reply-To, who is a stranger."""

import pytest

FORM = "Website <form@corp.example>"


@pytest.fixture
def desk(make_desk):
    return make_desk(contact_forms=("form@corp.example",))


def test_the_person_in_reply_to_is_the_requester_and_is_answered(desk, mail):
    desk.put(mail(sender=FORM, Reply_To="Bo <bo@outside.example>"), sender="form@corp.example", login="app")
    desk.triage()
    (ticket,) = desk.tickets()
    assert (ticket.requester, ticket.requester_name) == ("bo@outside.example", "Bo")
    assert [each.recipient for each in desk.outbox("acknowledged")] == ["bo@outside.example"]
    assert "contact form" in desk.entries(ticket)[0].note


@pytest.mark.parametrize(
    ("sender", "reply_to"),
    [
        ("Ana <ana@corp.example>", "bo@outside.example"),
        (FORM, "bo@outside.example, eve@outside.example"),
        (FORM, "form@corp.example"),
        (FORM, "nobody"),
    ],
)
def test_any_other_mail_is_its_senders(desk, mail, sender, reply_to):
    desk.put(mail(sender=sender, Reply_To=reply_to))
    desk.triage()
    assert desk.tickets()[0].requester in ("ana@corp.example", "form@corp.example")


def test_a_form_gives_nobody_the_trust_of_its_own_address(desk, mail):
    where = desk.put(mail(sender=FORM, Reply_To="ana@corp.example"), sender="form@corp.example")
    desk.triage()
    (part,) = desk.parts(where)
    assert part.reasons.trust == 0


def test_without_a_configured_form_reply_to_says_nothing(make_desk, mail):
    desk = make_desk()
    desk.put(mail(sender=FORM, Reply_To="Bo <bo@outside.example>"))
    desk.triage()
    assert desk.tickets()[0].requester == "form@corp.example"
