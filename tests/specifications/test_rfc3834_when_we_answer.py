"""RFC 3834, sentence by sentence: when a service responder answers at all, and whom (sections 2, 4, 5.2, 6)."""

from datetime import timedelta

import pytest

from itsm.notification import Event
from notifier.preview import SAMPLE_IDENTITY
from notifier.render import RenderRequest, render
from rules.settings import Budgets
from store.settings import StoreSettings
from tests.casework.desks import TestDesk

FEW_KILOBYTES = 4 * 1024
WIDE = 10**6


@pytest.fixture
def desk(tmp_path):
    made = TestDesk(StoreSettings(path=str(tmp_path / "var")))
    yield made
    made.store.close()


def mail(*fields, sender="Ana <ana@corp.example>", subject="Printer", text="It is broken.", name="m1"):
    lines = [f"From: {sender}"] if sender else []
    return "\r\n".join(
        [*lines, "To: help@corp.example", f"Subject: {subject}", f"Message-ID: <{name}@x.example>", *fields, "", text, ""]
    ).encode()


def answered(desk, raw, sender="ana@corp.example"):
    """Who is answered, after one mail."""
    before = {each.id for each in desk.outbox("acknowledged")}
    desk.put(raw, sender=sender)
    desk.triage(wait=False)
    fresh = [each for each in desk.outbox("acknowledged") if each.id not in before and each.suppressed_because is None]
    return [each.recipient for each in fresh]


def why(desk):
    """Why the last mail was not answered."""
    return desk.outbox("acknowledged")[-1].suppressed_because


def test_a_message_of_a_person_is_answered(desk):
    """RFC 3834 1: a service responder answers each request that it serves, so that what follows is about something."""
    assert answered(desk, mail()) == ["ana@corp.example"]


def test_not_every_message_is_answered_blindly(desk):
    """RFC 3834 2: an automatic responder must not blindly send a response for every message it receives."""
    raws = [mail(name="a"), mail("Auto-Submitted: auto-generated", name="b"), mail("Precedence: bulk", name="c"), mail(sender="", name="d")]
    assert [bool(answered(desk, each)) for each in raws] == [True, False, False, False]


@pytest.mark.parametrize(
    "value", ["auto-replied", "auto-generated", "auto-notified", "Auto-Replied", "auto-replied; owner=x", "auto-generated (cron)", "x-mine"]
)
def test_what_was_submitted_automatically_is_not_answered(desk, value):
    """RFC 3834 2: no response should be issued to a message whose Auto-Submitted field has any value other than `no`."""
    assert answered(desk, mail(f"Auto-Submitted: {value}")) == []


@pytest.mark.parametrize("value", ["no", "NO", "no; note=x", "no (by hand)"])
def test_what_says_that_it_was_not_is_answered(desk, value):
    """RFC 3834 2 and 5.2: `no` marks what a person sent, in any case and with any parameter or comment; it is no reason against."""
    assert answered(desk, mail(f"Auto-Submitted: {value}")) == ["ana@corp.example"]


def test_a_null_return_path_is_never_answered(desk):
    """RFC 3834 2: a responder must not generate a response whose destination would be a null address."""
    assert answered(desk, mail(), sender="") == []


def test_a_null_return_path_that_a_server_before_us_wrote_down_is_never_answered(desk):
    """RFC 3834 2: the same where the null address stands in the Return-Path field."""
    from intake.mail.parse import parse_mail  # noqa: PLC0415 -- the door knows the path; only a mailbox has to read the field

    assert parse_mail(mail("Return-Path: <>")).unanswerable == "null reverse-path (RFC 3834 2)"


@pytest.mark.parametrize(
    "address",
    [
        "owner-users@x.example",
        "users-request@x.example",
        "MAILER-DAEMON@x.example",
        "users-owner@x.example",
        "users-bounces@x.example",
        "postmaster@x.example",
        "noreply@x.example",
    ],
)
def test_addresses_that_responders_use_are_not_answered(desk, address):
    """RFC 3834 2: responders may refuse addresses such as owner-*, *-request and MAILER-DAEMON; we refuse them all."""
    assert answered(desk, mail(sender=address), sender=address) == []


@pytest.mark.parametrize(
    "field",
    ["List-Id: <users.x.example>", "List-Unsubscribe: <mailto:x@x.example>", "Precedence: list", "Precedence: bulk", "Precedence: junk"],
)
def test_lists_and_bulk_are_not_answered(desk, field):
    """RFC 3834 2: a response is not appropriate where the header says that the mail came by a list or in bulk."""
    assert answered(desk, mail(field)) == []


@pytest.mark.parametrize("sender", ["", "undisclosed", "ana@", "@x.example", "<>"])
def test_a_destination_that_cannot_be_valid_is_not_answered(desk, sender):
    """RFC 3834 2: responders are encouraged to check that a destination can be valid before they answer."""
    assert answered(desk, mail(sender=sender)) == []


