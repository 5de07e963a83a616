"""AUTH XOAUTH2 at the relay: over TLS only, a refused token is told, no token means nothing is claimed."""

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from itsm.errors import Transient
from notifier.relay import Relay
from notifier.settings import RelaySettings
from prove.ports import free_ports

CERTIFICATE = Path(__file__).with_name("relay.pem")


class Holder:
    """Gives the token it is told to give."""

    def __init__(self, token: str) -> None:
        self.given, self.was_refused = token, []

    def token(self) -> str:
        if not self.given:
            raise Transient("no token for 'm365'")
        return self.given

    def refused(self, token: str) -> None:
        self.was_refused.append(token)


class Takes:
    """A relay that lets one token in."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append(envelope.content)
        return "250 2.0.0 taken"

    async def auth_XOAUTH2(self, server: Any, arguments: list[str]) -> AuthResult:
        words = base64.b64decode(arguments[1]).decode()
        if words == "user=help@corp.example\1auth=Bearer good\1\1":
            return AuthResult(success=True)
        answer = await server.challenge_auth(b'{"status":"401"}')
        assert answer == b"", answer
        return AuthResult(success=False, handled=False)


@pytest.fixture
def relay() -> Iterator[tuple[Takes, int]]:
    handler = Takes()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    controller = Controller(handler, hostname="127.0.0.1", port=free_ports(1)[0], tls_context=context, auth_require_tls=True)
    controller.start()
    try:
        yield handler, controller.port
    finally:
        controller.stop()


def made(port: int, holder: Holder, **more: Any) -> Relay:
    settings = RelaySettings(
        **(
            {
                "host": "localhost",
                "port": port,
                "tls": "starttls",
                "ca_file": str(CERTIFICATE),
                "login": "help@corp.example",
                "oauth": "m365",
            }
            | more
        )
    )
    return Relay(settings, local_hostname="corp.example", bearer=holder)


def test_a_token_takes_the_place_of_the_password(relay: tuple[Takes, int]) -> None:
    handler, port = relay
    sender = made(port, Holder("good"))
    assert sender.ready() is None
    assert "Delivered" in type(sender.submit("n", "a@corp.example", "b@example.com", b"Subject: x\r\n\r\nx\r\n")).__name__
    sender.close()
    assert len(handler.mails) == 1


def test_a_token_that_is_refused_is_told_so_that_the_next_is_fresh(relay: tuple[Takes, int]) -> None:
    holder = Holder("old")
    sender = made(relay[1], holder)
    assert "535" in (sender.ready() or "")
    assert holder.was_refused == ["old"]
    holder.given = "good"
    assert sender.ready() is None
    sender.close()


def test_without_a_token_nothing_is_claimed(relay: tuple[Takes, int]) -> None:
    assert "no token" in (made(relay[1], Holder("")).ready() or "")


def test_a_token_never_goes_in_the_clear(relay: tuple[Takes, int]) -> None:
    assert "without TLS" in (made(relay[1], Holder("good"), tls="none").ready() or "")
