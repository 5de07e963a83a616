"""A03 to A07: what a stranger writes into a mail or an address is data, never a header, a command, or a word that is believed."""

import email
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imapclient.imapclient
import msgspec
import pytest

from casework import load as loading
from intake.imap.connection import Pipe
from intake.imap.session import Session
from intake.imap.settings import Mailbox
from intake.mail import addresses as reader
from intake.mail.parse import parse_mail
from itsm.envelope import Channel, Envelope, Outcome
from itsm.errors import Transient
from itsm.signal import UserMessage
from itsm.token import mint_mark
from notifier import mailbox as sending
from notifier.compose import compose
from notifier.mailbox import NoMailbox, path_of
from rules import authentication
from rules.authentication import TrustSettings, trust_of
from tests.casework.desks import TestDesk
from tests.intake.imap.fake import FakeImap
from tests.notifier.test_compose import draft
from tests.rules.worlds import envelope

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])
TOP = b"From: Ana <ana@corp.example>\r\nTo: help@corp.example\r\nSubject: Printer\r\nMessage-ID: <1@corp.example>\r\n"


def message_of(raw: bytes) -> UserMessage:
    parsed = parse_mail(raw)
    assert isinstance(parsed, UserMessage)
    return parsed


LINES = ["x\r\nBcc: evil@x.example", "x\nBcc: evil@x.example", "x\rBcc: evil@x.example", "x\r\n\tfolded\r\nBcc: evil@x.example"]
FIELDS = {"subject": "Subject", "recipient_name": "To", "desk_name": "From", "loop_mark": "X-Triaged-Loop", "in_reply_to": "In-Reply-To"}


@WITH_AND_WITHOUT
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("line", LINES)
def test_a_line_end_in_what_people_write_begins_no_header(line: str, field: str, defended: bool) -> None:
    """Switched off, the field is written by hand. The property over any text is in `tests/notifier/test_compose.py`."""
    told: dict[str, Any] = {field: line}
    raw = compose(draft(**told)) if defended else f"{FIELDS[field]}: {line}\r\n\r\nhi\r\n".encode()
    assert ("Bcc" not in email.message_from_bytes(raw)) is defended


TWO_WAYS = [
    "a@good.example]<b@evil.example>", "a@good.example] <b@evil.example>", "<a@good.example> b@evil.example", "a@good.example [x] <b@evil.example>",
    "a@good.example\\ <b@evil.example>", "x@y> <b@evil.example>",
]  # fmt: skip


