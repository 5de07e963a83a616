"""Clients at the real doors: an SMTP session over a transport in memory, requests to the real ASGI application."""

import asyncio
from typing import Any

from intake.smtp.door import SmtpDoor
from prove.simulation.loop import Listener

REPLY_SECONDS = 330.0


class Gone(Exception):
    """The other side closed, or said nothing for too long."""


class _Wire(asyncio.Transport):
    """What the door writes to; the client reads it line by line."""

    def __init__(self, loop: asyncio.AbstractEventLoop, peer: str) -> None:
        super().__init__({"peername": (peer, 40000), "sockname": ("127.0.0.1", 25)})
        self._loop, self._closing = loop, False
        self.protocol: Any = None
        self._line = b""
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()

    def write(self, data: Any) -> None:
        self._line += bytes(data)
        while b"\r\n" in self._line:
            line, _, self._line = self._line.partition(b"\r\n")
            self.lines.put_nowait(line)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.lines.put_nowait(b"")
            self._loop.call_soon(self.protocol.connection_lost, None)

    abort = close

    def get_protocol(self) -> Any:
        return self.protocol

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        """The client sends no more than fits."""

    def resume_reading(self) -> None:
        """As above."""

    def get_write_buffer_size(self) -> int:
        return 0


async def send_mail(door: SmtpDoor, peer: str, sender: str, recipients: tuple[str, ...], body: bytes, *, leaves_at: str = "") -> str:
    """One mail in one session; the reply to the final dot, or to what was refused before it. Raises Gone.

    `leaves_at` names where the client hangs up: "dot" without waiting for the answer, "data" in the middle of the mail.
    """
    loop = asyncio.get_running_loop()
    listener = door._server
    if not isinstance(listener, Listener) or not listener.open:
        raise Gone("refused")
    wire, session = _Wire(loop, peer), listener.connect()
    wire.protocol = session
    session.connection_made(wire)
    try:
        await _reply(wire)
        commands = ["EHLO client.example", f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{each}>" for each in recipients), "DATA"]
        for command in commands:
            session.data_received(command.encode() + b"\r\n")
            answer = await _reply(wire)
            if answer[:1] not in "23":
                return answer
        stuffed = body.replace(b"\r\n.", b"\r\n..")
        if leaves_at == "data":
            session.data_received(stuffed[: len(stuffed) // 2])
            raise Gone("hung up in the middle")
        session.data_received(stuffed + b".\r\n")
        if leaves_at == "dot":
            await asyncio.sleep(loop.latency())  # type: ignore[attr-defined]
            raise Gone("hung up after the dot")
        return await _reply(wire)
    finally:
        wire.close()


async def _reply(wire: _Wire) -> str:
    while True:
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                line = await wire.lines.get()
        except TimeoutError:
            raise Gone("no answer") from None
        if not line:
            raise Gone("closed")
        if line[3:4] != b"-":
            return line.decode()


async def request(app: Any, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """One HTTP request; the status and the body of the answer."""
    sent = False
    answer: dict[str, Any] = {"status": 0, "body": b""}

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer["status"] = message["status"]
        else:
            answer["body"] += message.get("body", b"")

    every = {"host": "localhost", "content-length": str(len(body))} | headers
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 40000), "server": ("127.0.0.1", 8025),
        "headers": [(name.encode(), value.encode()) for name, value in every.items()],
    }  # fmt: skip
    await app(scope, receive, send)
    return answer["status"], answer["body"]
