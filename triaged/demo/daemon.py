"""The daemon of the demonstration: a process of its own, on free loopback ports, in a directory of its own."""

import http.client
import json
import os
import signal
import smtplib
import subprocess
import sys
import time
from pathlib import Path

from itsm.errors import Transient
from itsm.identifier import parse_inbox
from triaged import clock
from triaged.demo.ports import free_ports
from triaged.demo.samples import DESK
from triaged.probe import ask

START_SECONDS, STOP_SECONDS, ANSWER_SECONDS = 120.0, 60.0, 60.0
CONFIGURATION = """\
[desk]
name = "Example Service Desk"
address = "{desk}"

[store]
path = "{directory}"

[intake.smtp]
listen = "127.0.0.1:{smtp}"

[intake.http]
listen = "127.0.0.1:{http}"

[[intake.source]]
name = "alertmanager"
format = "alertmanager"
authentication = "none"

[[intake.source]]
name = "generic"
format = "generic"
authentication = "none"

[[team]]
key = "network"
name = "Network"
notify = "network-team@localhost"

[[team]]
key = "desk"
name = "First line"
addresses = ["{desk}"]
notify = "first-line@localhost"

[[service]]
key = "vpn"
name = "Remote access"
team = "network"
tier = 2

[[rules.rule]]
key = "vpn-words"
when = {{ subject = {{ contains = "vpn" }} }}
service = "vpn"
team = "network"
"""


class DemoDaemon:
    """One daemon, from start to stop."""

    def __init__(self, directory: Path) -> None:
        """Write its configuration and start it; raises Transient when it does not get ready."""
        self.directory, (self.smtp_port, self.http_port) = directory, free_ports(2)
        self.configuration = directory / "triaged.toml"
        text = CONFIGURATION.format(desk=DESK, directory=directory, smtp=self.smtp_port, http=self.http_port)
        self.configuration.write_text(text, encoding="utf-8")
        self._log = directory / "daemon.log"
        source = str(Path(__file__).resolve().parents[2])
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TRIAGED_")}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (source, environment.get("PYTHONPATH"))))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- this very interpreter with arguments of our own
                (sys.executable, "-P", "-m", "triaged", "--config", str(self.configuration), "run"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def _await_ready(self) -> None:
        deadline = clock.monotonic() + START_SECONDS
        while clock.monotonic() < deadline and self._process.poll() is None:
            try:
                if ask("127.0.0.1", self.http_port, 1.0)[0] == http.client.OK:
                    return
            except Transient:
                time.sleep(0.05)
        raise Transient(f"the daemon did not get ready:\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of the daemon's log."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-2_000:]

    def send_mail(self, sender: str, raw: bytes) -> int:
        """Hand a mail over by SMTP; returns the id of its envelope. Raises Transient when it is not taken."""
        with smtplib.SMTP("127.0.0.1", self.smtp_port, local_hostname="demo.example.org", timeout=ANSWER_SECONDS) as smtp:
            smtp.ehlo()
            smtp.mail(sender)
            smtp.rcpt(DESK)
            code, answer = smtp.data(raw)
        return _accepted(code, answer.decode("utf-8", "replace").split()[-1])

    def send_alert(self, raw: bytes) -> int:
        """Post an alert; returns the id of its envelope. Raises Transient when it is not taken."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=ANSWER_SECONDS)
        try:
            connection.request(
                "POST", "/hooks/alertmanager", raw, {"Content-Type": "application/json", "Host": f"localhost:{self.http_port}"}
            )
            response = connection.getresponse()
            body = json.loads(response.read())
        finally:
            connection.close()
        return _accepted(response.status, str(body.get("inbox_id", "")))

    def stop(self) -> int:
        """Let it drain; returns its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _accepted(code: int, text: str) -> int:
    inbox_id = parse_inbox(text)
    if not 200 <= code < 300 or inbox_id is None:
        raise Transient(f"the daemon answered {code} {text}")
    return inbox_id
