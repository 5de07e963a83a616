"""The relay as a script: an SMTP peer in this process that takes, refuses, stalls and cuts as the seed says."""

import hashlib
import re
import smtplib
import socket
from collections import defaultdict
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from prove.simulation.loop import VirtualLoop

MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^>]+)>", re.IGNORECASE | re.MULTILINE)


class Copy(msgspec.Struct, kw_only=True):
    """A mail the relay took. `answered` tells whether the yes was heard; `life` in which life of the daemon it was taken."""

    message_id: str
    recipient: str
    reverse_path: str
    sha256: str
    life: int
    answered: bool


class ScriptedRelay:
    """Outlives the daemon. `trouble` is the chance that something goes wrong with a command."""

    def __init__(self, chance: Random) -> None:
        """In good health."""
        self._chance = chance
        self.trouble = 0.0
        self.down = False
        self.turned_away = False  # somebody asked while it was down
        self.life = 0
        self.copies: dict[str, list[Copy]] = defaultdict(list)
        self.on_copy: Callable[[Copy, bytes], None] = lambda _copy, _body: None
        self.loop: VirtualLoop | None = None
        self.connections: list[Peer] = []

    def connect(self, host: str, port: int, hostname: str, *, timeout: float) -> smtplib.SMTP:
        """What the product calls in the place of smtplib.SMTP."""
        relay = self

        class _Client(smtplib.SMTP):
            def _get_socket(self, host: str, port: int, timeout: float) -> Any:
                return relay._open(timeout)

        return _Client(host, port, hostname, timeout=timeout)

    def _open(self, timeout: float) -> "Peer":
        self.take_time(self._chance.uniform(0.001, 0.05))
        self.turned_away = self.down
        if self.down or self._chance.random() < self.trouble * 0.1:
            if self._chance.random() < 0.2:
                self.take_time(timeout)
                raise TimeoutError("timed out")
            raise ConnectionRefusedError("Connection refused")
        return Peer(self, self._chance)

    def take_time(self, seconds: float) -> None:
        """The caller's thread waits."""
        if self.loop is not None:
            self.loop.takes(seconds)

    def take(self, peer: "Peer", body: bytes, *, answered: bool) -> None:
        """A mail is ours now, whether or not anybody hears so."""
        found = MESSAGE_ID.search(body)
        copy = Copy(
            message_id=found.group(1).decode() if found else "",
            recipient=peer.recipient,
            reverse_path=peer.reverse_path,
            sha256=hashlib.sha256(body).hexdigest(),
            life=self.life,
            answered=answered,
        )
        self.copies[copy.message_id].append(copy)
        self.on_copy(copy, body)


class Peer(socket.socket):
    """The other end of one connection. A real socket that is connected to nobody, so that cutting it is the real call."""

    def __init__(self, relay: ScriptedRelay, chance: Random) -> None:
        """Greet, or say that the service is closing."""
        super().__init__()
        self._relay, self._chance = relay, chance
        self._replies: list[bytes] = []
        self._input = b""
        self._in_data = self._dead = False
        self.reverse_path = self.recipient = ""
        self._wait = 0.0
        self._reply("421 4.3.2 closing" if self._bad(0.1) else "220 relay ESMTP")

    def _bad(self, scale: float = 1.0) -> bool:
        return self._chance.random() < self._relay.trouble * scale

    def _reply(self, text: str) -> None:
        self._replies += [line.encode() + b"\r\n" for line in text.split("\r\n")]

    def settimeout(self, value: float | None) -> None:
        """How long the client would wait."""
        self._wait = value or 0.0

    def setsockopt(self, *args: Any) -> None:
        """Nothing to set."""

    def makefile(self, *args: Any, **kwargs: Any) -> "Peer":
        """The reading side."""
        return self

    def readline(self, limit: int = -1) -> bytes:
        """The next reply; stalls and cuts happen here."""
        if self._dead or self._relay.down:
            raise ConnectionResetError("Connection reset by peer")
        if not self._replies:
            self._relay.take_time(self._wait)
            raise TimeoutError("timed out")
        self._relay.take_time(self._chance.uniform(0.0005, 0.02))
        return self._replies.pop(0)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Bytes of the client."""
        if self._dead or self._relay.down:
            raise BrokenPipeError("Broken pipe")
        self._input += bytes(data)
        while True:
            end = b"\r\n.\r\n" if self._in_data else b"\r\n"
            head, found, rest = self._input.partition(end)
            if not found:
                return
            self._input = rest
            if self._in_data:
                self._in_data = False
                self._end_of_data(head + b"\r\n")
            else:
                self._command(head.decode())

    def _command(self, line: str) -> None:
        verb, argument = line[:4].upper(), line.partition(":")[2]
        if verb == "EHLO":
            self._reply("250-relay\r\n250-SIZE 20000000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN")
        elif verb == "QUIT":
            self._reply("221 bye")
        elif verb == "RSET":
            self._stall_cut_or("250 reset", 0.05)
        elif verb == "MAIL":
            self.reverse_path = argument.partition(">")[0].lstrip("<")
            self._stall_cut_or("250 ok", 0.3)
        elif verb == "RCPT":
            self.recipient = argument.partition(">")[0].lstrip("<")
            self._stall_cut_or("250 ok", 0.5)
        elif verb == "DATA":
            self._in_data = self._stall_cut_or("354 go", 0.3)
        else:
            self._reply("500 what")

    def _stall_cut_or(self, yes: str, scale: float) -> bool:
        """Say yes, or what the seed has instead: 4xx, 5xx, closing, silence, a cut, something that is no answer."""
        if not self._bad(scale):
            self._reply(yes)
            return True
        match self._chance.choice(("4xx", "4xx", "4xx", "5xx", "421", "silence", "cut", "nonsense")):
            case "4xx":
                self._reply("451 4.3.0 not now")
            case "5xx":
                self._reply("550 5.1.1 never")
            case "421":
                self._reply("421 4.3.2 closing")
            case "cut":
                self._dead = True
            case "nonsense":
                self._reply("199 hm")
            case _:
                pass
        return False

    def _end_of_data(self, body: bytes) -> None:
        """The final dot: taken and told, taken and not told, refused, or lost."""
        self._relay.take_time(self._chance.uniform(0.001, 0.2))
        body = body.replace(b"\r\n..", b"\r\n.")
        body = body[1:] if body.startswith(b"..") else body
        if not self._bad(0.6):
            self._relay.take(self, body, answered=True)
            self._reply("250 2.0.0 taken")
            return
        match self._chance.choice(("taken and silent", "taken and cut", "silent", "cut", "4xx", "5xx")):
            case "taken and silent":
                self._relay.take(self, body, answered=False)
            case "taken and cut":
                self._relay.take(self, body, answered=False)
                self._dead = True
            case "cut":
                self._dead = True
            case "4xx":
                self._reply("452 4.3.1 full")
            case "5xx":
                self._reply("554 5.7.1 spam")
            case _:
                pass
