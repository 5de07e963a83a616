"""Mails by SMTP: clients that wait for every answer, and cost the machine little, for they share it with the server."""

import asyncio
from collections.abc import Iterator
from typing import cast

COMMANDS = (b"MAIL FROM:<a@x.example>\r\n", b"RCPT TO:<help@localhost>\r\n", b"DATA\r\n")


def dialogue(count: int, body: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    """What to say and the code expected for it; each mail has a Message-ID of its own."""
    yield b"EHLO bench\r\n", b"250"
    for index in range(count):
        yield from zip(COMMANDS, (b"250", b"250", b"354"), strict=True)
        head = f"From: {name}{index}@x.example\r\nTo: help@localhost\r\nSubject: it is broken\r\nMessage-ID: <{name}.{index}@x>\r\n\r\n"
        yield head.encode() + body + b"\r\n.\r\n", b"250"
    yield b"QUIT\r\n", b"221"


class _Client(asyncio.Protocol):
    """Says the next line as soon as the last answer is complete."""

    def __init__(self, says: Iterator[tuple[bytes, bytes]], done: asyncio.Future[None]) -> None:
        self._says, self._done = says, done
        self._expected, self._answer = b"220", b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._answer += data
        last = self._answer.rfind(b"\n", 0, -1) + 1
        if not self._answer.endswith(b"\n") or self._answer[last + 3 : last + 4] == b"-":
            return
        answer, self._answer = self._answer[last:], b""
        assert self._transport is not None
        if not answer.startswith(self._expected):
            self._end(RuntimeError(f"expected {self._expected!r}, got {answer!r}"))
        elif self._expected == b"221":
            self._end(None)
        else:
            said, self._expected = next(self._says)
            self._transport.write(said)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or RuntimeError("the server closed the connection"))

    def _end(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._transport.close()
        if not self._done.done():
            self._done.set_exception(error) if error else self._done.set_result(None)


async def smtp_client(port: int, count: int, body: bytes, name: str) -> None:
    """Send `count` mails on one connection, one command at a time."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    await loop.create_connection(lambda: _Client(dialogue(count, body, name), done), "127.0.0.1", port)
    await done
