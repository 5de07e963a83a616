"""A daemon with something of everything, and a token of every role: what the API is asked of."""

import http.client
import json
import smtplib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from itsm.envelope import Channel, Envelope
from itsm.identifier import inbox_text
from prove.daemon import Daemon
from prove.relay import RecordingRelay
from store import credentials, inbox
from store.inbox import Arrived
from store.settings import StoreSettings
from store.store import Store
from triaged import clock
from webportal.operations import PREFIX

# acts as, by a word for it: each role that a token can have, once without bounds and once within them
ROLES = {"operator": "operator", "agent": "agent:ben", "bounded": "agent:oda", "auditor": "agent:eve", "source": "source:am"}
MORE = """
[[intake.source]]
name = "am"
format = "alertmanager"
authentication = "none"
[[agent]]
key = "ben"
name = "Ben"
address = "ben@localhost"
teams = ["desk"]
[[agent]]
key = "oda"
name = "Oda"
address = "oda@localhost"
organisations = ["acme"]
[[agent]]
key = "eve"
name = "Eve"
address = "eve@localhost"
role = "auditor"
"""
ALERTS = {
    "version": "4",
    "alerts": [{"status": "firing", "labels": {"alertname": name}, "startsAt": "2026-03-23T10:00:00Z"} for name in ("Disk", "Net")],
}
MAIL = (
    "From: Ana <ana@corp.example>\r\nTo: help@localhost\r\nSubject: Printer {name}\r\nMessage-ID: <{name}@corp.example>\r\n\r\nIt jams.\r\n"
)
QUARANTINED = 3
DEADLINE_SECONDS = 120.0


class Served:
    """The daemon, the secrets of its tokens by role, and the ids of what is there: `number` of tickets, `id` by first word of the path."""

    def __init__(self, folder: Path) -> None:
        """Start it; mails, alerts, notices and quarantined envelopes are there when this returns."""
        self.relay = RecordingRelay()
        self.daemon = Daemon(folder, self.relay.port, more=MORE)
        self.url = f"http://127.0.0.1:{self.daemon.http_port}"
        try:
            self.daemon.start()
            self.daemon.wait_ready()
            self.tokens = self._write(folder / "var")
            self._send()
            self.number, self.ids = self._settled()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """It is served already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()

    def close(self) -> None:
        """End the daemon and its relay."""
        self.daemon.close()
        self.relay.close()

    def ask(self, path: str, body: Any = None, *, role: str = "operator") -> Any:
        """The answer to a GET, or to a POST of a body, as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.http_port, timeout=60)
        headers = {"Authorization": f"Bearer {self.tokens[role]}", "Content-Type": "application/json"}
        try:
            connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), headers)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def _write(self, path: Path) -> dict[str, str]:
        """A token of each role, and envelopes in quarantine as the triage worker leaves them."""
        store = Store(StoreSettings(path=str(path)), clock=clock.now)
        made: dict[str, str] = {}
        try:
            for role, acts_as in ROLES.items():
                made[role] = store.write(_token_of(role, acts_as)).result()
            for _ in range(QUARANTINED):
                store.write(_set_aside(store)).result()
        finally:
            store.close()
        return made

    def _send(self) -> None:
        with smtplib.SMTP("127.0.0.1", self.daemon.smtp_port, local_hostname="client", timeout=60) as client:
            for name in ("one", "two", "three"):
                client.sendmail("ana@corp.example", ["help@localhost"], MAIL.format(name=name))
        self.ask("/hooks/am", ALERTS)

    def _settled(self) -> tuple[list[str], dict[str, list[str]]]:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            numbers = [each["number"] for each in self.ask(f"{PREFIX}/tickets")["items"]]
            sent = [each["id"] for each in self.ask(f"{PREFIX}/outbox")["items"]]
            states = ("quarantined", "done")
            envelopes = [each["inbox_id"] for state in states for each in self.ask(f"{PREFIX}/inbox?state={state}")["items"]]
            if len(numbers) >= 5 and len(envelopes) >= 4 + QUARANTINED and sent:
                return numbers, {"inbox": envelopes, "outbox": sent}
            time.sleep(0.05)
        raise TimeoutError(f"it never settled; its last words: {self.daemon.last_words()}")


def _token_of(role: str, acts_as: str) -> Callable[..., str]:
    return lambda tx: credentials.create_token(tx, role, scopes=("admin",), acts_as=acts_as)


def _set_aside(store: Store) -> Callable[..., str]:
    body = MAIL.format(name=f"aside-{store.new_id()}").encode()
    envelope = Envelope(
        id=store.new_id(), channel=Channel.SMTP, source="smtp", received_at=store.clock(), size_bytes=len(body), forward_paths=("a@b.c",)
    )

    def work(tx: Any) -> str:
        inbox.add_many(tx, [Arrived(envelope=envelope, body=body)])
        inbox.quarantine(tx, envelope.id, "the parser crashed")
        return inbox_text(envelope.id)

    return work