@WITH_AND_WITHOUT
@pytest.mark.parametrize("written", TWO_WAYS)
def test_a_from_that_two_programs_read_in_two_ways_names_nobody(written: str, monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    if not defended:
        monkeypatch.setattr(reader._Reader, "flush", _first_that_can_be_read)
    mail = message_of(b"From: " + written.encode() + b"\r\nSubject: x\r\n\r\nhi\r\n")
    assert (mail.sender is None) is defended
    assert ("From can be read in two ways" in mail.defects) is defended


def _first_that_can_be_read(self: Any) -> None:
    """What a tolerant reader does: of several readings it takes one."""
    for text in (*self.angles, *"".join(self.words).split()):
        spec = reader.addr_spec(text.strip("]<>[\\"))
        if spec is not None:
            self.found.append(reader.Address(name="", address=spec))
            break
    self._begin()


COMMANDS = [
    "a@x.example>\r\nRCPT TO:<evil@x.example",
    "a@x.example\nDATA",
    "a$(id)@x.example;id",
    "a@x.example' --",
    "a b@x.example",
    "<a@x.example>",
]


@WITH_AND_WITHOUT
@pytest.mark.parametrize("address", COMMANDS)
def test_an_address_is_no_command_of_smtp(address: str, monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    if not defended:
        monkeypatch.setattr(sending, "_LOCAL", Anything())
        monkeypatch.setattr(sending, "_DOMAIN", Anything())
    try:
        path = path_of(address)
    except NoMailbox:
        path = ""
    assert (path == "") is defended


class Anything:
    """A pattern that takes everything."""

    def fullmatch(self, _text: str) -> bool:
        return True


FOLDERS = ["INBOX\r\nX LOGOUT", 'IN"BOX\r\nX DELETE "INBOX', "a\nb {5}"]


@WITH_AND_WITHOUT
@pytest.mark.parametrize("folder", FOLDERS)
def test_the_name_of_a_folder_is_no_command_of_imap(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    if not defended:
        monkeypatch.setattr(imapclient.imapclient, "encode_utf7", lambda text: text.encode() if isinstance(text, str) else text)
        monkeypatch.setattr(imapclient.imapclient.IMAPClient, "_normalise_folder", lambda _self, name: b'"' + name.encode() + b'"')
    password = tmp_path / "password"
    password.write_text("secret\n")
    server = FakeImap()
    mailbox = Mailbox(
        name="desk", host="127.0.0.1", port=server.port, tls="none", login="help@corp.example", password_file=str(password),
        connect_timeout_seconds=10.0, command_timeout_seconds=10.0,
    )  # fmt: skip
    session = Session(mailbox, bearer=None, pipe=Pipe())
    try:
        session.select(folder)
    except Transient:  # the server's answers fit no more
        pass
    finally:
        session.close()
        server.close()
    extra = [each for each in server.commands if each not in {b"CAPABILITY", b"LOGIN", b"SELECT", b"EXAMINE", b"STATUS", b"LOGOUT", b"ID"}]
    assert (extra == [] and server.commands.count(b"SELECT") + server.commands.count(b"EXAMINE") == 1) is defended


# What other programs take orders from: RT's list (CVE-2023-41259) and OTOBO's, under their prefixes and ours.
ORDERS = [
    "{}-Status: resolved", "{}-Queue: root", "{}-Owner: evil", "{}-Priority: 1", "{}-State: closed", "{}-Type: change", "{}-Lock: lock",
    "{}-SenderType: agent", "{}-Ignore: yes", "{}-TicketNumber: 1001", "{}-DetectAuto-Generated: 0", "{}-Privacy: PGP", "{}-Encrypt: 1", "{}-Sign: 1",
    "{}-Ticket: corp.example #1001", "{}-Incoming-Encryption: Success", "{}-Trust: 3", "{}-Role: admin",
]  # fmt: skip
PREFIXES = ["X-RT", "RT", "X-OTRS", "X-OTOBO", "X-Triaged", "Triaged"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_no_field_of_a_mail_is_an_order(desk: TestDesk, prefix: str) -> None:
    fields = "".join(each.format(prefix) + "\r\n" for each in ORDERS).encode()
    plain, ordered = message_of(TOP + b"\r\nhi\r\n"), message_of(TOP + fields + b"\r\nhi\r\n")
    assert ordered == plain, "nothing of them is even read"
    desk.put(TOP + fields + b"\r\nhi\r\n", sender="evil@x.example")
    desk.triage()
    (ticket,) = desk.tickets()
    assert (ticket.state.value, ticket.team, ticket.assignee, ticket.type.value) == ("new", "desk", "", "incident")


@WITH_AND_WITHOUT
def test_the_one_field_of_ours_counts_only_under_our_mac(desk: TestDesk, monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    if not defended:
        monkeypatch.setattr(loading, "is_our_mark", lambda _keys, value: bool(value))
    forged = mint_mark(((1, b"a secret that is not ours"),), "1@corp.example")
    where = desk.put(TOP + f"X-Triaged-Loop: {forged}\r\n\r\nhi\r\n".encode())
    desk.triage()
    (part,) = desk.parts(where)
    assert (part.outcome is Outcome.CREATED) is defended, "else anybody could have mail of others passed over"


SAID = b"dmarc=pass header.from=corp.example"
LISTED = TrustSettings(authserv_ids=("mx.corp.example",), handed_over_from=("192.0.2.1",))
EVERYWHERE = TrustSettings(authserv_ids=("mx.corp.example", "mx.evil.example"), handed_over_from=("0.0.0.0/0", "::/0"))
FIELD = b"Authentication-Results: "


class Placement(msgspec.Struct, frozen=True):
    """Where a forger puts the result; `off` switches off what stands against it."""

    fields: bytes
    where: Envelope
    off: Callable[[pytest.MonkeyPatch], TrustSettings]


def wide(_patch: pytest.MonkeyPatch) -> TrustSettings:
    """Everybody is listed."""
    return EVERYWHERE


def any_field(patch: pytest.MonkeyPatch) -> TrustSettings:
    """Any of the fields counts, not the topmost alone."""
    one = authentication._by_results
    patch.setattr(
        authentication, "_by_results", lambda _field, *more: max((one(each, *more) for each in ALL), key=lambda found: found.level)
    )
    return LISTED


def naive(patch: pytest.MonkeyPatch) -> TrustSettings:
    """Comments and quoted strings are cut at their semicolons as well, and their signs dropped."""
    plain = str.maketrans(dict.fromkeys('()"'))
    patch.setattr(authentication, "_segments", lambda field: field.translate(plain).split(";"))
    return LISTED


def unaligned(patch: pytest.MonkeyPatch) -> TrustSettings:
    """A pass for any domain counts."""
    patch.setattr(authentication, "_dmarc", lambda segment, _domain: iter([True] if "dmarc=pass" in segment else []))
    return LISTED


def any_result(patch: pytest.MonkeyPatch) -> TrustSettings:
    """One pass is enough, whatever the other results say."""
    one = authentication._dmarc
    patch.setattr(authentication, "_dmarc", lambda segment, domain: (passed for passed in one(segment, domain) if passed))
    return LISTED


ALL: list[str] = []
HOST, STRANGER = envelope(), envelope(peer="203.0.113.9")
PLACEMENTS = {
    "written by the sender, brought by a stranger": Placement(FIELD + b"mx.corp.example; " + SAID, STRANGER, wide),
    "brought by a stranger over IPv6": Placement(FIELD + b"mx.corp.example; " + SAID, envelope(peer="2001:db8::9"), wide),
    "under an authserv-id of the sender's": Placement(FIELD + b"mx.evil.example; " + SAID, HOST, wide),
    "below the field of our host": Placement(FIELD + b"mx.corp.example; dmarc=fail header.from=corp.example\r\n" + FIELD + b"mx.corp.example; " + SAID, HOST, any_field),
    "below a field of our host that says nothing": Placement(FIELD + b"mx.corp.example; none\r\n" + FIELD + b"mx.corp.example; " + SAID, HOST, any_field),
    "below the field of another host": Placement(FIELD + b"mx.other.example; none\r\n" + FIELD + b"mx.corp.example; " + SAID, HOST, any_field),
    "in a comment": Placement(FIELD + b"mx.corp.example; spf=pass (; " + SAID + b";)", HOST, naive),
    "in a local-part that is quoted": Placement(FIELD + b'mx.corp.example; spf=pass smtp.mailfrom="; ' + SAID + b'; "@evil.example', HOST, naive),
    "behind a folded comment": Placement(FIELD + b"mx.corp.example; dkim=pass (\r\n ; " + SAID + b" ;\r\n )", HOST, naive),
    "for another domain": Placement(FIELD + b"mx.corp.example; dmarc=pass header.from=evil.example", HOST, unaligned),
    "for a domain that only ends alike": Placement(FIELD + b"mx.corp.example; dmarc=pass header.from=xcorp.example", HOST, unaligned),
    "beside a result that failed": Placement(FIELD + b"mx.corp.example; dmarc=fail header.from=corp.example; " + SAID, HOST, any_result),
}  # fmt: skip


@WITH_AND_WITHOUT
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_forged_authentication_result_is_believed_nowhere(placement: str, monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    told = PLACEMENTS[placement]
    mail = message_of(told.fields + b"\r\n" + TOP + b"\r\nhi\r\n")
    ALL[:] = mail.authentication
    settings = LISTED if defended else told.off(monkeypatch)
    assert (trust_of(mail, told.where, settings).level == 0) is defended


def test_the_same_result_in_its_place_is_believed() -> None:
    mail = message_of(FIELD + b"mx.corp.example; " + SAID + b"\r\n" + TOP + b"\r\nhi\r\n")
    assert trust_of(mail, HOST, LISTED).level == 1
    assert trust_of(mail, envelope(channel=Channel.IMAP, peer=""), LISTED).level == 1
