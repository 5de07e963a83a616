"""One SMTP session: aiosmtpd's, with a reader of blocks, absolute deadlines and enhanced codes (RFC 5321, 2034, 3463)."""

import asyncio
import itertools
import re
from typing import Any, Protocol, cast

import structlog
from aiosmtpd.smtp import SMTP, TLSSetupException

from intake.smtp.body import Body
from intake.smtp.policy import plain_mail_from, plain_path, plain_rcpt_to

BLOCK_BYTES = 65_536
COMMAND_BYTES = 512  # RFC 5321 4.5.3.1.4
MAIL_BYTES = COMMAND_BYTES + 26 + 10 + 17  # with SIZE (RFC 1870), SMTPUTF8 (RFC 6531 3.4), BODY (RFC 6152)
COMMANDS_A_TURN = 64
UNKNOWN_LIMIT = 5  # commands nobody knows before the session ends
ENHANCED = {  # the code we add where aiosmtpd gives none (RFC 3463)
    "221": "2.0.0", "235": "2.7.0", "250": "2.0.0", "251": "2.1.5", "252": "2.5.0", "421": "4.7.0", "451": "4.3.0", "452": "4.5.3",
    "454": "4.7.0", "500": "5.5.2", "501": "5.5.4", "502": "5.5.1", "503": "5.5.1", "530": "5.7.0", "535": "5.7.8", "538": "5.7.11",
    "550": "5.1.1", "552": "5.3.4", "553": "5.1.3", "554": "5.7.1", "555": "5.5.4",
}  # fmt: skip

log = structlog.get_logger("smtp")
_HAS_ENHANCED = re.compile(r"\d{3}[ -][245]\.\d{1,3}\.\d{1,3} ")


class Limits(Protocol):
    """What a session asks of its door."""

    session_limit_seconds: float
    minimum_rate_bytes: int
    error_limit: int
    command_limit: int

    def admit(self, peer: str) -> str | None:
        """None when the connection is admitted and counted, else the reply that refuses it."""

    def leave(self, peer: str) -> None:
        """An admitted connection is gone."""


