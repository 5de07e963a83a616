"""Real clients and servers of others against a real daemon. What is not on the machine is not collected; `dev test` says so."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prove.daemon import Daemon
from prove.postfix import SEARCH
from prove.relay import RecordingRelay

NEEDED = {
    "test_swaks_sends_mail.py": "swaks",
    "test_curl_speaks_to_the_doors.py": "curl",
    "test_promtool_reads_the_metrics.py": "promtool",
    "test_alertmanager_posts_its_webhook.py": "prometheus-alertmanager",
    "test_postfix_sends_and_relays.py": "postfix",
    "test_postfix_pipes.py": "postfix",
    "test_dovecot_is_fetched.py": "dovecot",
    "test_dovecot_takes_tokens.py": "dovecot",
    "test_two_replicas_fetch_one_mailbox.py": "dovecot",
    "test_doctor_logs_in_at_mailboxes.py": "dovecot",
}
FOR_ROOT = ("postfix", "dovecot")
WAIT_SECONDS = 120.0


def usable(program: str) -> bool:
    """Whether the program is there; some start for root only."""
    return shutil.which(program, path=SEARCH) is not None and (program not in FOR_ROOT or os.geteuid() == 0)


collect_ignore = [name for name, program in NEEDED.items() if not usable(program)]


class Site:
    """A daemon, its relay, and its command line."""

    def __init__(self, daemon: Daemon, relay: RecordingRelay) -> None:
        self.daemon, self.relay = daemon, relay

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "triaged", "--config", str(self.daemon.configuration), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.command(*arguments, "--json").stdout.splitlines()]

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.http_port}/metrics", timeout=60) as answer:
            return answer.read().decode()

    def until(self, found: Callable[[], Any]) -> Any:
        """What `found` gives once it is true; the daemon's log when it never is."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            result = found()
            if result:
                return result
            time.sleep(0.1)
        raise AssertionError(self.daemon.last_words())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A daemon that answers, with a relay that writes down what it takes."""
    relay = RecordingRelay()
    daemon = Daemon(tmp_path, relay.port)
    try:
        daemon.start()
        assert daemon.wait_ready(), daemon.last_words()
        yield Site(daemon, relay)
        assert daemon.stop() == 0
    finally:
        daemon.kill()
        relay.close()
