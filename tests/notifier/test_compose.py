"""Whatever people write, a mail has exactly our headers, one recipient, and lines that every server takes (A03, RFC 3834)."""

import email
import email.policy
import email.utils
from datetime import UTC, datetime
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itsm.notification import Event
from notifier.compose import Draft, compose
from notifier.events import clean_line
from notifier.headers import MAX_REFERENCES_CHARACTERS, trimmed, usable_ids
from notifier.mailbox import NoMailbox

INSTANT = datetime(2026, 3, 23, 10, 30, tzinfo=UTC)
ANY_TEXT = st.text(st.characters(codec=None), max_size=120)
HOSTILE = st.sampled_from(
    [
        "\r\nBcc: x@y.example",
        "\nX: y",
        "\u2028Bcc: x",
        "\x85Bcc: x",
        "=?utf-8?q?a=0D=0ABcc:_x?=",
        "=?utf-8?b?DQpCY2M6IHg=?=",
        '"',
        "\\",
        "<",
        ">",
        ",",
        ";",
        ":",
    ]
)
TEXTS = st.lists(st.one_of(ANY_TEXT, HOSTILE), max_size=5).map("".join)
ALWAYS = ["From", "To", "Subject", "Date", "Message-ID", "X-Triaged-Loop", "MIME-Version", "Content-Type", "Content-Language"]


def draft(**fields):
    usual = {
        "event": Event.RESOLVED,
        "subject": "[INC-1042] Printer jams",
        "text": "Solved.\n",
        "html": "<p>Solved.</p>",
        "desk_name": "Service Desk",
        "desk_address": "desk@corp.example",
        "recipient": "ana@corp.example",
        "recipient_name": "Ana",
        "message_id": "abc@corp.example",
        "in_reply_to": None,
        "references": (),
        "loop_mark": "mark abc@corp.example",
        "date": INSTANT,
    }
    return Draft(**(usual | fields))


def parsed(raw):
    return email.message_from_bytes(raw, policy=email.policy.compat32)


def shown(value):
    """What a reader sees of a header."""
    return str(make_header(decode_header(value.replace("\r\n", ""))))


def expected(event, *, threaded=False):
    names = set(ALWAYS)
    if event is not Event.REPLY:
        names |= {"Auto-Submitted", "X-Auto-Response-Suppress"}
    if event is not Event.COMMAND_RESULT and not event.value.startswith("team_"):
        names.add("Reply-To")
    return sorted(names | ({"In-Reply-To", "References"} if threaded else set()))


@given(event=st.sampled_from(Event), subject=TEXTS, name=TEXTS, desk=TEXTS, mark=TEXTS, text=TEXTS)
def test_any_text_gives_exactly_our_headers(event, subject, name, desk, mark, text):
    raw = compose(
        draft(
            event=event, subject=subject, recipient_name=name, desk_name=desk, loop_mark=mark, text=clean_line(text), html=clean_line(text)
        )
    )
    mail = parsed(raw)
    assert sorted(mail.keys()) == expected(event)
    assert [part.keys() for part in mail.get_payload()] == [["Content-Type", "Content-Transfer-Encoding"]] * 2
    written, address = email.utils.parseaddr(mail["To"].replace("\r\n", ""))
    assert (shown(written), address) == (clean_line(name, 100), "ana@corp.example")
    assert shown(mail["Subject"]) == clean_line(subject)


@given(subject=TEXTS, name=TEXTS, text=TEXTS, ids=st.lists(TEXTS, max_size=8))
def test_any_text_keeps_the_limits_of_lines(subject, name, text, ids):
    raw = compose(draft(subject=subject, recipient_name=name, text=clean_line(text) * 40, references=tuple(ids)))
    assert raw.isascii()
    for line in raw.split(b"\r\n"):
        assert len(line) <= 998  # RFC 5322 2.1.1
        assert b"\r" not in line  # RFC 5321 2.3.8
        assert b"\n" not in line


