"""Clients with a ledger: each item is sent until somebody says yes, and the yes is written down.

The mix: mails, the same mail again, replies to what the relay delivered, messages by the API with an Idempotency-Key and the same again,
alerts that fire, copies of them, and their resolves.
"""

import http.client
import json
import random
import smtplib
import threading
import time
from collections import Counter, defaultdict

import msgspec

from prove.daemon import Daemon
from prove.relay import RecordingRelay

STARTED, ENDED = "2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z"
MAILS_A_SESSION = 100
KEPT_FOR_REPEATS = 200
AGAIN_SECONDS = 0.1  # before a door that was dead is tried again
SECONDS_TO_ANSWER = 15.0  # a client waits so long for an answer before it takes the door for dead


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail to be sent until it is taken; `to` names the mail whose acknowledgement it answers."""

    name: str
    sender: str
    text: bytes
    to: str = ""


class Ledger:
    """What was acknowledged, by the clients' own count, and what was ever tried."""

    def __init__(self) -> None:
        """Empty."""
        self.lock = threading.Lock()
        self.mails: set[str] = set()  # replies and messages by the API among them
        self.alerts: set[str] = set()
        self.resolved: set[str] = set()
        self.tried_mails: set[str] = set()
        self.tried_alerts: set[str] = set()
        self.tried_resolves: set[str] = set()
        self.replies: dict[str, str] = {}  # reply -> the mail on whose ticket it belongs
        self.answers: dict[str, set[str]] = defaultdict(set)  # Idempotency-Key -> the inbox ids that were answered
        self.repeats = 0  # items sent again although they had been acknowledged
        self.taken = Counter[str]()  # "mail", "alert": how often somebody said yes
        self.answered = Counter[int]()  # what else was said: 421, 452, 503, ...
        self._next = 0

    def name(self) -> str:
        """A name nobody had."""
        with self.lock:
            self._next += 1
            return f"item-{self._next}"


