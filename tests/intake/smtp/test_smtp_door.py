"""The SMTP door over a real socket: what it takes, what it refuses, and with which codes."""

import asyncio
import contextlib
import smtplib
import socket
import ssl
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop

from intake.accept import Acceptor
from intake.settings import SmtpLogin, SmtpSettings
from intake.smtp.door import SmtpDoor
from intake.smtp.policy import policy_of
from intake.smtp.session import Session
from itsm.errors import Transient
from itsm.service import Desk, Team
from store import inbox
from store.settings import StoreSettings
from store.store import Store

NOW = datetime(2026, 3, 23, 10, 30, tzinfo=UTC)
CERTIFICATE = str(Path(__file__).parents[2] / "notifier" / "relay.pem")
DESK = Desk(address="help@corp.example", domain="corp.example", teams=(Team(key="net", name="Net", addresses=("net@corp.example",)),))


class Door:
    """A door on a loop of its own thread, with its store."""

    def __init__(self, folder, new_loop=uvloop.new_event_loop, **settings):
        self.store = Store(StoreSettings(path=str(folder)), clock=lambda: NOW)
        self.settings = SmtpSettings(**({"listen": "127.0.0.1:0"} | settings))
        self.acceptor = Acceptor(self.store, wake=lambda: None, pending_limit=1000, minimum_free_bytes=0)
        self.loop = new_loop()  # the daemon's
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.clients = []
        passwords = {each.name: "secret" for each in self.settings.login}
        self.door = SmtpDoor(
            self.settings, self.acceptor, policy=lambda: policy_of(self.settings, DESK, passwords), domain=DESK.domain, clock=lambda: NOW
        )
        self.run(self.door.start())

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def client(self):
        return smtplib.SMTP("127.0.0.1", self.door.port, local_hostname="client.example", timeout=60)

    def raw(self):
        self.clients.append(Raw(self.door.port))
        return self.clients[-1]

    def stored(self):
        rows = self.store.read(lambda tx: inbox.listed(tx, inbox.PENDING))
        bodies = self.store.read(lambda tx: inbox.raw_bytes(tx, [row.envelope.id for row in rows]))
        return [(row.envelope, bodies[row.envelope.id]) for row in reversed(rows)]

    def close(self):
        for client in self.clients:
            client.file.close()
            client.socket.close()
        self.run(self.door.stop())
        self.run(asyncio.sleep(0.01))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.store.close()


class Raw:
    """A client that says exactly the bytes it is told."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply()

    def reply(self):
        while True:
            line = self.file.readline()
            if line[3:4] != b"-":
                return line.decode().strip()

    def lines(self, command):
        """All lines of a reply."""
        self.socket.sendall(command.encode() + b"\r\n")
        lines = [self.file.readline().decode()]
        while lines[-1][3] == "-":
            lines.append(self.file.readline().decode())
        return "".join(lines)

    def secure(self):
        """Go on in TLS; who the server is does not matter here."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.file.close()
        self.socket = context.wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")

    def until_closed(self):
        """Until the server has closed."""
        with contextlib.suppress(OSError):
            while self.socket.recv(4096):
                pass

    def say(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode() + b"\r\n")
        return self.reply()

    def until_data(self, sender="a@x.example"):
        self.say("EHLO client.example")
        self.say(f"MAIL FROM:<{sender}>")
        self.say("RCPT TO:<help@localhost>")
        return self.say("DATA")


