"""A real Postfix that pipes to `triaged deliver`, as the how-to says: stored, kept for later, or returned to the sender."""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prove.ports import free_ports
from prove.postfix import Postfix
from prove.relay import RecordingRelay

ROOT = Path(__file__).resolve().parents[2]
PIPE = """\
triaged unix - n n - 4 pipe
  flags=Rq null_sender= user=nobody:nogroup argv=/bin/sh {script} deliver --from ${{sender}} -- ${{recipient}}
"""
SCRIPT = """\
call=$(mktemp -d {folder}/calls/XXXXXXXX) && chmod 755 "$call" || exit 75
cat >"$call/mail"
for each in "$@"; do printf '%s\\0' "$each"; done >"$call/arguments"
mkdir "$call/asked"
tries=0
while [ ! -e "$call/code" ]; do
  tries=$((tries + 1)); [ $tries -lt 1200 ] || exit 75
  sleep 0.1
done
exit "$(cat "$call/code")"
"""
SETTINGS = """\
local_recipient_maps =
disable_dns_lookups = yes
smtp_host_lookup = native
transport_maps = inline:{{ {{ help.example = triaged: }} }}
relayhost = [127.0.0.1]:{sink}
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
"""
CONFIGURATION = '[store]\npath = "{folder}/var"\n[intake.smtp]\nmessage_limit_bytes = 4096\n'
MAIL = "From: Ana <ana@example.org>\r\nTo: desk@help.example\r\nSubject: Piped\r\nMessage-ID: <{}@example.org>\r\n\r\n{}\r\n"
WAIT_SECONDS = 120.0


class Piped:
    """A Postfix that pipes, and a sink where the world would be.

    pipe(8) runs what it is told as nobody, who may not be able to run the interpreter of a developer: a script carries mail, arguments
    and exit code between the two.
    """

    def __init__(self) -> None:
        self.folder, self.sink = Path(tempfile.mkdtemp(prefix="triaged-piped-")), RecordingRelay()
        self.folder.chmod(0o755)
        (self.folder / "calls").mkdir()
        (self.folder / "calls").chmod(0o777)
        self.file, script = self.folder / "triaged.toml", self.folder / "script"
        self.configure(CONFIGURATION.format(folder=self.folder))
        script.write_text(SCRIPT.format(folder=self.folder))
        (port,) = free_ports(1)
        self.postfix = Postfix(port, settings=SETTINGS.format(sink=self.sink.port), services=PIPE.format(script=script))
        self._ended = threading.Event()
        self._carrier = threading.Thread(target=self._carry)
        self._carrier.start()

    def _carry(self) -> None:
        """Run each call, and give the script its exit code."""
        while not self._ended.wait(0.1):
            for asked in (self.folder / "calls").glob("*/asked"):
                call = asked.parent
                asked.rmdir()
                arguments = (call / "arguments").read_bytes().decode().split("\0")[:-1]
                code = self.command(*arguments, stdin=(call / "mail").read_bytes()).returncode
                (call / "given").write_text(str(code))
                (call / "given").rename(call / "code")

    def command(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "triaged", "--config", str(self.file), *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, cwd=ROOT, check=False)

    def configure(self, text: str) -> None:
        self.file.write_text(text)

    def send(
        self, name: str, text: str = "It is broken.", *, sender: str = "ana@example.org", to: tuple[str, ...] = ("desk@help.example",)
    ) -> None:
        self.postfix.send(MAIL.format(name, text), sender, *to)

    def stored(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.command("queue", "list", "--of", "inbox", "--json").stdout.splitlines()]

    def until(self, found: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            result = found()
            if result:
                return result
            time.sleep(0.2)
        raise AssertionError(self.postfix.log())

    def close(self) -> None:
        self._ended.set()
        self._carrier.join()
        self.postfix.close()
        self.sink.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def piped() -> Iterator[Piped]:
    made = Piped()
    try:
        yield made
    finally:
        made.close()


def test_a_mail_and_a_bounce_are_stored_with_their_envelopes(piped: Piped) -> None:
    """A null reverse-path must come as one: pipe(8) would say MAILER-DAEMON, and we would answer it."""
    piped.send("one", to=("desk@help.example", "other@help.example"))
    piped.send("bounce", sender="")
    piped.until(lambda: len(piped.stored()) == 2)
    found = {each["message_id"]: each for each in piped.stored()}
    one, bounce = found["one@example.org"], found["bounce@example.org"]
    assert (one["channel"], one["reverse_path"]) == ("pipe", "ana@example.org")
    assert sorted(one["forward_paths"]) == ["desk@help.example", "other@help.example"]
    assert bounce["reverse_path"] == ""


def test_what_cannot_be_stored_waits_in_postfix_and_what_is_too_large_goes_back(piped: Piped) -> None:
    whole = piped.file.read_text()
    piped.configure(whole + "[nonsense]\n")
    piped.send("later")
    piped.until(piped.postfix.has_deferred)
    piped.configure(whole)
    piped.postfix.flush()
    piped.until(piped.stored)
    piped.send("large", "x" * 60 + "\r\n" + "\r\n".join(["y" * 60] * 100))
    piped.until(lambda: any("ana@example.org" in recipients for recipients in piped.sink.recipients.values()))
    assert [each["message_id"] for each in piped.stored()] == ["later@example.org"]
