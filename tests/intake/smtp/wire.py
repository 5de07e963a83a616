"""A session without a socket: the pieces it is fed are exactly the pieces it sees."""

import asyncio
import itertools
from datetime import UTC, datetime

from intake.accept import Accepted
from intake.settings import SmtpSettings
from intake.smtp.door import SmtpDoor
from intake.smtp.policy import policy_of
from itsm.service import Desk

NOW = datetime(2026, 3, 23, 10, 30, tzinfo=UTC)
DESK = Desk(address="help@corp.example", domain="corp.example")
MAX_TURNS = 100_000
GREETING = b"EHLO client.example\r\n"
ENVELOPE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<help@localhost>\r\n"
DATA = b"DATA\r\n"


class Wire(asyncio.Transport):
    """Keeps what is written and ends the session when it is closed."""

    def __init__(self):
        super().__init__({"peername": ("192.0.2.7", 4711)})
        self.written, self.session, self.closing = bytearray(), None, False

    def write(self, data):
        if not self.closing:
            self.written += data

    def is_closing(self):
        return self.closing

    def close(self):
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self.session.connection_lost, None)

    def pause_reading(self):
        """The test feeds on."""

    def resume_reading(self):
        """The same."""


class Keeps:
    """An acceptor that keeps what it is given."""

    def __init__(self):
        self.arrivals = []

    async def accept(self, arrival):
        await asyncio.sleep(0)  # as the real one: the answer comes in a later turn of the loop
        self.arrivals.append((arrival.reverse_path, arrival.forward_paths, arrival.body))
        return Accepted(inbox_id=len(self.arrivals))


def heard(pieces, **settings):
    """The replies to these pieces, and the mails that were stored; the last piece must end the session."""
    return asyncio.run(_heard(pieces, SmtpSettings(**({"listen": "127.0.0.1:0"} | settings))))


async def _heard(pieces, settings):
    keeps = Keeps()
    door = SmtpDoor(settings, keeps, policy=lambda: policy_of(settings, DESK, {}), domain=DESK.domain, clock=lambda: NOW)
    await door.start()
    session, wire = door._session(), Wire()
    wire.session = session
    session.connection_made(wire)
    for piece in pieces:
        await quiet(session)
        if wire.closing:
            break
        session.data_received(piece)
    for _ in range(MAX_TURNS):
        if session.transport is None:
            await asyncio.gather(session._handler_coroutine, return_exceptions=True)
            await door.stop()
            return bytes(wire.written), keeps.arrivals
        await asyncio.sleep(0)
    raise AssertionError(f"the session did not end: {bytes(wire.written)!r}")


async def quiet(session):
    """Until the session waits for octets."""
    for _ in range(MAX_TURNS):
        if session._handler_coroutine.done() or session._reader._waiter is not None:
            return
        await asyncio.sleep(0)
    raise AssertionError("the session never waited")


def cut(stream, *places):
    """The stream in the pieces between these places."""
    ends = [0, *sorted(places), len(stream)]
    return [stream[begin:end] for begin, end in itertools.pairwise(ends) if end > begin]


async def body_by_lines(session):
    """The reference: what a reader of lines takes for the mail (RFC 5321 4.1.1.4). In place of `Session._read_body`."""
    lines, fragments, size_bytes = [], b"", 0
    while True:
        try:
            line = fragments + await session._reader.readuntil(b"\r\n")
        except asyncio.LimitOverrunError as error:
            fragments += await session._reader.readexactly(error.consumed)
            continue
        fragments = b""
        if line == b".\r\n":
            return b"".join(lines) if size_bytes <= session.data_size_limit else None
        size_bytes += len(line)
        lines.append(line)