@pytest.fixture
def make_door(tmp_path):
    made = []

    def make(**settings):
        made.append(Door(tmp_path / f"var{len(made)}", **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def door(make_door):
    return make_door()


def test_a_mail_is_stored_before_it_is_acknowledged(door):
    with door.client() as client:
        client.sendmail("ana@x.example", ["help@localhost", "net@corp.example"], b"Message-ID: <a@x>\r\nSubject: hi\r\n\r\n.dot\r\nlast.")
    ((envelope, body),) = door.stored()
    assert (envelope.reverse_path, envelope.forward_paths) == ("ana@x.example", ("help@localhost", "net@corp.example"))
    assert (envelope.message_id, envelope.peer, envelope.channel.value) == ("a@x", "127.0.0.1", "smtp")
    assert body.startswith(b"Return-Path: <ana@x.example>\r\nReceived: from client.example ([127.0.0.1])\r\n")
    assert body.endswith(b"\r\n\r\n.dot\r\nlast.\r\n")


def test_the_greeting_offers_what_we_do(door):
    with door.client() as client:
        words = client.ehlo()[1].decode().split("\n")
    assert words == ["corp.example", "SIZE 26214400", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES", "HELP"]


@pytest.mark.parametrize(
    ("recipient", "code"),
    [("<help@corp.example>", 250), ("<HELP@Corp.example>", 250), ("<any@localhost>", 250), ("<postmaster>", 250), ("<Postmaster@corp.example>", 250),
     ("<bounces+abc@corp.example>", 250), ("<x@corp.example>", 550), ("<x@gmail.example>", 550), ("<postmaster@gmail.example>", 550),
     ("<@relay:x@gmail.example>", 550), ('<"a b"@localhost>', 250), ("<a@b@c>", 553), ("<>", 550), ("<a b@localhost>", 250), ("<(((((((@localhost>", 553)],
)  # fmt: skip
def test_only_our_own_recipients_are_taken(door, recipient, code):
    client = door.raw()
    client.say("EHLO c")
    client.say("MAIL FROM:<>")
    assert client.say(f"RCPT TO:{recipient}").startswith(str(code))


def test_the_null_reverse_path_is_empty(door):
    client = door.raw()
    client.say("EHLO c")
    assert client.say("MAIL FROM:<>") == "250 2.0.0 OK"
    client.say("RCPT TO:<help@localhost>")
    client.say("DATA")
    assert client.say(b"Subject: x\r\n\r\nx\r\n.\r\n").startswith("250 2.0.0 accepted as in-")
    assert door.stored()[0][0].reverse_path == ""


SMUGGLED = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\n.\r",
    b"\r.\n",
    b"\x00\r\n.\r\n\x00".replace(b"\r\n", b"\n"),
]


@pytest.mark.parametrize("end", SMUGGLED)
def test_no_variant_of_an_end_of_data_smuggles_a_second_mail(door, end):
    client = door.raw()
    assert client.until_data().startswith("354")
    second = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<help@localhost>\r\nDATA\r\nevil\r\n.\r\n"
    reply = client.say(b"Subject: one\r\n\r\nbody" + end + second)
    assert reply.startswith("550 5.6.11")
    assert door.stored() == []


def reference(stream):
    """A plain line reader: what a mail is, by RFC 5321 4.1.1.4 and 4.5.2."""
    lines, rest = [], stream
    while True:
        line, found, rest = rest.partition(b"\r\n")
        if not found:
            return None
        if line == b".":
            return b"".join(each + b"\r\n" for each in lines)
        lines.append(line[1:] if line.startswith(b".") else line)


@pytest.mark.parametrize("body", [b"Subject: x\r\n\r\na.\r\n..b\r\n...\r\nend..\r\n", b"", b".\r\n".replace(b".", b".."), b"x: y\r\n\r\n"])
def test_the_block_reader_answers_like_a_line_reader_wherever_the_bytes_are_cut(door, body):
    stream = body + b".\r\n"
    expected = reference(stream)
    for cut in range(len(stream) + 1):
        client = door.raw()
        client.until_data()
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.socket.sendall(stream[:cut])
        time.sleep(0.002)
        client.socket.sendall(stream[cut:])
        assert client.reply().startswith("250")
        client.socket.close()
    stored = door.stored()
    assert len(stored) == min(len(stream) + 1, 50)
    for _, raw in stored:
        assert raw.partition(b"+0000\r\n")[2] == expected


def test_a_listed_network_has_its_newlines_mended(make_door):
    door = make_door(normalise_newlines_from=("127.0.0.0/8",))
    client = door.raw()
    client.until_data()
    assert client.say(b"Subject: x\n\nhi\rthere\r\n.\r\n").startswith("250")
    assert door.stored()[0][1].endswith(b"Subject: x\r\n\r\nhi\r\nthere\r\n")


def test_a_mail_that_goes_in_a_circle_is_refused(door):
    client = door.raw()
    client.until_data()
    assert client.say(b"Received: x\r\n" * 100 + b"\r\nx\r\n.\r\n").startswith("554 5.4.6")


def test_too_large_a_mail_is_refused_and_the_session_goes_on(make_door):
    door = make_door(message_limit_bytes=2000)
    client = door.raw()
    client.say("EHLO c")
    assert client.say("MAIL FROM:<a@x> SIZE=2001").startswith("552 5.3.4")
    client.say("MAIL FROM:<a@x>")
    client.say("RCPT TO:<help@localhost>")
    client.say("DATA")
    assert client.say(b"x" * 200_000 + b"\r\n.\r\n").startswith("552 5.3.4")
    client.say("MAIL FROM:<a@x>")
    client.say("RCPT TO:<help@localhost>")
    client.say("DATA")
    assert client.say(b"y" * 1990 + b"\r\n.\r\n").startswith("250")


def test_lines_may_be_as_long_as_the_mail(door):
    client = door.raw()
    client.until_data()
    assert client.say(b"Subject: x\r\n\r\n" + b"y" * 300_000 + b"\r\n.\r\n").startswith("250")
    assert len(door.stored()[0][1]) > 300_000


def test_recipients_are_counted(make_door):
    door = make_door(recipient_limit=2)
    client = door.raw()
    client.say("EHLO c")
    client.say("MAIL FROM:<a@x>")
    assert [client.say("RCPT TO:<help@localhost>")[:9] for _ in range(3)] == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]


def test_connections_are_counted_and_given_back(make_door):
    door = make_door(connection_limit_per_address=2)
    first, second = door.raw(), door.raw()
    assert door.raw().greeting.startswith("421 4.7.0 too many connections")
    first.say("QUIT")
    first.socket.close()
    deadline = time.monotonic() + 60
    while not (again := door.raw()).greeting.startswith("220"):
        assert time.monotonic() < deadline
    assert second.say("NOOP").startswith("250")
    again.socket.close()


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_one_connection_too_many_is_told_so_and_closed_whichever_the_loop(make_door, new_loop):
    door = make_door(new_loop=new_loop, connection_limit=1)
    door.raw().say("NOOP")
    refused = door.raw()
    assert refused.greeting.startswith("421 4.7.0 too many connections")
    assert refused.file.readline() == b"", "it is not left open, uncounted and without a deadline"


def test_commands_sent_behind_the_last_allowed_error_are_not_obeyed(make_door):
    client = make_door(error_limit=3).raw()
    client.socket.sendall(b"EHLO c\r\n" + b"BOGUS\r\n" * 3 + b"NOOP\r\n" * 50)
    replies = client.file.read().decode().splitlines()
    assert replies[-1] == "421 4.7.0 too many errors, goodbye"


def test_a_command_may_be_given_so_often_by_the_short_way_too(make_door):
    client = make_door(command_limit=10).raw()
    client.say("EHLO c")
    client.say("MAIL FROM:<a@x.example>")
    assert [client.say("RCPT TO:<help@localhost>")[:3] for _ in range(11)] == ["250"] * 10 + ["421"]


def test_a_command_of_many_blocks_is_skipped_whole(door):
    client = door.raw()
    assert client.say(b"NOOP " + b"x" * 300_000 + b"\r\n") == "500 5.5.2 the command is too long"
    assert client.say("NOOP").startswith("250")


def test_the_room_of_mail_from_does_not_grow_with_the_greetings_of_others(door):
    for _ in range(30):
        door.raw().say("EHLO c")
    client = door.raw()
    client.say("EHLO c")
    assert client.say("MAIL FROM:<a@x.example> " + "X" * 600) == "500 5.5.2 the command is too long"


def test_an_error_of_ours_is_try_later_and_tells_nothing_of_itself(door):
    async def broken(_arrival):
        raise ZeroDivisionError("secret")

    door.acceptor.accept = broken
    client = door.raw()
    client.until_data()
    assert client.say(b"Subject: x\r\n\r\nx\r\n.\r\n") == "451 4.3.0 an error of ours, try again later"
    assert client.say("NOOP").startswith("250")


def test_what_was_said_before_the_tls_handshake_is_forgotten(make_door):
    """A02: commands sent in one segment with STARTTLS are no commands of the protected session."""
    door = make_door(tls_certificate_file=CERTIFICATE, tls_key_file=CERTIFICATE)
    client = door.raw()
    assert "STARTTLS" in client.lines("EHLO c")
    client.socket.sendall(b"STARTTLS\r\nMAIL FROM:<evil@x.example>\r\nRCPT TO:<help@localhost>\r\n")
    assert client.reply().startswith("220")
    client.secure()
    assert client.say("MAIL FROM:<a@x.example>").startswith("503"), "the greeting is forgotten as well (RFC 3207 4.2)"
    assert "STARTTLS" not in client.lines("EHLO c")
    assert client.say("RCPT TO:<help@localhost>").startswith("503"), "the MAIL FROM before it is forgotten"
    client.say("MAIL FROM:<ana@x.example>")
    client.say("RCPT TO:<net@corp.example>")
    client.say("DATA")
    assert client.say(b"Subject: x\r\n\r\nx\r\n.\r\n").startswith("250")
    ((envelope, body),) = door.stored()
    assert (envelope.reverse_path, envelope.forward_paths) == ("ana@x.example", ("net@corp.example",))
    assert b"with ESMTPS;" in body


def test_a_server_that_remembers_them_would_obey_them(make_door, monkeypatch):
    """The same with the defence switched off."""
    made = Session.connection_made

    def remembering(session, transport):
        said = bytes(session._reader._buffer) if session.transport is not None else b""
        made(session, transport)
        if said:
            session._reader._buffer[:] = said

    monkeypatch.setattr(Session, "connection_made", remembering)
    client = make_door(tls_certificate_file=CERTIFICATE, tls_key_file=CERTIFICATE).raw()
    client.say("EHLO c")
    client.socket.sendall(b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@x.example>\r\n")
    client.reply()
    client.secure()
    assert client.say("RCPT TO:<help@localhost>") == "250 HELP", "the greeting of before, answered under protection"
    assert [client.reply(), client.reply()] == ["250 2.0.0 OK", "250 2.1.5 OK"], "and the sender of before is the protected one's"


def test_a_failed_tls_handshake_gives_its_place_back_once(make_door):
    door = make_door(tls_certificate_file=CERTIFICATE, tls_key_file=CERTIFICATE, connection_limit=1)
    client = door.raw()
    client.say("EHLO c")
    assert client.say("STARTTLS").startswith("220")
    client.socket.sendall(b"this is no handshake\r\n" * 10)
    client.until_closed()
    deadline = time.monotonic() + 60
    while (again := door.raw()).greeting[:3] != "220":
        assert time.monotonic() < deadline
    assert door.raw().greeting.startswith("421"), "one place, not two"
    assert again.say("NOOP").startswith("250")


def test_too_many_errors_end_the_session(make_door):
    client = make_door(error_limit=3).raw()
    client.say("EHLO c")
    for _ in range(3):
        client.say("BOGUS")
    assert client.reply().startswith("421 4.7.0 too many errors")
    assert client.file.readline() == b""


def test_a_session_ends_at_its_absolute_deadline_whatever_the_client_does(make_door):
    client = make_door(session_limit_seconds=0.4).raw()
    client.say("EHLO c")
    replies = []
    while not replies or not replies[-1].startswith("421"):
        replies.append(client.say("NOOP"))
        time.sleep(0.05)
    assert replies[-1] == "421 4.4.2 the session took too long, goodbye"


def test_a_client_that_dribbles_during_data_is_cut_off(make_door):
    door = make_door(minimum_rate_bytes=65_536 * 4)
    client = door.raw()
    client.until_data()
    with pytest.raises(OSError):  # noqa: PT012 -- whichever send meets the closed connection
        while True:
            client.socket.sendall(b"x")
            if client.socket.recv(1) == b"":
                raise ConnectionResetError
    assert door.stored() == []


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(door):
    client = door.raw()
    client.until_data()
    client.socket.sendall(b"Subject: x\r\n\r\nhalf")
    client.socket.close()
    other = door.raw()
    other.say("NOOP")
    assert door.stored() == []


def test_when_the_store_cannot_keep_it_the_answer_is_try_later(door):
    for error, code in ((Transient("busy"), "451 4.3.0"), (Transient("full", enhanced="4.3.1"), "452 4.3.1")):
        door.acceptor.closed_because = error
        client = door.raw()
        client.until_data()
        assert client.say(b"x\r\n.\r\n").startswith(code)


def test_commands_out_of_order_and_unknown_ones_get_enhanced_codes(door):
    client = door.raw()
    assert client.say("MAIL FROM:<a@x>").startswith("503 5.5.1")
    client.say("HELO c")
    assert client.say("DATA").startswith("503 5.5.1")
    client.say("MAIL FROM:<a@x>")
    assert client.say("DATA").startswith("503 5.5.1")
    client.say("RCPT TO:<help@localhost>")
    assert client.say("DATA now").startswith("501 5.5.4")
    assert client.say("EXPN list").startswith("502 5.5.1")
    assert client.say("VRFY ana").startswith("252 2.5.0")
    assert client.say("MAIL FROM:" + "x" * 600).startswith("500 5.5.2")
    assert client.say(b"\xff\xfe\r\n").startswith("500")
    assert client.say("QUIT").startswith("221 2.0.0")


def test_a_login_marks_the_mail_and_a_wrong_password_does_not(make_door):
    door = make_door(login=(SmtpLogin(name="app", password_file="x", senders=("ana@x.example",)),))
    with door.client() as client:
        client.ehlo()
        assert client.has_extn("auth")
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("app", "wrong")
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("nobody", "")
        client.login("app", "secret")
        client.sendmail("ana@x.example", ["help@localhost"], b"Subject: x\r\n\r\nx")
    assert door.stored()[0][0].login == "app"


def test_without_logins_auth_is_not_offered(door):
    client = door.raw()
    client.say("EHLO c")
    assert client.say("AUTH PLAIN AGEAYg==")[0] == "5"