class Session(SMTP):
    """aiosmtpd under our limits. `door` counts connections and knows the deadlines.

    The loop over commands and the reader of DATA are ours, for speed and for the limits; what a command means is aiosmtpd's, save
    that a plain MAIL FROM and RCPT TO, nine of ten, take a short way with the same answers.
    """

    line_length_limit = BLOCK_BYTES  # of the stream; commands are held to 512 octets, lines of a mail to its own limit
    local_part_limit = 64  # RFC 5321 4.5.3.1.1

    def __init__(self, handler: object, door: Limits, **options: Any) -> None:
        """`options` are aiosmtpd's."""
        self._door = door
        self._admitted: str | None = None
        self._refused = False
        self._errors = self._unknown = 0
        self._called: dict[str, int] = {}
        self._bare_replies = False
        self._deadline: asyncio.TimerHandle | None = None
        self._lost = False
        self._due = self._armed = 0.0  # when the client must have said the next, and when we look
        super().__init__(handler, **options)

    def __dir__(self) -> tuple[str, ...]:
        """What aiosmtpd looks for in each new session, three times over: all of it took longer than a mail's own commands."""
        return _LOOKED_FOR

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, or refuse it with 421; the second call of a STARTTLS is the same connection."""
        if self._admitted is None:
            peer = peer_address(transport)
            refusal = self._door.admit(peer)
            if refusal is not None:
                self._refused = True
                stream = cast("asyncio.Transport", transport)  # uvloop's is no subclass
                stream.write(refusal.encode("ascii") + b"\r\n")
                stream.close()
                return
            self._admitted = peer
            self._deadline = self.loop.call_later(self._door.session_limit_seconds, self._over)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Give the place back, once: a TLS handshake that fails tells it twice."""
        if self._refused or self._lost:
            return
        self._lost = True
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
        self._goodbye("421 4.4.2 the session took too long, goodbye")

    def _goodbye(self, reply: str) -> None:
        if self.transport is not None:
            self._writer.write(reply.encode("ascii") + b"\r\n")
            self.transport.close()

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Move the deadline of the next command or block. A later one costs no timer: the old one looks again when it fires."""
        self._due = self.loop.time() + (duration or self._timeout_duration)
        if self._timeout_handle is None or self._due < self._armed:
            self._arm()

    def _arm(self) -> None:
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self._armed = self._due
        self._timeout_handle = self.loop.call_at(self._due, self._timeout_cb)

    def _timeout_cb(self) -> None:
        if self._due > self._armed:
            self._arm()
        elif self.transport is not None:
            self.transport.close()

    async def push(self, status: str | bytes) -> None:
        """Send a reply with an enhanced code; too many refusals end the session."""
        text = status.decode("ascii", "replace") if isinstance(status, bytes) else status
        if not self._bare_replies and not _HAS_ENHANCED.match(text) and text[:3] in ENHANCED:
            text = f"{text[:4]}{ENHANCED[text[:3]]} {text[4:]}"
        self._writer.write(text.encode("utf-8" if self.enable_SMTPUTF8 else "ascii", "replace") + b"\r\n")
        if text[0] in "45":
            self._errors += 1
            if self._errors >= self._door.error_limit:
                self._errors = 0
                self._goodbye("421 4.7.0 too many errors, goodbye")
        await self._writer.drain()

    async def _handle_client(self) -> None:
        """The session, command by command (RFC 5321 4.1)."""
        await self.push(f"220 {self.hostname} {self.__ident__}")
        for number in itertools.count(1):
            if self.transport is None or self.transport.is_closing():
                return
            if not number % COMMANDS_A_TURN:
                await asyncio.sleep(0)  # who sends a thousand commands at once waits for the other sessions between them
            try:
                line = await self._command_line()
                if line is None:
                    await self.push("500 5.5.2 the command is too long")
                elif not await self._short_way(line):
                    await self._obey(line)
            except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionResetError):
                self._writer.close()
                raise
            except TLSSetupException as error:
                self.transport.close()
                self.connection_lost(error)
            except Exception as error:  # the boundary of one command: its client is told to try later, the session goes on
                log.error("command failed", peer=self._admitted, error=repr(error), exc_info=True)
                await self.push("451 4.3.0 an error of ours, try again later")

    async def _command_line(self) -> bytes | None:
        """The next line, None for one that was longer than a block and is skipped."""
        try:
            return await self._reader.readuntil()
        except asyncio.LimitOverrunError as error:
            await self._reader.readexactly(error.consumed)
        while True:
            try:
                await self._reader.readuntil()
            except asyncio.LimitOverrunError as error:
                await self._reader.readexactly(error.consumed)
            else:
                return None

    async def _short_way(self, line: bytes) -> bool:
        """A plain MAIL FROM or RCPT TO where it is due; False leaves the command, and every refusal but the handler's, to aiosmtpd."""
        session, envelope = self.session, self.envelope
        assert session is not None
        assert envelope is not None
        if not session.host_name:
            return False
        if envelope.mail_from:
            address = plain_rcpt_to(line)
            if address is None or not self._count("RCPT"):
                return False
            self._reset_timeout()
            await self.push(await self._call_handler_hook("RCPT", address, []))
            return True
        path = plain_mail_from(line)
        if path is None or (path.extended and not session.extended_smtp) or path.size_bytes > (self.data_size_limit or 0):
            return False
        if not self._count("MAIL"):
            return False
        self._reset_timeout()
        envelope.mail_from, envelope.smtp_utf8 = path.address, False
        await self.push("250 2.0.0 OK")
        return True

    def _count(self, command: str) -> bool:
        """Whether the command may be given once more."""
        called = self._called.get(command, 0)
        if called >= self._door.command_limit:
            return False
        self._called[command] = called + 1
        return True

    async def _obey(self, line: bytes) -> None:
        """Any command, by aiosmtpd's method for it."""
        line = line.rstrip(b"\r\n")
        verb, _, octets = line.partition(b" ")
        command = verb.upper().decode("ascii", "replace")
        if not command or not command.isascii():
            await self.push("500 5.5.2 bad syntax")
            return
        if len(line) > (MAIL_BYTES if command == "MAIL" else COMMAND_BYTES):
            await self.push("500 5.5.2 the command is too long")
            return
        method = self._smtp_methods.get(command)
        if method is None:
            self._unknown += 1
            if self._unknown >= UNKNOWN_LIMIT:
                self._goodbye("502 5.5.1 too many unrecognised commands, goodbye")
            else:
                await self.push("500 5.5.2 the command is not recognised")
            return
        if not self._count(command):
            self._goodbye(f"421 4.7.0 {command} was sent too many times")
            return
        self._reset_timeout()
        await method(octets.strip().decode("utf-8", "surrogateescape") if octets else None)

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
        """The mail, still stuffed; None when there was more than the limit. Each block must come at the minimum rate."""
        body, block_seconds = Body(self.data_size_limit or 0), BLOCK_BYTES / self._door.minimum_rate_bytes
        since_armed = 0
        self._reset_timeout(block_seconds)
        while True:
            block = await self._reader.read(BLOCK_BYTES)
            if not block:
                raise ConnectionResetError
            rest = body.feed(block)
            if rest is not None:
                self._reader._buffer[:0] = rest  # type: ignore[attr-defined]  # the next commands go back; aiosmtpd clears it so too
                self._reset_timeout()
                return body.content()
            since_armed += len(block)
            if since_armed >= BLOCK_BYTES:  # it keeps the minimum rate: another block's time
                self._reset_timeout(block_seconds)
                since_armed = 0


_LOOKED_FOR = tuple(name for name in dir(Session) if name.startswith(("smtp_", "auth_")))


def peer_address(transport: asyncio.BaseTransport) -> str:
    """The client's address, "" where there is none."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""
