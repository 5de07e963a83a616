"""RFC 3834, sentence by sentence, for what we send; what we may answer at all is judged in rules/answer.py."""

import email
import email.policy

import pytest

from itsm.notification import AUTO_SUBMITTED, NULL_REVERSE_PATH, AutoSubmitted, Event
from notifier.preview import SAMPLE_IDENTITY, preview, sample
from notifier.render import RenderRequest, render

AUTOMATIC = [event for event in Event if event is not Event.REPLY]
FORGED = {"trusted": "", "subject": "Your account is locked", "requester_name": "See https://evil.example", "words": "Click here"}


def parsed(rendered):
    return email.message_from_bytes(rendered.message, policy=email.policy.default)


def acknowledgement(**fields):
    told = sample(Event.ACKNOWLEDGED)
    told = type(told)(**({name: getattr(told, name) for name in told.__struct_fields__} | fields))
    return render(RenderRequest(notification=told, identity=SAMPLE_IDENTITY, verp="t", loop_mark="m", date=told.created_at))


@pytest.mark.parametrize("event", Event)
def test_3_1_1_from_names_the_desk_and_reaches_people(event):
    (sender,) = parsed(preview(event))["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Service Desk", "desk@corp.example")


@pytest.mark.parametrize("event", Event)
def test_3_1_2_reply_to_stands_only_where_a_reply_is_wanted(event):
    assert parsed(preview(event))["Reply-To"] is not None
    told = sample(event)
    request = RenderRequest(notification=told, identity=SAMPLE_IDENTITY, verp="t", loop_mark="m", date=told.created_at)
    of_the_desk = event is Event.COMMAND_RESULT or event.value.startswith("team_")  # to be answered by their own address only
    assert (parsed(render(request))["Reply-To"] is None) == of_the_desk


@pytest.mark.parametrize("event", Event)
def test_3_1_2_every_mail_carries_a_mark_by_which_a_loop_is_seen(event):
    assert parsed(preview(event))["X-Triaged-Loop"]


@pytest.mark.parametrize("event", Event)
def test_3_1_3_there_is_exactly_one_recipient(event):
    mail = parsed(preview(event))
    assert len(mail["To"].addresses) == 1
    assert mail["Cc"] is None
    assert mail["Bcc"] is None


def test_3_1_5_the_subject_says_that_it_is_automatic_and_repeats_the_subject_of_whom_we_know():
    assert parsed(preview(Event.ACKNOWLEDGED))["Subject"] == "[INC-1042] Automatic reply: Printer 4F jams"


def test_3_1_6_in_reply_to_and_references_name_the_mail_that_is_answered():
    mail = parsed(acknowledgement(in_reply_to="two@x.example", references=("one@x.example", "two@x.example")))
    assert mail["In-Reply-To"] == "<two@x.example>"
    assert mail["References"].split() == ["<one@x.example>", "<two@x.example>"]


def test_3_1_7_an_acknowledgement_is_auto_replied():
    assert parsed(preview(Event.ACKNOWLEDGED))["Auto-Submitted"] == "auto-replied"


def test_3_1_8_there_is_no_precedence():
    assert all(parsed(preview(event))["Precedence"] is None for event in Event)


def test_3_2_an_answer_to_somebody_unproven_repeats_nothing_of_the_request():
    told = sample(Event.ACKNOWLEDGED)
    rendered = acknowledgement(facts=told.facts | FORGED, recipient_name="See https://evil.example")
    text = rendered.message.decode()
    for words in ("locked", "evil", "Click", "Workplace is"):
        assert words not in text
    mail = parsed(rendered)
    assert mail["Subject"] == "[INC-1042] Automatic reply: we have your message"
    assert mail["To"] == "ana@corp.example"


def test_3_2_not_even_a_text_of_ones_own_can_repeat_it(tmp_path):
    (tmp_path / "acknowledged.txt").write_text("Subject: {{ subject }} {{ number }}\n\n{{ requester_name }} {{ subject }}\n")
    told = sample(Event.ACKNOWLEDGED)
    told = type(told)(**({name: getattr(told, name) for name in told.__struct_fields__} | {"facts": told.facts | FORGED}))
    request = RenderRequest(
        notification=told, identity=SAMPLE_IDENTITY, verp="t", loop_mark="m", date=told.created_at, templates=str(tmp_path)
    )
    assert b"locked" not in render(request).message


@pytest.mark.parametrize("event", Event)
def test_3_2_nothing_of_the_request_is_attached(event):
    assert [part.get_content_type() for part in parsed(preview(event)).iter_parts()] == ["text/plain", "text/html"]


def test_3_3_an_automatic_response_goes_out_with_the_null_reverse_path():
    assert preview(Event.ACKNOWLEDGED).reverse_path == ""


@pytest.mark.parametrize("event", [event for event in Event if event not in NULL_REVERSE_PATH])
def test_3_3_other_mails_go_out_with_a_path_of_their_own_that_answers_nobody(event):
    assert preview(event).reverse_path == "bounces+sample@corp.example"


@pytest.mark.parametrize("event", AUTOMATIC)
def test_5_1_the_field_stands_once(event):
    assert len(parsed(preview(event)).get_all("Auto-Submitted")) == 1


@pytest.mark.parametrize("event", [event for event in AUTOMATIC if AUTO_SUBMITTED[event] is AutoSubmitted.GENERATED])
def test_5_2_a_notice_of_our_own_is_auto_generated(event):
    assert parsed(preview(event))["Auto-Submitted"] == "auto-generated"


def test_5_2_the_words_of_a_person_carry_no_field():
    mail = parsed(preview(Event.REPLY))
    assert mail["Auto-Submitted"] is None
    assert mail["X-Auto-Response-Suppress"] is None
