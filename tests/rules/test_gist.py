"""The gist of a mail: made in the child it is what it is made here, and the keys of budgets stay what they were."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.child import ParseRequest, ParseResult, parse_one
from itsm.signal import DeliveryReport, UserMessage
from rules.budget import repeat_keys, words_key
from rules.classify import classify
from rules.gist import MAX_CHARACTERS, gist_of, said, spaced, with_gist
from rules.ruleset import Verdict
from rules.settings import RulesSettings
from tests.rules.worlds import NOW, mail

SETTINGS = RulesSettings()
TEXTS = st.text(st.sampled_from("aBß ÉéİСб写 12[]().,:\n\t-_\x00\u3000"), max_size=60)


def judged(message):
    return (
        classify(message, Verdict(), SETTINGS),
        repeat_keys(message, SETTINGS, NOW),
        words_key(message, SETTINGS, NOW),
        gist_of(message),
    )


@given(TEXTS, TEXTS, TEXTS)
def test_a_mail_is_judged_alike_with_its_gist_and_without(subject, text, reply_text):
    message = mail(subject=subject, text=text, reply_text=reply_text)
    assert judged(with_gist(message)) == judged(message)


BOUNCE = b"""From: MAILER-DAEMON@x.example\nSubject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=delivery-status; boundary=b\n
--b\n\nIt could not be delivered.\n--b\nContent-Type: message/delivery-status\n
Reporting-MTA: dns; x.example\n\nFinal-Recipient: rfc822; ana@x.example\nAction: failed\nStatus: 5.1.1\n\n--b--\n"""


@pytest.mark.parametrize("raw", [b"From: ana@corp.example\nSubject: Ticket 12\n\nThe printer does not work.\n", BOUNCE])
def test_the_child_sends_it_along(raw):
    asked = msgspec.msgpack.encode(ParseRequest(format="rfc822", source="smtp", received_at=NOW, return_path="", body=raw))
    (part,) = msgspec.msgpack.decode(parse_one(asked), type=ParseResult).parts
    message = part.message if isinstance(part, DeliveryReport) else part
    assert isinstance(message, UserMessage)
    assert message.gist is not None
    assert message.gist == gist_of(msgspec.structs.replace(message, gist=None))


def test_the_keys_of_budgets_are_those_of_the_version_before():
    """Replicas of both versions count in the same rows."""
    message = mail(subject="Re: [INC-7] Printer 4711", text="Es geht nicht, seit 12:30.\n[case 99] Grüße", reply_text="")
    assert repeat_keys(message, SETTINGS, NOW)[0].key == "answer/repeat/ana@corp.example/7ac34e6d2b2398c7"
    assert words_key(message, SETTINGS, NOW).key == "notice/words/corp.example/a35c4790cac9f122"


def test_signs_of_any_script_stand_between_words():
    assert spaced("Drucker–Raum 4, 東京。駅") == " drucker raum 4 東京 駅 "


@pytest.mark.parametrize("text", ["case 0123456789", "case ٤٢", "caſe 4711 ٤٢", "case x17"])
def test_numbers_in_any_script_are_not_said(text):
    assert said(text) == "case"


def test_4096_characters_of_subject_and_text_tell_the_type():
    before = "x" * (MAX_CHARACTERS - len("Printer\n") - len(" outage"))
    assert gist_of(mail(subject="Printer", reply_text=before + " outage")).words.endswith(" outage ")
    assert gist_of(mail(subject="Printer", reply_text=before + "x outages")).words.endswith(" outag ")


def test_half_a_character_has_a_gist_too():
    assert len(gist_of(mail(text="\ud800")).text_sha256) == 64
