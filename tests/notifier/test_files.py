"""Files of an agent's mail go out with the answer, taken from the stored mail, and nothing of them becomes a header."""

import asyncio
import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.child import files_of
from itsm.notification import Event
from notifier.child import render_one
from notifier.compose import File, compose
from notifier.files import Files
from store.settings import StoreSettings
from tests.casework.desks import TestDesk
from tests.notifier.test_compose import draft
from tests.rules.worlds import NOW

BODY = (
    b"From: Ben <ben@corp.example>\r\nTo: help@corp.example\r\nSubject: Re: x\r\nMessage-ID: <f1@corp.example>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--b\r\n'
    b'Content-Type: image/png\r\nContent-Disposition: attachment; filename="plan.png"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    b"iVBORw0KGgo=\r\n--b--\r\n"
)


async def children(name, requests):
    return [{"files": files_of, "render": render_one}[name](each) for each in requests]


@pytest.fixture
def answered(tmp_path):
    desk = TestDesk(StoreSettings(path=str(tmp_path / "var")), members=True)
    lines = ["From: Ana <ana@corp.example>", "To: help@corp.example", "Subject: Printer", "Message-ID: <m1@x>", "", "It jams.", ""]
    desk.put("\r\n".join(lines).encode())
    desk.triage()
    desk.answer(desk.outbox("team_new")[0], BODY)
    yield desk
    desk.store.close()


def test_a_file_goes_to_the_requester_with_its_name_type_and_octets(answered):
    (reply,) = answered.outbox("reply")
    assert [(each.filename, each.content_type) for each in reply.attachments] == [("plan.png", "image/png")]
    found = asyncio.run(Files(answered.store, children).of([reply]))
    assert found == {reply.id: (File(filename="plan.png", content_type="image/png", octets=b"\x89PNG\r\n\x1a\n"),)}


def test_a_file_whose_mail_is_gone_is_replaced_by_a_note(answered):
    (reply,) = answered.outbox("reply")
    answered.store.write(lambda tx: tx.connection.exec_driver_sql("DELETE FROM raw").rowcount).result()
    ((file,),) = asyncio.run(Files(answered.store, children).of([reply])).values()
    assert (file.filename, file.content_type) == ("plan.png.missing.txt", "text/plain")


def test_a_child_that_gives_nothing_costs_the_file_and_not_the_answer(answered):
    async def dead(name, requests):
        return [None for _ in requests]

    (reply,) = answered.outbox("reply")
    ((file,),) = asyncio.run(Files(answered.store, dead).of([reply])).values()
    assert file.filename.endswith("missing.txt")


def written(**fields):
    raw = compose(draft(event=Event.REPLY, text="Hello", html="<p>Hello</p>", date=NOW, files=(File(**fields),)))
    return raw, email.message_from_bytes(raw, policy=email.policy.default)


def test_the_text_stands_first_and_the_file_beside_it():
    _, mail = written(filename="plan.png", content_type="image/png", octets=b"\0\1")
    assert mail.get_content_type() == "multipart/mixed"
    words, file = mail.iter_parts()
    assert words.get_content_type() == "multipart/alternative"
    assert (file.get_filename(), file.get_content_type(), file.get_content()) == ("plan.png", "image/png", b"\0\1")


@pytest.mark.parametrize("content_type", ["message/rfc822", "multipart/mixed", "no type", "text/html; charset=x", "", "a/b/c"])
def test_what_is_no_plain_type_is_octets(content_type):
    _, mail = written(filename="x", content_type=content_type, octets=b"x")
    assert list(mail.iter_parts())[1].get_content_type() == "application/octet-stream"


@given(filename=st.text(max_size=200), content_type=st.text(max_size=40), octets=st.binary(max_size=200))
def test_any_name_and_type_give_one_file_and_no_header(filename, content_type, octets):
    raw, mail = written(filename=filename, content_type=content_type, octets=octets)
    file = list(mail.iter_parts())[1]
    assert set(file.keys()) == {"Content-Type", "Content-Transfer-Encoding", "Content-Disposition"}
    assert file.get_payload(decode=True) == octets
    assert raw.count(b"\r\nSubject:") == 1
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert raw == written(filename=filename, content_type=content_type, octets=octets)[0]
