"""The real daemon as a process that can be started, killed and started again on the same data."""

import ast
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from prove.cradle import Cradle, Life
from prove.ports import free_ports

CONFIGURATION = """\
[desk]
address = "help@localhost"
[store]
path = "{folder}/var"
[intake.smtp]
listen = "127.0.0.1:{smtp}"
[intake.http]
listen = "127.0.0.1:{http}"
[rules.budgets]
per_address_hour = 1000000
per_domain_minute = 1000000
total_minute = 1000000
same_mail_week = 1000000
[[team]]
key = "desk"
name = "Desk"
addresses = ["help@localhost"]
notify = "team@localhost"
[notifier.relay]
host = "127.0.0.1"
port = {relay}
tls = "none"
"""
START_SECONDS = 180.0  # a life on a machine that is busy with other work


def _configuration(code: Path | None) -> str:
    """What a checkout's own proofs configure: code of another day knows other keys."""
    if code is None:
        return CONFIGURATION
    body = ast.parse((code / "prove" / "daemon.py").read_text()).body
    named = {each.targets[0].id: each.value for each in body if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)}
    return str(ast.literal_eval(named["CONFIGURATION"]))


class Daemon:
    """One data directory and the processes that live on it, one after another."""

    def __init__(
        self, folder: Path, relay_port: int, *, data: Path | None = None, more: str = "", roles: str = "all", code: Path | None = None
    ) -> None:
        """Write the configuration, `more` of it at the end; nothing runs yet. The store is at `var` below `data`, or below the folder.

        `code` is another checkout, whose daemon runs instead of ours.
        """
        self.folder, self._roles, self._code = folder, roles, code
        self.smtp_port, self.http_port = free_ports(2)
        self.configuration = folder / "triaged.toml"
        text = _configuration(code).format(folder=data or folder, smtp=self.smtp_port, http=self.http_port, relay=relay_port)
        self.configuration.write_text(text + more)
        self.process: subprocess.Popen[bytes] | Life | None = None
        self._cradle: Cradle | None = None

    def warm_up(self, *, synchronous: str = "FULL") -> None:
        """From here on lives are forked by a process that has imported everything; `close` ends it.

        `synchronous` other than FULL takes the store's defence away, to see what then happens.
        """
        self._cradle = self._cradle or Cradle(self.configuration, self.folder / "log", synchronous=synchronous)

    def start(self, crash_at: str = "") -> None:
        """Start a life; `crash_at` names the step at which it shall be killed."""
        if self._cradle is not None and not crash_at:
            self.process = self._cradle.life()
            return
        roles = [] if self._roles == "all" else ["--role", self._roles]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "triaged", "run", "--config", str(self.configuration), *roles],
                env=self.environment(crash_at),
                cwd=self._code,
                stdout=log,
                stderr=log,
            )

    def environment(self, crash_at: str = "") -> dict[str, str]:
        """Of its processes. A life that ends by SIGKILL writes no coverage: measuring it would only make each start slower."""
        return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")} | {"TRIAGED_CRASH_AT": crash_at}

    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def wait_ready(self) -> bool:
        """Wait until it answers; False when it died first."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.alive():
                return False
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/readyz", timeout=5):
                    return True
            except (urllib.error.URLError, OSError):
                time.sleep(0.04)
        raise TimeoutError(f"the daemon did not get ready; its last words: {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        return (self.folder / "log").read_text(errors="replace")[-3_000:]

    def pause(self) -> None:
        """SIGSTOP: it stands still, its connections open, its locks held."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and reap."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        """Kill what lives, and its cradle."""
        self.kill()
        if self._cradle is not None:
            self._cradle.close()
            self._cradle = None

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)
