"""Telling cases of mail intake, each by its number in `docs/explanation/mail-cases.md`, on a real store with mails of our own.

That page names a test for each of the 25 cases; those that other modules hold are not repeated here.
"""

import base64

import pytest

from itsm.act import ActorKind
from itsm.envelope import Outcome
from itsm.ticket import State
from tests.intake.mail.test_mail_winmail import a_file, part, stream


def outcomes(desk, *where):
    return [desk.inbox(each).outcomes for each in where]


def test_case_01_a_mail_fetched_again_makes_one_ticket_and_one_acknowledgement(desk, mail):
    where = [desk.put(mail(), later=later) for later in (0, 60, 86_400)]
    desk.triage()
    assert outcomes(desk, *where) == ["C", "D", "D"]
    assert (len(desk.tickets()), len(desk.outbox("acknowledged"))) == (1, 1)


def test_case_03_a_mail_without_message_id_polled_again_is_the_same(desk, mail):
    where = [desk.put(mail(None, Date="Mon, 23 Mar 2026 10:00:00 +0000"), later=later) for later in (0, 60, 600)]
    other = desk.put(mail(None, text="It is broken, and smokes.", Date="Mon, 23 Mar 2026 10:00:00 +0000"))
    desk.triage()
    assert outcomes(desk, *where, other) == ["C", "D", "D", "C"]


@pytest.mark.parametrize(
    "fields",
    [
        {"Auto_Submitted": "auto-replied"},
        {"X_Auto_Response_Suppress": "All", "Precedence": "auto_reply"},
        {"X_Autoreply": "yes"},
        {"Auto_Submitted": "auto-generated"},
    ],
)
def test_case_09_an_out_of_office_neither_reopens_nor_closes(desk, mail, fields):
    desk.put(mail())
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    desk.act("resolve", 1001, "New toner.")
    before = desk.tickets()[0].state
    desk.put(mail("m2", "Out of office", "I am away. My ticket may be closed.", In_Reply_To=f"<{ack.message_id}>", **fields), later=60)
    desk.triage()
    (ticket,) = desk.tickets()
    assert (before, ticket.state) == (State.RESOLVED, State.RESOLVED)
    assert len(desk.outbox("acknowledged")) == 1