@given(ids=st.lists(st.one_of(TEXTS, st.text("abc@.<>-", min_size=1, max_size=300)), max_size=60), answered=TEXTS)
def test_any_identifiers_of_others_give_whole_identifiers_or_none(ids, answered):
    mail = parsed(compose(draft(references=tuple(ids), in_reply_to=answered)))
    known = usable_ids((*(each for each in ids if each != answered), answered))
    written = [each.strip("<>") for each in (mail["References"] or "").split()]
    assert written == list(trimmed(usable_ids((*(each for each in known if each != answered), *([answered] if answered in known else [])))))
    assert (mail["In-Reply-To"] or "").strip("<>") == (answered if answered in known else "")


def test_a_long_identifier_stays_what_it_is():
    long = "a" * 300 + "@mail.example"
    raw = compose(draft(in_reply_to=long, references=("root@x.example", long)))
    assert f"References: <root@x.example>\r\n <{long}>\r\n".encode() in raw
    assert f"In-Reply-To: <{long}>\r\n".encode() in raw


def test_references_keep_the_root_and_the_newest():
    ids = tuple(f"{at:04d}{'x' * 60}@corp.example" for at in range(100))
    kept = trimmed(ids)
    assert kept[0] == ids[0]
    assert kept[1:] == ids[-len(kept) + 1 :]
    assert len(" ".join(f"<{each}>" for each in kept)) <= MAX_REFERENCES_CHARACTERS
    assert trimmed(()) == ()


def test_an_encoded_word_in_a_subject_cannot_end_the_line():
    mail = parsed(compose(draft(subject="=?utf-8?q?a=0D=0ABcc:_x@y.example?=")))
    assert "Bcc" not in mail
    assert shown(mail["Subject"]) == "=?utf-8?q?a=0D=0ABcc:_x@y.example?="
    assert shown(parsed(compose(draft(subject="what is 2+2=?")))["Subject"]) == "what is 2+2=?"


def test_the_same_draft_gives_the_same_bytes():
    assert compose(draft()) == compose(draft())


def test_the_text_comes_first_and_both_parts_say_what_they_were_given():
    mail = email.message_from_bytes(compose(draft(text="Grüße\n", html="<p>Grüße</p>")), policy=email.policy.default)
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert [part.get_content().strip() for part in mail.iter_parts()] == ["Grüße", "<p>Grüße</p>"]


def test_a_name_beyond_ascii_is_written_in_encoded_words_of_at_most_76_characters():
    raw = compose(draft(subject="Störung im vierten Stock " * 7, recipient_name="Jörg Müller, Abteilung für Größeres " * 2))
    head = raw.partition(b"\r\n\r\n")[0]
    assert all(len(line) <= 78 for line in head.split(b"\r\n"))  # RFC 2047 2, RFC 3834 3.1.5


def test_an_address_beyond_ascii_makes_a_mail_with_headers_in_utf_8():
    raw = compose(draft(recipient="jörg@müller.example", recipient_name="Jörg Müller", subject="Störung"))
    assert 'To: "Jörg Müller" <jörg@xn--mller-kva.example>\r\n'.encode() in raw
    assert "Subject: Störung\r\n".encode() in raw
    assert "jörg@xn--mller-kva.example".encode() in raw
    assert not raw.isascii()


@pytest.mark.parametrize(
    "address", ['"a b"@corp.example', '"a\\"b"@corp.example', "a..b@corp.example", "root@[192.0.2.1]", "!#$%&'*+/=?^_`{|}~-@x.example"]
)
def test_strange_but_usable_addresses_are_written_so_that_they_read_back(address):
    raw = compose(draft(recipient=address))
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    (to,) = mail["To"].addresses
    assert to.addr_spec == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ana",
        "@corp.example",
        "ana@",
        "a b@corp.example",
        "ana@corp.example>",
        "a(b)@corp.example",
        "ana@-x.example",
        "x@y@z w",
        "ana@exa mple",
        "\udc80@x.example",
        "ana@" + "ä" * 70,
        "a" * 65 + "@x.example",
        "a@" + "x" * 300,
    ],
)
def test_what_is_no_address_is_refused_whole(address):
    with pytest.raises(NoMailbox):
        compose(draft(recipient=address))
