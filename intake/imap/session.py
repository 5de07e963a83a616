"""One session with a server: connect, login, select, list, fetch, flag, move, wait. Every stage has its own time.

UID commands only, for sequence numbers shift under our feet (F60); BODY.PEEK only, so that no mail becomes read by us.
"""

import contextlib
import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from imapclient.exceptions import CapabilityError, IMAPClientAbortError, IMAPClientError, LoginError, ProtocolError

from intake.imap.connection import Client, Pipe, Watchdog, Wire, wait_for_octets
from intake.imap.settings import Mailbox
from itsm.credential import Bearer
from itsm.errors import Transient

RANGE_BYTES = 1024 * 1024
UID_WINDOW = 50_000  # UIDs a SEARCH asks about, so that its answer fits into a line
IDLE_LIMIT_SECONDS = 28 * 60.0  # RFC 2177 3: again at least every 29 minutes
LOGOUT_SECONDS = 5.0
HISTORY_FIELDS = b"BODY.PEEK[HEADER.FIELDS (MESSAGE-ID FROM TO CC)]"


class Lost(Transient):
    """The connection failed, or the server did not keep to the protocol; another one may do."""


class LoginRefused(Transient):
    """The server did not let us in: asked too often it may lock the account, so the next try waits long."""


class CommandRefused(Transient):
    """The server answered NO or BAD; the connection is well. The message is what it said."""


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """A folder as SELECT told it (RFC 9051 6.3.2)."""

    uid_validity: int
    uid_next: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a mail without its bytes."""

    size_bytes: int
    received_at: datetime


class Session:
    """A connection that is logged in. Raises Lost, LoginRefused or CommandRefused, and nothing else that is not a bug."""

    def __init__(self, mailbox: Mailbox, *, bearer: Bearer | None, pipe: Pipe) -> None:
        """Connect and log in. TLS is verified and never falls back; `bearer` takes the place of the password."""
        self._mailbox, self._pipe, self._watchdog = mailbox, pipe, Watchdog()
        self._client: Client | None = None
        try:
            self._client = self._connect()
            self._login(self._client, bearer)
        except BaseException:
            self.close()
            raise

    def _connect(self) -> Client:
        mailbox = self._mailbox
        context = ssl.create_default_context(cafile=mailbox.ca_file or None) if mailbox.tls != "none" else None

        def wire() -> Wire:
            return Wire(
                mailbox.host,
                mailbox.server_port,
                context=context if mailbox.tls == "implicit" else None,
                connect_seconds=mailbox.connect_timeout_seconds,
                watchdog=self._watchdog,
                limit=mailbox.message_limit_bytes,
            )

        with self._stage(mailbox.connect_timeout_seconds):
            client = Client(
                mailbox.host, mailbox.server_port, wire, tls=mailbox.tls == "implicit", read_seconds=mailbox.command_timeout_seconds
            )
        if mailbox.tls == "starttls":
            # A PREAUTH greeting would leave us logged in without TLS (RFC 9051 11.5): imaplib refuses STARTTLS there, and so do we.
            with self._stage(mailbox.connect_timeout_seconds):
                client.starttls(context)
                self._watchdog.watch(client.socket())
        return client

    def _login(self, client: Client, bearer: Bearer | None) -> None:
        mailbox = self._mailbox
        if client.wire.state == "AUTH":
            return  # PREAUTH inside TLS, or on this machine: the server knows us
        token = bearer.token() if bearer is not None else ""
        try:
            with self._stage(mailbox.connect_timeout_seconds):
                if bearer is None:
                    client.login(mailbox.login, _password(mailbox))
                elif mailbox.oauth_mechanism == "oauthbearer":
                    client.oauthbearer_login(mailbox.login, token)
                else:
                    client.oauth2_login(mailbox.login, token)
        except (LoginRefused, CommandRefused) as error:
            if bearer is not None:
                bearer.refused(token)
            raise LoginRefused(f"the server refuses the login: {error}") from error

    @contextlib.contextmanager
    def _stage(self, seconds: float) -> Iterator[None]:
        """The boundary to imapclient: a deadline, and its errors as ours."""
        try:
            with self._watchdog.within(seconds):
                yield
        except IMAPClientAbortError as error:
            raise Lost(f"the connection was lost: {_words(error)}") from error
        except LoginError as error:
            if isinstance(error.__context__, (IMAPClientAbortError, OSError)):  # imapclient calls a cut in the middle of it so too
                raise Lost(f"the connection was lost: {_words(error)}") from error
            raise LoginRefused(_words(error)) from error
        except (CapabilityError, ProtocolError) as error:
            raise Lost(f"the server does not keep to the protocol: {_words(error)}") from error
        except IMAPClientError as error:
            raise CommandRefused(_words(error)) from error
        except OSError as error:
            raise Lost(f"the connection was lost: {_words(error)}") from error
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError) as error:
            raise Lost(f"the server's answer cannot be read: {error!r}") from error

    @property
    def _open(self) -> Client:
        if self._client is None:
            raise Lost("the connection is closed")
        return self._client

    def allow(self, seconds: float | None) -> None:
        """The overall deadline of what follows, in seconds."""
        self._watchdog.allow(seconds)

    def can(self, capability: str) -> bool:
        """Whether the server has it."""
        with self._stage(self._mailbox.command_timeout_seconds):
            return bool(self._open.has_capability(capability))

    def select(self, folder: str) -> Selected:
        """Open a folder, for reading only where nothing is to be changed."""
        with self._stage(self._mailbox.command_timeout_seconds):
            found = self._open.select_folder(folder, readonly=self._mailbox.after == "none")
            validity, uid_next = found.get(b"UIDVALIDITY"), found.get(b"UIDNEXT")
            if uid_next is None:
                uid_next = self._open.folder_status(folder, ["UIDNEXT"]).get(b"UIDNEXT")
        if not validity or not uid_next:
            raise Lost(f"the server gives no UIDVALIDITY or UIDNEXT for {folder!r}, so nothing could be told apart")
        return Selected(uid_validity=int(validity), uid_next=int(uid_next))

    def uids(self, first: int, last: int, *, since: datetime | None = None) -> Iterator[int]:
        """The UIDs that are there, ascending, a window at a time."""
        for low in range(first, last + 1, UID_WINDOW):
            high = min(last, low + UID_WINDOW - 1)
            criteria: list[object] = ["UID", f"{low}:{high}"]
            if since is not None:
                criteria += ["SINCE", since.date()]
            with self._stage(self._mailbox.command_timeout_seconds):
                found = self._open.search(criteria)
            yield from sorted(uid for uid in found if low <= uid <= high)

    def facts(self, uids: Sequence[int]) -> dict[int, Facts]:
        """Size and INTERNALDATE; one that is missing was expunged meanwhile."""
        with self._stage(self._mailbox.command_timeout_seconds):
            answer = self._open.fetch(uids, [b"RFC822.SIZE", b"INTERNALDATE"])
            return {
                uid: Facts(size_bytes=int(data[b"RFC822.SIZE"]), received_at=data[b"INTERNALDATE"].astimezone(UTC))
                for uid, data in answer.items()
                if b"RFC822.SIZE" in data and isinstance(data.get(b"INTERNALDATE"), datetime)
            }

    def body(self, uid: int, limit: int) -> bytes | None:
        """The whole mail, in ranges until one comes short; None when the server has none. At most `limit` + 1 bytes, to show that it is more.

        RFC822.SIZE is not trusted: servers exist that tell another size than they send.
        """
        pieces: list[bytes] = []
        size = 0
        while size <= limit:
            wanted = min(RANGE_BYTES, limit + 1 - size)
            with self._stage(self._mailbox.fetch_timeout_seconds):
                data = self._open.fetch([uid], [f"BODY.PEEK[]<{size}.{wanted}>".encode()]).get(uid, {})
                piece = next((value for key, value in data.items() if key.startswith(b"BODY[]")), None)
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            if len(piece) < wanted:
                break
        return b"".join(pieces) or None

    def headers(self, uids: Sequence[int]) -> dict[int, tuple[bytes, datetime]]:
        """The fields that threading needs, with INTERNALDATE."""
        with self._stage(self._mailbox.fetch_timeout_seconds):
            answer = self._open.fetch(uids, [HISTORY_FIELDS, b"INTERNALDATE"])
            found = {}
            for uid, data in answer.items():
                header = next((value for key, value in data.items() if key.startswith(b"BODY[HEADER.FIELDS")), None)
                if header and isinstance(data.get(b"INTERNALDATE"), datetime):
                    found[uid] = (header, data[b"INTERNALDATE"].astimezone(UTC))
            return found

    def flag(self, uids: Sequence[int], flag: str) -> None:
        """Set a flag."""
        with self._stage(self._mailbox.command_timeout_seconds):
            self._open.add_flags(uids, [flag.encode()], silent=True)

    def move(self, uids: Sequence[int], folder: str) -> None:
        """Move in one act (RFC 6851)."""
        with self._stage(self._mailbox.command_timeout_seconds):
            self._open.move(uids, folder)

    def copy(self, uids: Sequence[int], folder: str) -> None:
        """Copy, for a server that cannot move."""
        with self._stage(self._mailbox.command_timeout_seconds):
            self._open.copy(uids, folder)

    def expunge(self, uids: Sequence[int]) -> None:
        """Delete these, and no others that somebody else marked (RFC 4315)."""
        with self._stage(self._mailbox.command_timeout_seconds):
            self._open.uid_expunge(uids)

    def exists(self, folder: str) -> bool:
        """Whether there is such a folder."""
        with self._stage(self._mailbox.command_timeout_seconds):
            return bool(self._open.folder_exists(folder))

    def wait(self, seconds: float) -> bool:
        """IDLE until the server tells of a change (True), the time is over, or the pipe wakes us (False)."""
        client = self._open
        with self._stage(self._mailbox.command_timeout_seconds):
            told = client.begin_idle()
        try:
            told = told or wait_for_octets(client.wire, self._pipe, min(seconds, IDLE_LIMIT_SECONDS))
        except OSError as error:
            raise Lost(f"the connection was lost: {_words(error)}") from error
        with self._stage(self._mailbox.command_timeout_seconds):
            client.idle_done()  # in blocking mode: a line of which half is here is read to its end
        return told

    def abort(self) -> None:
        """Cut the connection, from any thread."""
        self._watchdog.cut()

    def close(self) -> None:
        """Say LOGOUT when there is somebody to say it to."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Transient), self._stage(LOGOUT_SECONDS):
                client.logout()
            with contextlib.suppress(OSError):
                client.wire.shutdown()
        else:
            self._watchdog.cut()
        self._watchdog.close()


def _password(mailbox: Mailbox) -> str:
    try:
        return Path(mailbox.password_file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise LoginRefused(f"the file {mailbox.password_file} cannot be read: {error}") from error


def _words(error: BaseException) -> str:
    """What the server or the library said, in one line and without octets that could break a log."""
    text = str(error.args[0] if error.args and isinstance(error.args[0], str) else error)
    text = text[2:].replace("'", "") if text.startswith(("b'", 'b"')) else text  # imaplib shows octets
    return " ".join(text.split())[:300] or type(error).__name__
