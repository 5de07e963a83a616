"""One SMTP session: aiosmtpd's, with a reader of blocks, absolute deadlines and enhanced codes (RFC 5321, 2034, 3463)."""

import asyncio
import re
from typing import Any, Protocol

from aiosmtpd.smtp import SMTP

from intake.smtp.policy import plain_path

BLOCK_BYTES = 65_536
END = b".\r\n"
FULL_END = b"\r\n.\r\n"
ENHANCED = {  # the code we add where aiosmtpd gives none (RFC 3463)
    "221": "2.0.0", "235": "2.7.0", "250": "2.0.0", "251": "2.1.5", "252": "2.5.0", "421": "4.7.0", "451": "4.3.0", "452": "4.5.3",
    "454": "4.7.0", "500": "5.5.2", "501": "5.5.4", "502": "5.5.1", "503": "5.5.1", "530": "5.7.0", "535": "5.7.8", "538": "5.7.11",
    "550": "5.1.1", "552": "5.3.4", "553": "5.1.3", "554": "5.7.1", "555": "5.5.4",
}  # fmt: skip
_HAS_ENHANCED = re.compile(r"\d{3}[ -][245]\.\d{1,3}\.\d{1,3} ")


class Limits(Protocol):
    """What a session asks of its door."""

    session_limit_seconds: float
    minimum_rate_bytes: int
    error_limit: int

    def admit(self, peer: str) -> str | None:
        """None when the connection is admitted and counted, else the reply that refuses it."""

    def leave(self, peer: str) -> None:
        """An admitted connection is gone."""


class Session(SMTP):
    """aiosmtpd under our limits. `door` counts connections and knows the deadlines."""

    line_length_limit = BLOCK_BYTES  # of the stream; commands are held to 512 octets, lines of a mail to its own limit
    local_part_limit = 64  # RFC 5321 4.5.3.1.1

    def __init__(self, handler: object, door: Limits, **options: Any) -> None:
        """`options` are aiosmtpd's."""
        self._door = door
        self._admitted: str | None = None
        self._refused = False
        self._errors = 0
        self._bare_replies = False
        self._deadline: asyncio.TimerHandle | None = None
        super().__init__(handler, **options)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, or refuse it with 421; the second call of a STARTTLS is the same connection."""
        if self._admitted is None:
            peer = peer_address(transport)
            refusal = self._door.admit(peer)
            if refusal is not None:
                self._refused = True
                assert isinstance(transport, asyncio.Transport)
                transport.write(refusal.encode("ascii") + b"\r\n")
                transport.close()
                return
            self._admitted = peer
            self._deadline = self.loop.call_later(self._door.session_limit_seconds, self._over)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Give the place back."""
        if self._refused:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        if self._admitted is not None:
            self._door.leave(self._admitted)
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Bytes of a refused connection are nobody's."""
        if not self._refused:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        """The same for its end."""
        return False if self._refused else super().eof_received()

    def _over(self) -> None:
        """The absolute deadline of the session, which no command moves (F45)."""
        if self.transport is not None:
            self._writer.write(b"421 4.4.2 the session took too long, goodbye\r\n")
            self.transport.close()

    async def push(self, status: str | bytes) -> None:
        """Send a reply with an enhanced code; too many refusals end the session."""
        text = status.decode("ascii", "replace") if isinstance(status, bytes) else status
        if not self._bare_replies and not _HAS_ENHANCED.match(text) and text[:3] in ENHANCED and not text.startswith("220"):
            text = f"{text[:4]}{ENHANCED[text[:3]]} {text[4:]}"
        await super().push(
            text.encode("utf-8", "replace").decode("utf-8") if self.enable_SMTPUTF8 else text.encode("ascii", "replace").decode()
        )
        if text[0] in "45":
            self._errors += 1
            if self._errors >= self._door.error_limit and self.transport is not None:
                self._errors = 0
                self._writer.write(b"421 4.7.0 too many errors, goodbye\r\n")
                self.transport.close()

    async def smtp_HELO(self, hostname: str) -> None:
        """RFC 2034 4: greetings carry no enhanced code."""
        self._bare_replies = True
        try:
            await super().smtp_HELO(hostname)
        finally:
            self._bare_replies = False

    async def smtp_EHLO(self, hostname: str) -> None:
        """The same."""
        self._bare_replies = True
        try:
            await super().smtp_EHLO(hostname)
        finally:
            self._bare_replies = False

    async def smtp_EXPN(self, arg: str) -> None:
        """Lists are nobody's business."""
        await self.push("502 5.5.1 EXPN is not offered")

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """The short way for a plain path, aiosmtpd's for every other."""
        found = plain_path(arg.strip()) if arg else None
        if found is not None:
            return found
        try:
            address, rest = super()._getaddr(arg)
        except (IndexError, ValueError, AttributeError, RecursionError):  # the stdlib's parser trips over odd input
            return None, None
        return address, rest

    async def smtp_DATA(self, arg: str) -> None:
        """Read the mail in blocks up to CRLF.CRLF, then ask the handler (RFC 5321 4.1.1.4)."""
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        assert self.envelope is not None
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 need RCPT first")
            return
        if arg:
            await self.push("501 5.5.4 DATA takes no argument")
            return
        await self.push("354 end data with <CR><LF>.<CR><LF>")
        body = await self._read_body()
        if body is None:
            await self.push(f"552 5.3.4 the mail is larger than {self.data_size_limit} bytes")
            self._set_post_data_state()  # type: ignore[no-untyped-call]  # aiosmtpd's
            return
        self.envelope.original_content = self.envelope.content = body
        status = await self._call_handler_hook("DATA")
        self._set_post_data_state()  # type: ignore[no-untyped-call]  # aiosmtpd's
        await self.push(status)

    async def _read_body(self) -> bytes | None:
        """The bytes before the final dot, still stuffed; None when there were more than the limit."""
        blocks: list[bytes] = []
        size_bytes, since_armed = 0, 0
        tail = b"\r\n"  # the DATA command's own line end: a lone dot at once ends an empty mail
        self._reset_timeout(BLOCK_BYTES / self._door.minimum_rate_bytes)
        limit = self.data_size_limit or 0
        while True:
            try:
                block = await self._reader.readuntil(END)
            except asyncio.LimitOverrunError as error:
                block = await self._reader.readexactly(error.consumed)
            size_bytes += len(block)
            since_armed += len(block)
            if since_armed >= BLOCK_BYTES:  # it keeps the minimum rate: another block's time
                self._reset_timeout(BLOCK_BYTES / self._door.minimum_rate_bytes)
                since_armed = 0
            if size_bytes <= limit + len(END):
                blocks.append(block)
            elif blocks:
                blocks.clear()
            tail = (tail + block)[-len(FULL_END) :]
            if tail == FULL_END:
                self._reset_timeout()
                return b"".join(blocks)[: -len(END)] if size_bytes <= limit + len(END) else None


def peer_address(transport: asyncio.BaseTransport) -> str:
    """The client's address, "" where there is none."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""
