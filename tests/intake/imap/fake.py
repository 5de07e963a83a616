"""A scripted IMAP server, only for the faults that a real one cannot be brought to show."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from datetime import timedelta

from triaged import clock

Answer = bytes | None


class FakeImap:
    """Serves one folder of numbered mails. `on` holds answers that come in the place of the usual one, by command.

    An answer is a function of the tag and the arguments: octets to send, or None for the usual. `Hang` and `Drop` end the talk.
    """

    def __init__(self) -> None:
        self.mails: dict[int, bytes] = {}
        self.validity, self.uid_next = 7, 1
        self.dates: dict[int, bytes] = {}
        self.flags: dict[int, bytes] = {}  # what was added last
        self.commands: list[bytes] = []
        self.logins = 0
        self.on: dict[bytes, Callable[[bytes, bytes], Answer]] = {}
        self.capabilities = b"IMAP4rev1 IDLE MOVE UIDPLUS"
        self.greeting = b"* OK ready\r\n"
        self.idling: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def put(self, body: bytes, *, date: bytes = b"", days_ago: int = 0) -> int:
        """A mail that came now, so many days ago, or at its own INTERNALDATE."""
        uid, came = self.uid_next, clock.now() - timedelta(days=days_ago)
        self.mails[uid], self.dates[uid] = body, date or came.strftime("%d-%b-%Y %H:%M:%S +0000").encode()
        self.uid_next += 1
        return uid

    def tell(self, *segments: bytes) -> None:
        """Send octets to everybody who idles, each segment a packet of its own."""
        for each in self.idling:
            for segment in segments:
                each.sendall(segment)
                threading.Event().wait(0.1)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, Drop):
            connection.sendall(self.greeting)
            reader = connection.makefile("rb")
            while line := reader.readline():
                tag, _, rest = line.rstrip(b"\r\n").partition(b" ")
                name, _, arguments = rest.partition(b" ")
                by_uid = name.upper() == b"UID"
                if by_uid:
                    name, _, arguments = arguments.partition(b" ")
                name = name.upper()
                self.commands.append(name)
                scripted = self.on.get(name, lambda _tag, _arguments: None)(tag, arguments)
                if scripted is not None:
                    connection.sendall(scripted)
                    if name == b"IDLE" and b"+ idling" in scripted:
                        self._idle(connection, reader, tag, silent=True)
                    continue
                if name == b"IDLE":
                    self._idle(connection, reader, tag)
                    continue
                connection.sendall(self._usual(name, arguments, by_uid=by_uid) + tag + b" OK done\r\n")
                if name == b"LOGOUT":
                    return

    def _idle(self, connection: socket.socket, reader: object, tag: bytes, *, silent: bool = False) -> None:
        if not silent:
            connection.sendall(b"+ idling\r\n")
        self.idling.append(connection)
        try:
            if reader.readline().strip().upper() != b"DONE":  # type: ignore[attr-defined]  # a file
                raise Drop
        finally:
            self.idling.remove(connection)
        connection.sendall(tag + b" OK idle is over\r\n")

    def _usual(self, name: bytes, arguments: bytes, *, by_uid: bool) -> bytes:
        if name == b"CAPABILITY":
            return b"* CAPABILITY " + self.capabilities + b"\r\n"
        if name == b"LOGIN":
            self.logins += 1
        if name in (b"SELECT", b"EXAMINE"):
            told = b"* %d EXISTS\r\n* OK [UIDVALIDITY %d] ids\r\n* OK [UIDNEXT %d] next\r\n"
            return told % (len(self.mails), self.validity, self.uid_next)
        here = sorted(self.mails)  # a mail's sequence number is its place here, from 1
        if name == b"SEARCH":
            found = re.search(rb"(\d+):(\d+)", arguments)
            low, high = (int(found[1]), int(found[2])) if found else (1, self.uid_next)
            told = [uid if by_uid else place for place, uid in enumerate(here, 1) if low <= uid <= high]
            return b"* SEARCH " + b" ".join(b"%d" % each for each in told) + b"\r\n"
        if name == b"FETCH":
            named = uids_of(arguments)
            wanted = named if by_uid else [here[place - 1] for place in named if place <= len(here)]
            return b"".join(self._fetched(uid, arguments) for uid in wanted if uid in self.mails)
        if name == b"STORE":
            self.flags |= dict.fromkeys(uids_of(arguments), arguments.rpartition(b"(")[2].rstrip(b")"))
        if name == b"MOVE":
            for uid in uids_of(arguments):
                self.mails.pop(uid, None)
        return b""

    def _fetched(self, uid: int, arguments: bytes) -> bytes:
        body = self.mails[uid]
        items = [b"UID %d" % uid]
        if b"RFC822.SIZE" in arguments:
            items.append(b"RFC822.SIZE %d" % len(body))
        if b"INTERNALDATE" in arguments:
            items.append(b'INTERNALDATE "%s"' % self.dates[uid])
        part = re.search(rb"BODY\.PEEK\[\]<(\d+)\.(\d+)>", arguments)
        if part:
            piece = body[int(part[1]) : int(part[1]) + int(part[2])]
            items.append(b"BODY[]<%d> {%d}\r\n%s" % (int(part[1]), len(piece), piece))
        if b"HEADER.FIELDS" in arguments:
            head = body.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            items.append(b"BODY[HEADER.FIELDS (MESSAGE-ID FROM TO CC)] {%d}\r\n%s" % (len(head), head))
        return b"* %d FETCH (%s)\r\n" % (sorted(self.mails).index(uid) + 1, b" ".join(items))


class Drop(Exception):
    """Close the connection without a word."""


def drop(_tag: bytes, _arguments: bytes) -> Answer:
    raise Drop


def hang(_tag: bytes, _arguments: bytes) -> Answer:
    threading.Event().wait(30)
    raise Drop


def uids_of(arguments: bytes) -> list[int]:
    """The UIDs a command names: single ones and ranges."""
    found: list[int] = []
    for each in arguments.split(b" ")[0].split(b","):
        low, _, high = each.partition(b":")
        found += range(int(low), int(high or low) + 1)
    return found
