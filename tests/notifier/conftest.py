"""A relay that follows a script, to inject faults at every stage, and a store with notifications in it."""

import contextlib
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from itsm.notification import DeliveryState, Event, Notification
from itsm.token import mint_message_id
from notifier.relay import Relay
from notifier.settings import NotifierSettings, RelaySettings
from notifier.worker import Notifier
from store import outbox
from store.settings import StoreSettings
from store.store import Store
from tests.notifier.running import IDENTITY, KEYS, in_process

CERTIFICATE = Path(__file__).with_name("relay.pem")
SILENCE, CUT = "silence", "cut"
USUAL = {
    "connect": "220 relay ready",
    "mail": "250 2.1.0 ok",
    "rcpt": "250 2.1.5 ok",
    "data": "354 go on",
    "dot": "250 2.0.0 queued as 42",
    "rset": "250 2.0.0 ok",
    "quit": "221 2.0.0 bye",
    "starttls": "220 2.0.0 ready",
    "auth": "235 2.7.0 ok",
    "helo": "250 relay",
}


class Taken:
    """A mail the relay answered 250 for, or had whole when it fell silent."""

    def __init__(self, mail: str, rcpt: str, content: bytes) -> None:
        self.mail, self.rcpt, self.content = mail, rcpt, content


class ScriptedRelay:
    """An SMTP server whose every answer can be a reply, silence, or a cut connection; a list is used up one answer a time."""

    def __init__(self, script: dict[str, object], extensions: tuple[str, ...], *, implicit_tls: bool) -> None:
        self.script, self.extensions, self.implicit_tls = dict(script), extensions, implicit_tls
        self.commands: list[str] = []
        self.taken: list[Taken] = []
        self.connections = 0
        self.released = threading.Event()
        relay = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    relay.converse(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A fault we injected ourselves."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, stage: str) -> object:
        scripted = self.script.get(stage, USUAL[stage])
        if isinstance(scripted, list):
            return scripted.pop(0) if scripted else USUAL[stage]
        return scripted

    def say(self, connection, stage: str) -> str:
        """Give the answer of a stage; raises ConnectionError where the script cuts."""
        reply = self.answer(stage)
        if reply == SILENCE:
            self.released.wait()
        if reply in (SILENCE, CUT):
            raise ConnectionError
        connection.sendall(f"{reply}\r\n".encode())
        return str(reply)

    def _tls(self, connection):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        return context.wrap_socket(connection, server_side=True)

    def converse(self, connection) -> None:
        try:
            if self.implicit_tls:
                connection = self._tls(connection)
            self.connections += 1
            self.say(connection, "connect")
            file = connection.makefile("rb")
            mail = rcpt = ""
            while line := file.readline():
                command = line.decode("utf-8").strip()
                self.commands.append(command)
                verb = command.split(" ")[0].split(":")[0].lower()
                if verb == "ehlo":
                    if "ehlo" in self.script:
                        self.say(connection, "ehlo")
                        continue
                    lines = ["relay", *self.extensions]
                    connection.sendall(
                        "".join(f"250{'-' if at < len(lines) - 1 else ' '}{each}\r\n" for at, each in enumerate(lines)).encode()
                    )
                elif verb == "starttls":
                    self.say(connection, "starttls")
                    connection = self._tls(connection)
                    file = connection.makefile("rb")
                elif verb == "data":
                    if self.say(connection, "data").startswith("354"):
                        content = self.read(file)
                        if not str(self.script.get("dot", "")).startswith(("4", "5")):
                            self.taken.append(Taken(mail, rcpt, content))
                        self.say(connection, "dot")
                else:
                    mail, rcpt = (command if verb == "mail" else mail), (command if verb == "rcpt" else rcpt)
                    self.say(connection, verb)
                    if verb == "quit":
                        return
        finally:
            with contextlib.suppress(OSError):
                connection.shutdown(2)
            connection.close()

    @staticmethod
    def read(file) -> bytes:
        """The content, unstuffed; raises ConnectionError when it ends before the dot."""
        lines = []
        while (line := file.readline()) != b".\r\n":
            if not line:
                raise ConnectionError
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)


@pytest.fixture
def relay() -> Iterator[Callable[..., ScriptedRelay]]:
    made: list[ScriptedRelay] = []

    def make(script: dict[str, object] | None = None, *extensions: str, implicit_tls: bool = False) -> ScriptedRelay:
        made.append(ScriptedRelay(script or {}, extensions, implicit_tls=implicit_tls))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def relay_settings() -> Callable[..., RelaySettings]:
    def make(port: int, **fields: object) -> RelaySettings:
        usual: dict[str, object] = {"connect_timeout_seconds": 2.0, "timeout_seconds": 2.0, "data_timeout_seconds": 0.3}
        return RelaySettings(**({"host": "127.0.0.1", "port": port} | usual | fields))

    return make


class Clock:
    """An instant that moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 23, 10, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    opened = Store(StoreSettings(path=str(tmp_path / "data")), clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def enqueue(store: Store, clock: Clock) -> Callable[..., Notification]:
    """Put one notification into the outbox."""

    def put(event: Event = Event.RESOLVED, **fields: object) -> Notification:
        recipient = str(fields.pop("recipient", "ana@corp.example"))
        facts = {"number": "INC-1042", "subject": "Printer jams", "words": "Cleared roller.", "type": "incident", "trusted": "yes"}

        def work(tx) -> Notification:
            row = tx.new_id()
            made = Notification(
                **(
                    {
                        "id": row,
                        "ticket_id": 7,
                        "ticket_number": 1042,
                        "event": event,
                        "recipient": recipient,
                        "message_id": mint_message_id(KEYS, row, recipient, "corp.example"),
                        "facts": facts,
                        "created_at": tx.now,
                        "due_at": tx.now,
                        "state": DeliveryState.QUEUED,
                    }
                    | fields
                )
            )
            outbox.enqueue(tx, [made])
            return made

        return store.write(work).result()

    return put


@pytest.fixture
def certificate_file() -> str:
    return str(CERTIFICATE)


@pytest.fixture
def notifier(store):
    def make(submitters, run_batch=in_process, **fields):
        settings = NotifierSettings(**({"drain_seconds": 0.2} | fields))
        return Notifier(store, settings=settings, run_batch=run_batch, identity=lambda: IDENTITY, keys=KEYS, submitters=submitters)

    return make


@pytest.fixture
def to_relay(notifier, relay_settings):
    """A notifier with connections to this relay."""

    def make(server, *, connections=1, run_batch=in_process, relay_fields=None, **fields):
        settings = relay_settings(server.port, **(relay_fields or {}))
        submitters = [Relay(settings, local_hostname="corp.example") for _ in range(connections)]
        return notifier(submitters, run_batch, relay=settings, **fields)

    return make


@pytest.fixture
def row(store):
    return lambda notification: store.read(lambda tx: outbox.find(tx, notification.id))
