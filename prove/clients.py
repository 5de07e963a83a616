"""Clients with a ledger: each item is sent until somebody says yes, and the yes is written down."""

import http.client
import json
import smtplib
import threading
import time

from prove.daemon import Daemon


class Ledger:
    """What was acknowledged, by the client's own count; each name is tried in a life and again until it is."""

    def __init__(self) -> None:
        """Empty."""
        self.lock = threading.Lock()
        self.mails: set[str] = set()
        self.alerts: set[str] = set()
        self.tried_mails: set[str] = set()
        self.tried_alerts: set[str] = set()
        self._next = 0

    def name(self) -> str:
        """A name nobody had."""
        with self.lock:
            self._next += 1
            return f"item-{self._next}"


class Clients:
    """Threads that send mails and alerts until told to stop, whatever becomes of the daemon."""

    def __init__(self, daemon: Daemon, ledger: Ledger, *, senders: int = 3, posters: int = 2, pause_seconds: float = 0.0) -> None:
        """Nothing is sent yet. `pause_seconds` is between one client's items."""
        self._daemon, self._ledger, self._pause_seconds = daemon, ledger, pause_seconds
        self._stop = threading.Event()
        work = [self._mail] * senders + [self._alert] * posters
        self._threads = [threading.Thread(target=each, daemon=True) for each in work]

    def start(self) -> None:
        """Send."""
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        """Finish what is at hand; what nobody acknowledged stays unacknowledged."""
        self._stop.set()
        for each in self._threads:
            each.join(timeout=30)

    def _mail(self) -> None:
        client: smtplib.SMTP | None = None
        name = ""
        while not self._stop.is_set():
            name = name or self._ledger.name()
            try:
                client = client or smtplib.SMTP("127.0.0.1", self._daemon.smtp_port, local_hostname="client", timeout=5)
                self._ledger.tried_mails.add(name)
                mail = f"From: {name}@x.example\r\nTo: help@localhost\r\nSubject: {name} is broken\r\nMessage-ID: <{name}@x.example>\r\n\r\nPlease help.\r\n"
                client.sendmail(f"{name}@x.example", ["help@localhost"], mail)
                self._ledger.mails.add(name)
                name = ""
                self._stop.wait(self._pause_seconds)
            except (OSError, smtplib.SMTPException):
                if client is not None:
                    client.close()
                client = None
                time.sleep(0.02)
        if client is not None:
            client.close()

    def _alert(self) -> None:
        connection: http.client.HTTPConnection | None = None
        name = ""
        while not self._stop.is_set():
            name = name or self._ledger.name()
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self._daemon.http_port, timeout=5)
                self._ledger.tried_alerts.add(name)
                alert = {"status": "firing", "labels": {"alertname": name}, "startsAt": "2026-11-24T10:00:00Z"}
                connection.request("POST", "/hooks/alertmanager", json.dumps({"version": "4", "alerts": [alert]}))
                answer = connection.getresponse()
                answer.read()
                if 200 <= answer.status < 300:
                    self._ledger.alerts.add(name)
                    name = ""
                    self._stop.wait(self._pause_seconds)
            except (OSError, http.client.HTTPException):
                if connection is not None:
                    connection.close()
                connection = None
                time.sleep(0.02)
        if connection is not None:
            connection.close()