class Clients:
    """Threads that send until told to stop, whatever becomes of the daemon."""

    def __init__(
        self,
        daemon: Daemon,
        ledger: Ledger,
        relay: RecordingRelay,
        *,
        senders: int = 3,
        posters: int = 2,
        writers: int = 1,
        pause_seconds: float = 0.0,
        bodies: tuple[int, ...] = (1, 1, 1, 3),
        new_alerts: float = 0.35,
        seed: int = 0,
    ) -> None:
        """`senders` speak SMTP, `posters` bring alerts, `writers` use the API; each begins an item every `pause_seconds`.

        `bodies` are the numbers of alerts of a body; this share of them is new, as many resolve, the others are copies.
        """
        self._daemon, self._ledger, self._relay, self._pause_seconds = daemon, ledger, relay, pause_seconds
        self._bodies, self._new_alerts = bodies, new_alerts
        self._stop = threading.Event()
        work = [self._mail] * senders + [self._alert] * posters + [self._write] * writers
        self._threads = [
            threading.Thread(target=each, args=(random.Random(f"{seed}/{place}"),), daemon=True) for place, each in enumerate(work)
        ]

    def start(self) -> None:
        """Send."""
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        """Finish what is at hand; what nobody acknowledged stays unacknowledged."""
        self._stop.set()
        for each in self._threads:
            if each.ident is not None:
                each.join(timeout=60)

    def _mail(self, chance: random.Random) -> None:
        client: smtplib.SMTP | None = None
        mail: Mail | None = None
        kept: list[Mail] = []
        left = MAILS_A_SESSION
        pace = Pace(self._pause_seconds, self._stop)
        while not self._stop.is_set():
            mail = mail or self._next_mail(chance, kept)
            try:
                client = client or smtplib.SMTP("127.0.0.1", self._daemon.smtp_port, local_hostname="client", timeout=SECONDS_TO_ANSWER)
                client.sendmail(mail.sender, ["help@localhost"], mail.text)
                left -= 1
                self._ledger.mails.add(mail.name)
                self._ledger.taken["mail"] += 1
                kept = [*kept, mail][-KEPT_FOR_REPEATS:]
                mail = None
                if not left:  # as relays do: a door ends a session that lasts too long
                    client.quit()
                    client, left = None, MAILS_A_SESSION
                pace.wait()
            except (OSError, smtplib.SMTPException) as error:
                self._note(error)
                if client is not None:
                    client.close()
                client, left = None, MAILS_A_SESSION
                time.sleep(AGAIN_SECONDS)
        if client is not None:
            client.close()

    def _next_mail(self, chance: random.Random, kept: list[Mail]) -> Mail:
        """A mail of its own, one that was taken already, or a reply to an acknowledgement."""
        choice = chance.random()
        if kept and choice < 0.15:
            self._ledger.repeats += 1
            return chance.choice(kept)
        if choice < 0.40:
            reply = self._reply()
            if reply is not None:
                return reply
        name = self._ledger.name()
        return self._written(Mail(name=name, sender=f"{name}@x.example", text=_text(name, f"{name}@x.example")))

    def _reply(self) -> Mail | None:
        """An answer to a mail of ours that the relay took; each is answered at most once."""
        try:
            message_id, recipient = self._relay.newest.popleft()
        except IndexError:
            return None
        first, _, domain = recipient.partition("@")
        if domain != "x.example":
            return None
        name = f"{first}-reply-{self._ledger.name()}"
        self._ledger.replies[name] = first
        return self._written(Mail(name=name, sender=recipient, text=_text(name, recipient, f"In-Reply-To: <{message_id}>\r\n"), to=first))

    def _written(self, mail: Mail) -> Mail:
        self._ledger.tried_mails.add(mail.name)
        return mail

    def _alert(self, chance: random.Random) -> None:
        connection: http.client.HTTPConnection | None = None
        body: list[tuple[str, bool]] = []
        fired: list[str] = []
        pace = Pace(self._pause_seconds, self._stop)
        while not self._stop.is_set():
            body = body or self._next_alerts(chance, fired)
            try:
                connection = connection or self._http()
                if self._post(connection, "/hooks/alertmanager", _alerts(body), {}) is not None:
                    self._ledger.alerts |= {name for name, resolve in body if not resolve}
                    self._ledger.resolved |= {name for name, resolve in body if resolve}
                    fired = [*fired, *(name for name, resolve in body if not resolve)][-KEPT_FOR_REPEATS:]
                    self._ledger.taken["alert"] += len(body)
                    body = []
                    pace.wait()
            except (OSError, http.client.HTTPException):
                connection = _closed(connection)
        _closed(connection)

    def _next_alerts(self, chance: random.Random, fired: list[str]) -> list[tuple[str, bool]]:
        """(name, whether it resolves), one to three of a body: new ones, copies, resolves."""
        body: dict[str, bool] = {}
        known = chance.sample(fired, len(fired)) if fired else []
        wanted = chance.choice(self._bodies)
        while len(body) < wanted:  # of a name that comes up twice one is told
            choice = chance.random()
            if not known or choice < self._new_alerts:
                body[self._ledger.name()] = False
            else:
                resolve = choice < 2 * self._new_alerts
                self._ledger.repeats += not resolve
                body.setdefault(known.pop(), resolve)
        self._ledger.tried_alerts |= {name for name, resolve in body.items() if not resolve}
        self._ledger.tried_resolves |= {name for name, resolve in body.items() if resolve}
        return list(body.items())

    def _write(self, chance: random.Random) -> None:
        connection: http.client.HTTPConnection | None = None
        name = ""
        kept: list[str] = []
        pace = Pace(self._pause_seconds, self._stop)
        while not self._stop.is_set():
            if not name:
                again = bool(kept) and chance.random() < 0.3
                self._ledger.repeats += again
                name = chance.choice(kept) if again else self._ledger.name()
                self._ledger.tried_mails.add(name)
            try:
                connection = connection or self._http()
                headers = {"Content-Type": "message/rfc822", "Idempotency-Key": name}
                answer = self._post(connection, "/api/v1/messages", _text(name, f"{name}@x.example"), headers)
                if answer is not None:
                    self._ledger.answers[name].add(json.loads(answer)["inbox_id"])
                    self._ledger.mails.add(name)
                    self._ledger.taken["mail"] += 1
                    kept, name = [*kept, name][-KEPT_FOR_REPEATS:], ""
                    pace.wait()
            except (OSError, http.client.HTTPException):
                connection = _closed(connection)
        _closed(connection)

    def _http(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._daemon.http_port, timeout=SECONDS_TO_ANSWER)

    def _post(self, connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str]) -> bytes | None:
        """The answer, when it is a yes; None, after a moment, when it is not."""
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        told = answer.read()
        if 200 <= answer.status < 300:
            return told
        self._ledger.answered[answer.status] += 1
        self._stop.wait(0.1)
        return None

    def _note(self, error: Exception) -> None:
        """Count what a door said that was not a yes."""
        if isinstance(error, smtplib.SMTPResponseException):
            self._ledger.answered[error.smtp_code] += 1
        elif isinstance(error, smtplib.SMTPRecipientsRefused):
            self._ledger.answered.update(code for code, _ in error.recipients.values())


class Pace:
    """Begins an item every so many seconds; what was missed while nobody answered is not made up for."""

    def __init__(self, seconds: float, stop: threading.Event) -> None:
        """The first begins now."""
        self._seconds, self._stop = seconds, stop
        self._due = time.monotonic()

    def wait(self) -> None:
        """Until the next is due, or all shall stop."""
        now = time.monotonic()
        self._due = max(self._due + self._seconds, now - self._seconds)
        self._stop.wait(max(0.0, self._due - now))


def _text(name: str, sender: str, more: str = "") -> bytes:
    head = f"From: {sender}\r\nTo: help@localhost\r\nSubject: {name} is broken\r\nMessage-ID: <{name}@x.example>\r\n{more}"
    return f"{head}\r\nPlease help with {name}.\r\n".encode()


def _alerts(body: list[tuple[str, bool]]) -> bytes:
    alerts = [
        {"status": "resolved" if resolve else "firing", "labels": {"alertname": name}, "startsAt": STARTED}
        | ({"endsAt": ENDED} if resolve else {})
        for name, resolve in body
    ]
    return json.dumps({"version": "4", "alerts": alerts}).encode()


def _closed(connection: http.client.HTTPConnection | None) -> None:
    if connection is not None:
        connection.close()
    time.sleep(AGAIN_SECONDS)