PREFIXES = [
    "Re",
    "RE",
    "AW",
    "Antw",
    "SV",
    "VS",
    "Odp",
    "RES",
    "R",
    "RIF",
    "Atb",
    "Ref",
    "Ответ",
    "回复",
    "答复",
    "回覆",
    "返信",
    "Re[2]",
    "ΑΠ",
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_case_12_a_reply_is_no_new_ticket_in_any_language(desk, mail, prefix):
    desk.put(mail(), login="app")
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    by_reference = desk.put(mail("m2", f"{prefix}: Drucker", "Any news?", References=f"<other@x> <{ack.message_id}>"), later=60)
    no_reference = desk.put(mail("m3", f"{prefix}: [INC-1001] Printer", "Still no news?"), login="app", later=60)  # as QQ mail sends it
    desk.triage()
    assert outcomes(desk, by_reference, no_reference) == ["A", "A"]
    assert len(desk.tickets()) == 1


@pytest.mark.parametrize("subject", ["about INC-1001", "Re: [INC-1001] Printer 4F jams", "Ticket#1001 and INC-1001"])
def test_case_13_a_strangers_mail_does_not_land_in_a_foreign_ticket(desk, mail, subject):
    desk.put(mail())
    desk.triage()
    text = "INC-1001 Ticket#1001 [INC-1001]"
    desk.put(
        mail("m2", subject, text, sender="Eve <eve@evil.example>", Thread_Index="AQHZ", Thread_Topic="Printer 4F jams"),
        sender="eve@evil.example",
    )
    desk.triage()
    first, second = desk.tickets()
    assert (len(desk.entries(first)), second.requester, second.suggested_for) == (1, "eve@evil.example", 1001)


@pytest.mark.parametrize(
    "subject", ["Fwd: [INC-1001] Printer", "WG: [INC-1001] Drucker", "TR : [INC-1001]", "[Fwd: [INC-1001] Printer]", "转发: [INC-1001]"]
)
def test_case_14_a_forward_is_a_matter_of_its_own(desk, mail, subject):
    desk.put(mail())
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    desk.put(mail("m2", subject, "Please look.", In_Reply_To=f"<{ack.message_id}>"), later=60)
    desk.triage()
    assert len(desk.tickets()) == 2
    assert len(desk.entries(desk.tickets()[0])) == 1


def test_case_15_a_forged_reference_takes_nothing_over(desk, mail):
    desk.put(mail())
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    forged = mail(
        "m2", "Re: Printer", "Send it to me.", sender="Eve <eve@evil.example>", In_Reply_To=f"<{ack.message_id}>", Cc="mallory@evil.example"
    )
    where = desk.put(forged, sender="eve@evil.example", later=60)
    desk.triage()
    (part_,) = desk.parts(where)
    (ticket,) = desk.tickets()
    assert part_.outcome is Outcome.APPENDED
    assert desk.entries(ticket)[-1].verified is False
    desk.act("reply", 1001, "The toner is in the cupboard.")
    assert {each.recipient for each in desk.outbox("reply")} == {"ana@corp.example"}


def test_case_17_a_reply_months_later_is_a_new_linked_ticket(desk, mail):
    desk.put(mail())
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    desk.act("resolve", 1001, "New toner.")
    desk.put(mail("m2", "Re: Printer", "It jams again.", In_Reply_To=f"<{ack.message_id}>"), later=200 * 86_400)
    desk.triage()
    assert [each.number for each in desk.tickets()] == [1001, 1002]
    assert desk.tickets()[0].state is not State.NEW


def test_case_18_one_mail_to_two_departments_makes_a_ticket_for_each(desk, mail):
    where = desk.put(mail(Cc="net@corp.example"), to=("help@corp.example", "net@corp.example"))
    desk.triage()
    assert sorted(each.team for each in desk.tickets()) == ["desk", "net"]
    assert len(desk.outbox("acknowledged")) == 1
    assert desk.inbox(where).state != "quarantined"


BROKEN = {
    "an unknown charset": b"Content-Type: text/plain; charset=x-unknown\r\n\r\nT\xc3\xbcr",
    "a charset that is a lie": b"Content-Type: text/plain; charset=us-ascii\r\n\r\nT\xc3\xbcr",
    "gb2312 that is gb18030": b"Content-Type: text/plain; charset=gb2312\r\n\r\n" + "T\u00fcr 镕".encode("gb18030"),
    "broken iso-2022-jp": b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B%\xff\x1b(B Tuer",
    "no declaration": b"\r\nT\xfcr",
    "raw octets in Cc": b"Cc: M\xfcller <m@corp.example>, \xff\xfe <x@corp.example>\r\n\r\nT\xfcr",
    "raw octets in Subject": b"Subject: T\xfcr \xff\r\n\r\nx",
    "a broken encoded word": b"Subject: =?utf-8?b?w7x=?= =?x-junk?q?=FF?= =?utf-8?q?T=C3?=\r\n\r\nx",
    "NUL": b"\r\nT\x00r",
    "half a surrogate": b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xed\xa0\xbd T\xc3\xbcr",
}


@pytest.mark.parametrize("name", BROKEN)
def test_case_19_what_cannot_be_decoded_is_read_as_well_as_can_be_and_said(desk, name):
    where = desk.put(b"From: Ana <ana@corp.example>\r\nTo: help@corp.example\r\nMessage-ID: <m1@corp.example>\r\n" + BROKEN[name] + b"\r\n")
    desk.triage()
    (ticket,) = desk.tickets()
    (entry,) = desk.entries(ticket)
    assert entry.text.strip()
    assert "\x00" not in entry.text + ticket.subject
    assert entry.note or name in ("gb2312 that is gb18030", "raw octets in Cc", "raw octets in Subject", "a broken encoded word")
    assert desk.inbox(where).outcomes == "C"


def test_case_20_text_goes_on_after_an_emoji(desk):
    raw = "From: Ana <ana@corp.example>\r\nSubject: Help 🚨 now\r\nMessage-ID: <m1@corp.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    desk.put((raw + "It burns 🔥 and 𝒃𝒆𝒆𝒑𝒔 👩‍👩‍👧 a lot.\r\nPlease come.\r\n").encode())
    desk.triage()
    (ticket,) = desk.tickets()
    assert ticket.subject == "Help 🚨 now"
    assert desk.entries(ticket)[0].text.strip() == "It burns 🔥 and 𝒃𝒆𝒆𝒑𝒔 👩‍👩‍👧 a lot.\nPlease come."


def in_parts(*parts):
    top = b"From: Ana <ana@corp.example>\nSubject: Bills\nMessage-ID: <m1@corp.example>\n"
    body = b"".join(b"--b\n" + each + b"\n" for each in parts) + b"--b--\n"
    return (top + b'Content-Type: multipart/mixed; boundary="b"\n\n' + body).replace(b"\n", b"\r\n")


def test_case_21_what_stands_in_winmail_dat_alone_is_on_the_ticket(desk):
    desk.put(in_parts(b"\nSee below.", part(stream(a_file(b"bill.pdf", b"%PDF")))))
    desk.triage()
    (entry,) = desk.entries(desk.tickets()[0])
    assert [each.filename for each in entry.attachments] == ["winmail.dat", "bill.pdf"]


def test_case_22_seventy_files_are_seventy_files(desk):
    pdf = base64.encodebytes(b"%PDF-1.7 " + bytes(3_000))
    fields = b'Content-Type: application/pdf; name="bill%d.pdf"\nContent-Transfer-Encoding: base64\n\n%b'
    desk.put(in_parts(b"\nSeventy bills.", *(fields % (at, pdf) for at in range(70))))
    desk.triage()
    (entry,) = desk.entries(desk.tickets()[0])
    assert [each.filename for each in entry.attachments] == [f"bill{at}.pdf" for at in range(70)]
    assert entry.note == ""


def test_case_22_what_is_beyond_a_limit_is_said_on_the_ticket(desk):
    desk.put(in_parts(*(b"Content-Type: application/x-a\n\nx" for _ in range(1_100))))
    desk.triage()
    (entry,) = desk.entries(desk.tickets()[0])
    assert "more than 1000 parts: the rest is only in the raw mail" in entry.note


def test_case_23_quotes_are_folded_and_never_deleted(desk, mail):
    text = "It works.\r\n\r\nOn Mon, 2 Mar 2026 at 10:15, Help Desk <help@corp.example> wrote:\r\n> Please try.\r\n\r\n-- \r\nAna"
    desk.put(mail(text=text))
    desk.triage()
    (entry,) = desk.entries(desk.tickets()[0])
    assert entry.reply_text == "It works."
    assert "Please try." in entry.text
    assert "-- \nAna" in entry.text


def test_lesson_05_a_match_says_which_rule_made_it(desk, mail):
    desk.put(mail())
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    where = desk.put(mail("m2", "Re: x", "Any news?", In_Reply_To=f"<{ack.message_id}>"), later=60)
    desk.triage()
    (part_,) = desk.parts(where)
    assert "minted" in str(part_.reasons)


def test_lesson_09_a_mail_of_a_machine_is_a_ticket_and_is_not_answered(desk, mail):
    desk.put(mail(subject="cron: backup failed", text="exit 1", Auto_Submitted="auto-generated"))
    desk.triage()
    assert len(desk.tickets()) == 1
    assert desk.outbox("acknowledged") == [] or desk.outbox("acknowledged")[0].suppressed_because


def test_lesson_14_what_follows_a_closed_ticket_is_a_new_one(desk, mail):
    desk.put(mail())
    desk.triage()
    (ack,) = desk.outbox("acknowledged")
    desk.act("resolve", 1001, "New toner.", kind=ActorKind.AGENT)
    desk.tick(days=60)
    assert desk.tickets()[0].state is State.CLOSED
    desk.put(mail("m2", "Re: Printer", "Again.", In_Reply_To=f"<{ack.message_id}>"), later=60)
    desk.triage()
    assert [each.state for each in desk.tickets()] == [State.CLOSED, State.NEW]