def test_an_extremely_malformed_request_is_not_answered(desk):
    """RFC 3834 2: service responders should not answer extremely malformed requests."""
    for raw in (b"\xff\xfe\x00garbage", b"", b"\r\n\r\n", b":" * 5_000):
        assert answered(desk, raw) == []


def test_an_answer_is_small_however_large_the_request(desk):
    """RFC 3834 2: service responders should not return more than a few kilobytes to addresses that are not proven."""
    assert answered(desk, mail(text="words " * 20_000, subject="s" * 900)) == ["ana@corp.example"]
    (told,) = desk.outbox("acknowledged")
    made = render(RenderRequest(notification=told, identity=SAMPLE_IDENTITY, verp="t", loop_mark="m", date=told.created_at))
    text = made.message.partition(b"text/html")[0]
    assert len(text) < FEW_KILOBYTES
    assert len(made.message) < 3 * FEW_KILOBYTES  # with the same as HTML


def test_a_mail_that_nobody_authenticated_has_no_effect_on_anything_but_its_own_ticket(desk):
    """RFC 3834 2: service responders should not cause unwanted side effects without assurance that the request was authorised."""
    desk.put(mail())
    desk.triage(wait=False)
    before = desk.tickets()[0]
    desk.put(
        mail("Cc: victim@x.example", name="m2", subject="Re: [INC-1001] x", text="#close\n#assign eve", sender="mallory@x.example"),
        sender="mallory@x.example",
    )
    desk.triage(wait=False)
    assert next(each for each in desk.tickets() if each.id == before.id) == before
    assert {each.recipient for each in desk.outbox()} <= {"ana@corp.example", "mallory@x.example", "team@corp.example"}


@pytest.mark.parametrize(
    "field",
    ["Reply-To: victim@x.example", "Sender: victim@x.example", "Errors-To: victim@x.example", "Return-Receipt-To: victim@x.example"],
)
def test_an_answer_goes_to_from_and_to_no_other_field(desk, field):
    """RFC 3834 4: a service may answer to From where it says so; Reply-To and Sender should not be the destination."""
    assert answered(desk, mail(field)) == ["ana@corp.example"]


def test_an_answer_goes_to_one_address_where_from_has_several(desk):
    """RFC 3834 3.1.3 and 4: a response has one recipient, whatever the request lists."""
    assert len(answered(desk, mail(sender="ana@corp.example, bob@x.example"))) <= 1


def test_an_answer_names_the_address_that_asked_as_it_was_written(desk):
    """RFC 3834 4: the destination is the address of the request, not one made of it."""
    assert answered(desk, mail(sender="Ana.Maria+desk@Corp.Example"), sender="ana.maria+desk@corp.example") == [
        "Ana.Maria+desk@Corp.Example"
    ]


def test_a_second_request_on_the_same_matter_is_not_answered_again(desk):
    """RFC 3834 2: the same response should not be sent to the same sender again and again; who replies to an answer gets no other."""
    assert answered(desk, mail()) == ["ana@corp.example"]
    (told,) = desk.outbox("acknowledged")
    assert answered(desk, mail(f"In-Reply-To: <{told.message_id}>", name="m2", subject="Re: Printer", text="And the second tray.")) == []


def test_responders_that_keep_nothing_of_this_are_bounded(tmp_path):
    """RFC 3834 3.3 and 6: loops are prevented whatever the other side does; budgets hold where no field tells (see tests/arena)."""
    for budgets, most in ((Budgets(), 10), (Budgets(per_address_hour=WIDE, per_domain_minute=WIDE), 12)):
        desk = TestDesk(StoreSettings(path=str(tmp_path / str(most))), budgets=budgets)
        told = [each for count in range(12) for each in answered(desk, mail(name=f"n{count}", subject=f"about {'abcdefghijkl'[count]}"))]
        desk.store.close()
        assert len(told) == most


def test_our_own_answer_is_never_answered(desk):
    """RFC 3834 3.1.2 and 5: what we send says what it is, so that a desk like ours does not answer it."""
    answered(desk, mail())
    (told,) = desk.outbox("acknowledged")
    made = render(
        RenderRequest(notification=told, identity=SAMPLE_IDENTITY, verp="t", loop_mark="m", date=told.created_at + timedelta(seconds=1))
    )
    assert answered(desk, made.message, sender=made.reverse_path) == []
    assert len(list(desk.tickets())) == 1


@pytest.mark.parametrize("report", ["delivery-status", "disposition-notification", "feedback-report"])
def test_reports_are_not_answered(desk, report):
    """RFC 3834 1.1 and 2: delivery status and disposition notifications are no requests and get no response."""
    head = f'Content-Type: multipart/report; report-type={report}; boundary="b"'
    assert answered(desk, mail(head, text="--b\r\n\r\nsee below\r\n--b--")) == []
    assert [each for each in desk.outbox() if each.event is Event.ACKNOWLEDGED] == []
