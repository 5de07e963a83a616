"""RFC 3834, sentence by sentence: what a response of a service responder looks like (sections 3 and 5)."""

import email
import email.policy

import pytest

from itsm.notification import AUTO_SUBMITTED, NULL_REVERSE_PATH, AutoSubmitted, Event
from notifier.preview import SAMPLE_IDENTITY, preview, sample
from notifier.relay import Relay
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
def test_from_names_the_desk_and_reaches_people(event):
    """RFC 3834 3.1.1: From should be an address that reaches the people who look after the service, with a display name that says which it is."""
    (sender,) = parsed(preview(event))["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Service Desk", "desk@corp.example")


@pytest.mark.parametrize("event", Event)
def test_reply_to_stands_only_where_a_reply_is_wanted(event):
    """RFC 3834 3.1.2: Reply-To should be set where a reply is expected, to the address at which it is."""
    assert parsed(preview(event))["Reply-To"] is not None
    told = sample(event)
    request = RenderRequest(notification=told, identity=SAMPLE_IDENTITY, verp="t", loop_mark="m", date=told.created_at)
    of_the_desk = event is Event.COMMAND_RESULT or event.value.startswith("team_")  # to be answered by their own address only
    assert (parsed(render(request))["Reply-To"] is None) == of_the_desk


@pytest.mark.parametrize("event", Event)
def test_every_mail_carries_a_mark_by_which_a_loop_is_seen(event):
    """RFC 3834 3.1.2: where replies may come back, loops have to be prevented: each mail is marked as ours."""
    assert parsed(preview(event))["X-Triaged-Loop"]


@pytest.mark.parametrize("event", Event)
def test_there_is_exactly_one_recipient(event):
    """RFC 3834 3.1.3: To should name the recipient of the response, and there should be only one."""
    mail = parsed(preview(event))
    assert len(mail["To"].addresses) == 1
    assert mail["Cc"] is None
    assert mail["Bcc"] is None


def test_the_subject_says_that_it_is_automatic_and_repeats_the_subject_of_whom_we_know():
    """RFC 3834 3.1.5: Subject should say briefly that this is an automatic response, then repeat the subject of the request or a part of it."""
    assert parsed(preview(Event.ACKNOWLEDGED))["Subject"] == "[INC-1042] Automatic reply: Printer 4F jams"


def test_in_reply_to_and_references_name_the_mail_that_is_answered():
    """RFC 3834 3.1.6: In-Reply-To and References should be there where the request had a Message-ID, by the rules of RFC 5322 3.6.4."""
    mail = parsed(acknowledgement(in_reply_to="two@x.example", references=("one@x.example", "two@x.example")))
    assert mail["In-Reply-To"] == "<two@x.example>"
    assert mail["References"].split() == ["<one@x.example>", "<two@x.example>"]


def test_an_acknowledgement_is_auto_replied():
    """RFC 3834 3.1.7: Auto-Submitted with the value auto-replied should stand in any automatic response."""
    assert parsed(preview(Event.ACKNOWLEDGED))["Auto-Submitted"] == "auto-replied"


def test_there_is_no_precedence():
    """RFC 3834 3.1.8: Precedence is not standard and its use is discouraged; we do without it."""
    assert all(parsed(preview(event))["Precedence"] is None for event in Event)


def test_an_answer_to_somebody_unproven_repeats_nothing_of_the_request():
    """RFC 3834 3.2: a response should hold no significant part of the request, which may have been sent in the name of somebody else."""
    told = sample(Event.ACKNOWLEDGED)
    rendered = acknowledgement(facts=told.facts | FORGED, recipient_name="See https://evil.example")
    text = rendered.message.decode()
    for words in ("locked", "evil", "Click", "Workplace is"):
        assert words not in text
    mail = parsed(rendered)
    assert mail["Subject"] == "[INC-1042] Automatic reply: we have your message"
    assert mail["To"] == "ana@corp.example"


def test_not_even_a_text_of_ones_own_can_repeat_it(tmp_path):
    """RFC 3834 3.2: the same for responses whose text the desk wrote itself."""
    (tmp_path / "acknowledged.txt").write_text("Subject: {{ subject }} {{ number }}\n\n{{ requester_name }} {{ subject }}\n")
    told = sample(Event.ACKNOWLEDGED)
    told = type(told)(**({name: getattr(told, name) for name in told.__struct_fields__} | {"facts": told.facts | FORGED}))
    request = RenderRequest(
        notification=told, identity=SAMPLE_IDENTITY, verp="t", loop_mark="m", date=told.created_at, templates=str(tmp_path)
    )
    assert b"locked" not in render(request).message


