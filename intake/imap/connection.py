"""The socket of an IMAP connection: deadlines that hold whatever the server does, bounded literals, and a wait of our own in IDLE.

imapclient's own `idle_check` fails on a line that is split over two segments, and sleeps on one that came with `+ idling`
(mjs/imapclient#519), so only the wait is ours: look into the buffer, then poll the socket and a pipe that wakes us.
"""

import contextlib
import imaplib
import io
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

import imapclient

MAX_LITERAL_SLACK_BYTES = 1024 * 1024  # of what a server may send beyond the largest mail that is asked for


class Watchdog:
    """Cuts the socket when a stage takes longer than it may: a time-out of the socket alone never ends a server that drips."""

    def __init__(self) -> None:
        """Start its thread."""
        self._socket: socket.socket | None = None
        self._until: float | None = None
        self._pass_until: float | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="imap-watchdog", daemon=True)
        self._thread.start()

    def watch(self, connection: socket.socket) -> None:
        """The socket to cut from now on."""
        with self._changed:
            self._socket = connection

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """What is done inside ends in so many seconds, or the socket is cut under it."""
        self._set(time.monotonic() + seconds)
        try:
            yield
        finally:
            self._set(None)

    def allow(self, seconds: float | None) -> None:
        """All that follows ends in so many seconds; None: no such limit, as while we wait for the server to tell something."""
        with self._changed:
            self._pass_until = None if seconds is None else time.monotonic() + seconds
            self._changed.notify()

    def cut(self) -> None:
        """Cut now; whoever reads or writes gets an error."""
        with self._changed:
            connection = self._socket
        if connection is not None:
            with contextlib.suppress(OSError):  # it is gone already
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # not that of SSLSocket, which drops the TLS state under a reader

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _set(self, until: float | None) -> None:
        with self._changed:
            self._until = until
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                ends = [each for each in (self._until, self._pass_until) if each is not None]
                left = min(ends) - time.monotonic() if ends else None
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
                self._until = self._pass_until = None
            self.cut()


class Wire(imaplib.IMAP4):
    """imaplib's connection with our socket: watched from its first octet, and no literal larger than we asked for."""

    def __init__(
        self, host: str, port: int, *, context: ssl.SSLContext | None, connect_seconds: float, watchdog: Watchdog, limit: int
    ) -> None:
        """Connect and read the greeting; with a `context` TLS comes first."""
        self._context, self._connect_seconds, self._watchdog, self._limit = context, connect_seconds, watchdog, limit
        super().__init__(host, port, timeout=connect_seconds)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        connection = socket.create_connection((self.host, self.port), timeout)
        self._watchdog.watch(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._context is not None:
            secured = self._context.wrap_socket(connection, server_hostname=self.host, do_handshake_on_connect=False)
            self._watchdog.watch(secured)
            try:
                secured.do_handshake()
            except BaseException:
                secured.close()
                raise
            return secured
        return connection

    def read(self, size: int) -> bytes:
        """Octets of a literal; raises `abort` for one that could only be meant to fill our memory."""
        if size > self._limit + MAX_LITERAL_SLACK_BYTES:
            raise self.abort(f"the server announces a literal of {size} bytes")
        return super().read(size)

    def has_octets(self) -> bool:
        """Whether something can be read without waiting: from our buffer, from TLS, or from the socket. Raises `abort` at its end."""
        buffer = getattr(self, "_readbuf", None)  # Python 3.14 reads by a buffer of its own
        if buffer is not None:
            return bool(buffer) or _ready(self.sock)
        before = self.sock.gettimeout()
        self.sock.setblocking(False)
        try:
            return bool(cast("io.BufferedReader", self.file).peek(1))
        except ssl.SSLWantReadError:
            return False
        finally:
            self.sock.settimeout(before)


def _ready(connection: socket.socket) -> bool:
    pending = connection.pending() if isinstance(connection, ssl.SSLSocket) else 0
    return pending > 0 or bool(_poll(connection.fileno(), seconds=0))


def _poll(*descriptors: int, seconds: float) -> set[int]:
    poller = select.poll()
    for each in descriptors:
        poller.register(each, select.POLLIN)
    return {descriptor for descriptor, _ in poller.poll(max(0, int(seconds * 1000)))}


def wait_for_octets(wire: Wire, pipe: "Pipe", seconds: float) -> bool:
    """Wait until the server says something: True; False when the time is over or somebody woke us. Raises OSError at its end."""
    until = time.monotonic() + seconds
    while True:
        if wire.has_octets():
            return True
        left = until - time.monotonic()
        if left <= 0:
            return False
        ready = _poll(wire.sock.fileno(), pipe.reader, seconds=left)
        if pipe.reader in ready:
            pipe.drain()
            return False
        if ready and not wire.has_octets() and _at_end(wire.sock):
            raise ConnectionResetError("the server closed the connection")


def _at_end(connection: socket.socket) -> bool:
    """Whether a connection that polls readable without an octet for us has ended; half a record of TLS has not."""
    found = socket.socket(fileno=os.dup(connection.fileno()))
    try:
        return found.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    finally:
        found.close()


class Pipe:
    """Wakes a thread that waits on a socket."""

    def __init__(self) -> None:
        """Open both ends."""
        self.reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._closing, self._closed = threading.Lock(), False

    def wake(self) -> None:
        """Wake it; a pipe that is full has woken it already, and nobody waits at one that is closed."""
        with self._closing, contextlib.suppress(BlockingIOError):
            if not self._closed:
                os.write(self._writer, b"!")

    def drain(self) -> None:
        """Forget that we were woken."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.reader, 4096)

    def wait(self, seconds: float) -> None:
        """Sleep, but not longer than until somebody wakes us."""
        if _poll(self.reader, seconds=seconds):
            self.drain()

    def close(self) -> None:
        """Close both ends, by the thread that waits."""
        with self._closing:
            self._closed = True
            os.close(self.reader)
            os.close(self._writer)


class Client(imapclient.IMAPClient):  # type: ignore[misc]  # imapclient ships no types
    """imapclient on our wire."""

    def __init__(self, host: str, port: int, make_wire: Callable[[], Wire], *, tls: bool, read_seconds: float) -> None:
        """Connect by `make_wire`, which may take as long as it likes to."""
        self._make_wire = make_wire
        super().__init__(host, port, ssl=tls, timeout=imapclient.SocketTimeout(read_seconds, read_seconds))
        self.normalise_times = False  # instants stay aware

    def _create_IMAP4(self) -> Wire:  # noqa: N802 -- the name is imapclient's
        return self._make_wire()

    @property
    def wire(self) -> Wire:
        """The connection below."""
        wire = self._imap
        assert isinstance(wire, Wire)
        return wire

    def begin_idle(self) -> bool:
        """Send IDLE and wait for `+`; whether the server told of mail before it, where `idle()` would fail (RFC 2177 leaves it free)."""
        self.wire.untagged_responses.pop("EXISTS", None)
        self._idle_tag = self.wire._command("IDLE")
        while self.wire._get_response() is not None:
            if self.wire.tagged_commands.get(self._idle_tag) is not None:
                raise self.wire.error("the server refuses IDLE")
        return "EXISTS" in self.wire.untagged_responses
