"""Commands at the top of a mail: what is one, what it means, and that nothing that looks like one is sent by mistake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itsm.act import Actor, ActorKind, Verb
from itsm.signal import Attachment
from rules.commands import MAX_COMMANDS, WORDS, Unreadable, acts_of, allowed, read, words_for
from rules.thanks import only_thanks
from tests.rules.worlds import DESK, mail

BEN = Actor(kind=ActorKind.AGENT, name="ben", trust=2)


def acts(text):
    return acts_of(read(text), 1042, BEN, DESK)


def told(text):
    return [(act.verb.value, act.arguments, act.text) for act in acts(text)]


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("#take", [("assign", {"assignee": "ben"}, ""), ("start", {}, "")]),
        ("#assign @net", [("assign", {"team": "net"}, "")]),
        ("#assign ben because he knows", [("assign", {"assignee": "ben"}, "he knows")]),
        ("#prio P2 because the floor waits", [("prioritise", {"priority": "2"}, "the floor waits")]),
        ("#PENDING customer", [("pend", {"reason": "customer"}, "")]),
        ("#resolve code: fixed", [("resolve", {"code": "fixed"}, "")]),
        ("#resolve", [("resolve", {}, "")]),
        ("#tag vpn remote", [("classify", {"tags": "vpn remote"}, "")]),
        ("#merge INC-7", [("merge", {"into": "INC-7"}, "")]),
        ("#mute 2d", [("mute", {"hours": "48"}, "")]),
        ("#mute 8h", [("mute", {"hours": "8"}, "")]),
        ("#mute long", [("mute", {"hours": "long"}, "")]),
        ("#accept", [("accept", {}, "")]),
        ("#accept 77", [("accept", {"entry": "77"}, "")]),
        ("#status", []),
        ("# note: he is rude", [("note", {}, "he is rude")]),
        ("\uff03close", [("close", {}, "")]),
    ],
)
def test_each_command_is_the_act_of_every_channel(line, made):
    assert told(line) == made


def test_words_go_with_what_they_belong_to():
    assert told("Hello\n#1 is yours") == [("reply", {}, "Hello\n#1 is yours")]
    assert told("#start\n\nHello")[0] == ("reply", {}, "Hello")
    assert told("#resolve fixed\nDone, bye") == [("resolve", {"code": "fixed"}, "Done, bye")]
    assert told("#take\n#note\nsecret")[-1] == ("note", {}, "secret")
    assert told("# Heading\nwords") == [("reply", {}, "# Heading\nwords")]
    assert told("") == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("#frobnicate", "no command #frobnicate"),
        ("Hello\n#note secret", "at the top"),
        ("#prio", "needs something behind it"),
        ("#start now", "takes nothing"),
        ("#resolve because he is rude", "stays on the desk"),
        ("#service two words", "takes one word"),
        ("#start\n" * (MAX_COMMANDS + 1), f"more than {MAX_COMMANDS}"),
    ],
)
def test_what_cannot_be_read_is_refused_whole(text, says):
    made = acts(text)
    assert isinstance(made, Unreadable)
    assert says in made.reason


def test_a_requester_may_write_some_of_them():
    assert allowed(read("#status"), ActorKind.REQUESTER)
    assert not allowed(read("#take"), ActorKind.REQUESTER)
    assert not allowed(read("#frobnicate"), ActorKind.AGENT)
    assert allowed(read("#take"), ActorKind.AGENT)


def test_every_act_there_is_can_be_written():
    written = {word.verb for word in WORDS.values()} | {Verb.ASSIGN, Verb.NOTE, Verb.REPLY}
    assert written - {None} == set(Verb)
    assert words_for((Verb.START, Verb.CLOSE)) == ("#start", "#close")


LINES = st.one_of(st.sampled_from([word.usage for word in WORDS.values()]), st.text(max_size=40), st.just("#note x"))


@given(st.lists(LINES, max_size=12).map("\n".join))
def test_reading_is_total_and_a_note_is_never_a_reply(text):
    made = acts(text)
    if isinstance(made, Unreadable):
        return
    verbs = [act.verb for act in made]
    if any(line.strip().lower().startswith("#note") for line in text.split("\n")):
        assert Verb.REPLY not in verbs
        assert all(not act.text or act.verb not in (Verb.RESOLVE, Verb.REOPEN) for act in made)


@pytest.mark.parametrize(
    "text",
    [
        "Thanks!", "Thank you very much, works great. Ana", "Vielen Dank, es funktioniert!\nViele Grüße\nAna Beispiel", "Merci beaucoup pour votre aide",
        "Muchas gracias, un saludo", "Dziękuję bardzo", "Grazie mille", "Obrigado pela ajuda", "Bedankt, werkt!", "Tusen takk", "Спасибо большое", "谢谢",
        "ありがとうございます", "thx",
    ],
)  # fmt: skip
def test_thanks_are_thanks(text):
    assert only_thanks(mail(reply_text=text))


@pytest.mark.parametrize(
    "text",
    [
        "Thanks, but it jams again", "Thanks. Can you look at room 5 too?", "Thanks, please call me", "Danke, geht aber nicht", "Merci, mais non", "It is broken",
        "", "Thanks " * 60, "thanks for nothing the printer upstairs exploded", "Thanks, room 12", "Thanks, when does it come",
    ],
)  # fmt: skip
def test_more_than_thanks_is_more(text):
    assert not only_thanks(mail(reply_text=text, text=text))


def test_thanks_with_a_file_are_more_than_thanks():
    file = Attachment(filename="a.png", content_type="image/png", size_bytes=1, sha256="")
    assert not only_thanks(mail(reply_text="Thanks!", attachments=(file,)))
