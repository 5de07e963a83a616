"""Daemons of their own process for the rows of reliability: with a defence switched off, a limit of the kernel, or another stderr."""

import os
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prove.ports import free_ports
from store.settings import StoreSettings
from tests.casework.desks import TestDesk
from tests.triaged.conftest import ROOT, Site

REPORT = "From: Ana <ana@example.com>\nTo: desk@example.org\nSubject: It is broken\nMessage-ID: <{}@example.com>\n\nIt is broken.\n"
RELAY = '[notifier.relay]\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\n'


class Life(Site):
    """A site whose daemon may be started without one of its defences (`tests.reliability.sabotage`)."""

    def begin(
        self,
        *,
        without: str = "",
        ready: bool = True,
        shell: str = "",
        stderr: int | None = None,
        **environment: str,
    ) -> None:
        """`shell` is said to a shell that then becomes the daemon: a limit, a closed descriptor."""
        program = ["-m", "tests.reliability.sabotage", without] if without else ["-m", "triaged"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", f'{shell or ":"}; exec "$@"', "sh", sys.executable, *program, "--config", str(self.file), "run"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log if stderr is None else stderr,
                env=os.environ | environment,
            )
        if ready:
            self.until(lambda: self.probe("/readyz")[0] == 200)

    def tries(self, name: str, timeout: float = 10.0) -> bool:
        """Send one mail; whether it was acknowledged."""
        try:
            with smtplib.SMTP("127.0.0.1", self.smtp, timeout=timeout) as smtp:
                smtp.sendmail("ana@example.com", ["desk@example.org"], REPORT.format(name).replace("\n", "\r\n").encode())
        except (OSError, smtplib.SMTPException):
            return False
        return True

    def ended(self) -> int:
        """Wait for the end of the process; its exit code."""
        assert self.process is not None
        return self.process.wait(30)

    def sent(self) -> list[bytes]:
        """The mails in the outbox folder."""
        return [each.read_bytes() for each in sorted((self.directory / "var" / "outbox").glob("*.eml"))]

    def tickets(self) -> list[dict[str, object]]:
        return self.command("ticket", "list", "--json").json()


def eventually(holds: Callable[[], bool], *, seconds: float = 20.0) -> bool:
    """Whether it comes to hold before the deadline."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Life]:
    """One, ended with the test."""
    made = Life(tmp_path, *free_ports(2))
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait()


@pytest.fixture
def make_desk(tmp_path: Path) -> Iterator[Callable[..., TestDesk]]:
    """Desks in this process on SQLite, which is what fails here."""
    made: list[TestDesk] = []

    def make(**rules: object) -> TestDesk:
        made.append(TestDesk(StoreSettings(path=str(tmp_path / f"var{len(made)}")), **rules))
        return made[-1]

    yield make
    for each in made:
        each.store.close()


@pytest.fixture
def desk(make_desk: Callable[..., TestDesk]) -> TestDesk:
    return make_desk()