@pytest.mark.parametrize("event", Event)
def test_nothing_of_the_request_is_attached(event):
    """RFC 3834 3.2: a response should carry no attachment of the request and none but text."""
    assert [part.get_content_type() for part in parsed(preview(event)).iter_parts()] == ["text/plain", "text/html"]


def test_an_automatic_response_goes_out_with_the_null_reverse_path():
    """RFC 3834 3.3: MAIL FROM should make loops unlikely; the null reverse-path may be used for it."""
    assert preview(Event.ACKNOWLEDGED).reverse_path == ""


@pytest.mark.parametrize("event", [event for event in Event if event not in NULL_REVERSE_PATH])
def test_other_mails_go_out_with_a_path_of_their_own_that_answers_nobody(event):
    """RFC 3834 3.3: instead, an address may be used that is made for automatic mail and that never answers."""
    assert preview(event).reverse_path == "bounces+sample@corp.example"


@pytest.mark.parametrize("event", AUTOMATIC)
def test_the_field_stands_once(event):
    """RFC 3834 5.1: Auto-Submitted must not stand more than once in a header."""
    assert len(parsed(preview(event)).get_all("Auto-Submitted")) == 1


@pytest.mark.parametrize("event", [event for event in AUTOMATIC if AUTO_SUBMITTED[event] is AutoSubmitted.GENERATED])
def test_a_notice_of_our_own_is_auto_generated(event):
    """RFC 3834 5.2: auto-generated is for what an automatic process sends and what answers no message directly."""
    assert parsed(preview(event))["Auto-Submitted"] == "auto-generated"


def test_the_words_of_a_person_carry_no_field():
    """RFC 3834 5.2: what a person wrote is not automatic: the field is absent, or says `no`."""
    mail = parsed(preview(Event.REPLY))
    assert mail["Auto-Submitted"] is None
    assert mail["X-Auto-Response-Suppress"] is None


def test_the_date_is_that_of_the_response():
    """RFC 3834 3.1.4: Date should be when the response was made, and says nothing of the request."""
    told = sample(Event.ACKNOWLEDGED)
    assert parsed(acknowledgement())["Date"].datetime == told.created_at


def test_a_long_subject_in_another_alphabet_is_folded_into_encoded_words():
    """RFC 3834 3.1.5: encoded words of a subject that is repeated must stay valid, in lines of no more than 76 characters."""
    told = sample(Event.ACKNOWLEDGED)
    long = "Drücker im vierten Stock zieht zwei Blätter auf einmal ein und hält an " * 3
    head = acknowledgement(facts=told.facts | {"subject": long}).message.partition(b"\r\n\r\n")[0]
    lines = head.partition(b"\r\nSubject:")[2].partition(b"\r\nDate:")[0].split(b"\r\n")
    assert len(lines) > 1
    assert max(map(len, lines)) <= 76
    assert "Drücker" in parsed(acknowledgement(facts=told.facts | {"subject": long}))["Subject"]


def test_a_request_without_a_message_id_is_answered_without_a_thread():
    """RFC 3834 3.1.6: the thread fields go with a Message-ID of the request; without one there is nothing to name."""
    mail = parsed(acknowledgement(in_reply_to=None, references=()))
    assert (mail["In-Reply-To"], mail["References"]) == (None, None)


@pytest.mark.parametrize("path", ["", "bounces+token@corp.example"])
def test_a_relay_that_can_is_asked_for_no_report_of_a_response(relay, relay_settings, path):
    """RFC 3834 3.3: NOTIFY=NEVER is recommended for the recipient of a response, where the server has the DSN extension."""
    server = relay(None, "DSN")
    client = Relay(relay_settings(server.port), local_hostname="desk.corp.example")
    client.submit("name", path, "ana@corp.example", preview(Event.ACKNOWLEDGED).message)
    client.close()
    assert server.taken[0].rcpt.endswith(" NOTIFY=NEVER") == (path == "")
