"""A daemon as people run it: its own process, its own directory, free loopback ports; and its command line in this process."""

import contextlib
import http.client
import io
import json
import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from prove.ports import free_ports
from triaged.main import run

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = """
[desk]
name = "Test Desk"
address = "desk@example.org"
[store]
path = "{directory}/var"
[log]
level = "info"
format = "json"
[intake.smtp]
listen = "127.0.0.1:{smtp}"
domains = ["example.org"]
[intake.http]
listen = "127.0.0.1:{http}"
[[intake.source]]
name = "generic"
authentication = "none"
[[team]]
key = "desk"
name = "First line"
addresses = ["desk@example.org"]
notify = "team@example.org"
[[agent]]
key = "ben"
name = "Ben"
address = "ben@example.org"
teams = ["desk"]
"""

WAITING = (("inbox",), ("outbox", "--state", "queued"), ("outbox", "--state", "sending"))


class Said(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str

    def json(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Site:
    """A directory with a configuration, and perhaps a daemon that runs on it."""

    def __init__(self, directory: Path, smtp: int, http_port: int) -> None:
        self.directory, self.smtp, self.http = directory, smtp, http_port
        self.file = directory / "triaged.toml"
        self.configure()
        self.process: subprocess.Popen[bytes] | None = None
        self.log = directory / "log"

    def configure(self, more: str = "") -> None:
        self.file.write_text(CONFIGURATION.format(directory=self.directory, smtp=self.smtp, http=self.http) + more)

    def start(self, *, ready: bool = True, **environment: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "triaged", "--config", str(self.file), "run"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | environment,
            )
        if ready:
            self.until(lambda: self.probe("/readyz")[0] == 200)

    def probe(self, path: str) -> tuple[int, bytes]:
        try:
            return self.request("GET", path)
        except OSError:
            assert self.process is None or self.process.poll() is None, self.log.read_text()
            return 0, b""

    def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(4_000):
            if holds():
                return
            time.sleep(0.03)
        raise AssertionError(f"it never came to be:\n{self.log.read_text() if self.log.exists() else ''}")

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, port: int | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.http, timeout=60)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def mail(self, text: str, sender: str = "ana@example.com", recipient: str = "desk@example.org") -> str:
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=60) as smtp:
            smtp.ehlo("client.example.com")
            smtp.mail(sender)
            smtp.rcpt(recipient)
            code, answer = smtp.data(text.replace("\n", "\r\n").encode())
        assert code == 250, answer
        return answer.decode().split()[-1]

    def alert(self, body: Mapping[str, object]) -> str:
        status, answer = self.request("POST", "/hooks/generic", json.dumps(body).encode(), {"Content-Type": "application/json"})
        assert status == 202, answer
        return str(json.loads(answer)["inbox_id"])

    def settle(self) -> None:
        self.until(lambda: not any(self.command("queue", "list", "--of", *queue).out for queue in WAITING))

    def metric(self, name: str) -> float | None:
        for line in self.probe("/metrics")[1].decode().splitlines():
            if line.startswith(name + " "):
                return float(line.rpartition(" ")[2])
        return None

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def command(self, *arguments: str) -> Said:
        return spoken("--config", str(self.file), *arguments)

    def stop(self, which: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(which)
        try:
            return self.process.wait(20)
        finally:
            if self.process.poll() is None:
                self.process.kill()


def spoken(*arguments: str) -> Said:
    """Run a command in this process and catch what it says, bytes and all."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")  # as Python's own
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8", "surrogateescape"))  # type: ignore[attr-defined]  # a BytesIO
    return Said(code, *texts)


@pytest.fixture(scope="session")
def say() -> Callable[..., Said]:
    return spoken


@pytest.fixture(scope="module")
def module_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from _site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    yield from _site(tmp_path)


def _site(directory: Path) -> Iterator[Site]:
    made = Site(directory, *free_ports(2))
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.stop()
