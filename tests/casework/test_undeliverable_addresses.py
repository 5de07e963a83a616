"""Addresses that mail comes back from: marked by our own token only, told once, lifted by a mail from there (A21, mail 62, 63)."""

from itsm.token import mint_verp
from store import outbox, undeliverable


def bounce(recipient="ana@corp.example", status="5.1.1", action="failed"):
    return (
        "From: MAILER-DAEMON@mx.example\r\nSubject: Undelivered Mail\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        f"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\nFinal-Recipient: rfc822; {recipient}\r\n"
        f"Action: {action}\r\nStatus: {status}\r\n\r\n--b--\r\n"
    ).encode("ascii")


def returned(desk, mail, **report):
    """A ticket whose answer came back; the row of that answer."""
    desk.put(mail())
    desk.triage()
    desk.act("reply", desk.tickets()[0].number, "Is it plugged in?")
    told = desk.outbox("reply")[-1]
    come_back(desk, told, **report)
    return told


def come_back(desk, told, **report):
    desk.put(bounce(**report), sender="", to=(f"bounces+{mint_verp(desk.keys, told.id)}@corp.example",), later=1)
    desk.triage()


def marked(desk):
    return desk.store.read(lambda tx: undeliverable.among(tx, ["ana@corp.example"]))


def test_a_hard_failure_marks_the_address_and_later_notices_are_suppressed_with_the_reason(desk, mail):
    returned(desk, mail)
    assert "5.1.1" in marked(desk)["ana@corp.example"].reason
    (ticket,) = desk.tickets()
    assert "Nothing more is sent to ana@corp.example" in desk.entries(ticket)[-1].note
    desk.act("reply", ticket.number, "Hello?")
    later = desk.outbox("reply")[-1]
    assert (later.state.value, later.suppressed_because) == (
        "suppressed",
        "mail to it comes back since 2026-03-23: ana@corp.example: 5.1.1",
    )


def test_the_team_is_told_once(desk, mail):
    told = returned(desk, mail)
    come_back(desk, told, status="5.7.1")
    notices = [each for each in desk.outbox("team_reply") if "comes back" in each.facts["reason"]]
    assert len(notices) == 1
    assert "5.1.1" in marked(desk)["ana@corp.example"].reason


def test_a_mail_from_there_lifts_the_mark(desk, mail):
    returned(desk, mail)
    desk.put(mail("m2", "I am back", "hello"), later=1)
    desk.triage()
    assert not marked(desk)
    assert desk.outbox("acknowledged")[-1].state.value == "queued"


def test_an_automatic_mail_from_there_lifts_nothing(desk, mail):
    returned(desk, mail)
    desk.put(mail("m2", "Automatic reply: x", "away", Auto_Submitted="auto-replied"), later=1)
    desk.triage()
    assert marked(desk)


def test_a_delay_marks_nothing(desk, mail):
    told = returned(desk, mail, status="4.4.1", action="delayed")
    assert not marked(desk)
    assert desk.store.read(lambda tx: outbox.find(tx, told.id)).bounced_at is not None


def test_a_report_without_our_token_changes_nothing(desk, mail):
    desk.put(mail())
    desk.triage()
    desk.act("reply", desk.tickets()[0].number, "Is it plugged in?")
    before, told = desk.tickets(), desk.outbox("reply")[-1]
    token = mint_verp(desk.keys, told.id)
    forged = ("a" if token[-1] != "a" else "b").join((token[:-1], ""))
    for recipient in ("help@corp.example", f"bounces+{forged}@corp.example"):
        desk.put(bounce(), sender="", to=(recipient,), later=1)
    desk.triage()
    assert not marked(desk)
    assert desk.tickets() == before
    assert desk.store.read(lambda tx: outbox.find(tx, told.id)).bounced_at is None


def test_the_desks_own_addresses_are_never_marked(desk, mail):
    desk.put(mail())
    desk.triage()
    (told,) = desk.outbox("team_new")
    come_back(desk, told, recipient=told.recipient)
    assert not desk.store.read(lambda tx: undeliverable.among(tx, [told.recipient]))
    assert desk.entries(desk.tickets()[0])[-1].note.startswith("A mail of ours could not be delivered.")
