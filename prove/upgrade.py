"""`dev prove upgrade`: data of every version of the schema is brought to ours, and on PostgreSQL code of the version before works beside ours.

The old code is that of the commit before each migration, out of the history of git.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from prove import history
from prove import ledger as books
from prove.clients import Clients, Ledger
from prove.crash import finish
from prove.daemon import Daemon
from prove.history import ROOT, Past
from prove.postgres import PostgresServer
from prove.record import write_record
from prove.relay import RecordingRelay
from prove.replicas import SETTINGS, wait_until_drained
from store.settings import PostgresSettings, StoreSettings

DATABASE = "upgrade"
CLAIM_SECONDS = 5
ENOUGH = 15  # items taken in each stage
WAIT_SECONDS = 180.0


def verb(daemon: Daemon, *words: str, code: Path = ROOT, crash_at: str = "") -> subprocess.CompletedProcess[str]:
    """A command of this code, or of that at `code`, with the daemon's configuration."""
    environment = daemon.environment(crash_at)
    command = [sys.executable, "-m", "triaged", *words, "--config", str(daemon.configuration)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS, cwd=code, env=environment)


def take_some(ledger: Ledger, clients: Clients, *, seconds: float = WAIT_SECONDS) -> None:
    """Until some more mails and alerts were acknowledged; raises TimeoutError after so long."""
    wanted = {kind: ledger.taken[kind] + ENOUGH for kind in ("mail", "alert")}
    clients.start()
    deadline = time.monotonic() + seconds
    while any(ledger.taken[kind] < count for kind, count in wanted.items()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{ {kind: ledger.taken[kind] for kind in wanted} } of {wanted} were taken")
        time.sleep(0.05)


def from_the_past(past: Past, folder: Path, *, crash: bool = True, seed: int = 0) -> books.Verdict:
    """SQLite: old code works, this code upgrades (killed once in the middle of it) and works on; nothing is lost or doubled."""
    code = past.copy(folder / "code")
    relay, ledger = RecordingRelay(), Ledger()
    (folder / "data").mkdir()
    old = Daemon(folder / "data", relay.port, code=code)
    clients: list[Clients] = []
    daemon = old
    try:
        for each in (old, None):
            if each is None:
                daemon = Daemon(folder / "data", relay.port)
                if crash:
                    verb(daemon, "db", "upgrade", crash_at="migrate.before_commit")
                done = verb(daemon, "db", "upgrade")
                if done.returncode != 0:
                    return _found(f"the upgrade from {past.version} failed: {done.stderr.strip()}")
            daemon.start()
            if not daemon.wait_ready():
                return _found(f"{past.version}: {(folder / 'data' / 'log').read_text()[-2000:]}")
            clients.append(Clients(daemon, ledger, relay, senders=1, posters=1, writers=0, seed=seed))
            take_some(ledger, clients[-1])
            clients[-1].stop()
            if each is not None:
                daemon.stop()
        return finish(daemon, folder / "data", ledger, relay, kills=0)
    finally:
        for each in clients:
            each.stop()
        for each in (old, daemon):
            each.close()
        relay.close()


class SideBySide:
    """One PostgreSQL, one replica of the version before and one of ours, each with clients of its own."""

    def __init__(self, past: Past, folder: Path, *, seed: int = 0) -> None:
        """Start the server; nobody works on it yet."""
        folder.chmod(0o755)
        self.past, self.folder, self._seed = past, folder, seed
        self.code = past.copy(folder / "code")
        self.server = PostgresServer(folder / "server", durable=True)
        self.server.make_database(DATABASE)
        self.relay, self.ledger = RecordingRelay(), Ledger()
        self.old, self.new = self._daemon("old", self.code), self._daemon("new", None)
        self._clients: list[Clients] = []

    def _daemon(self, name: str, code: Path | None) -> Daemon:
        folder = self.folder / name
        folder.mkdir()
        settings = SETTINGS.format(url=self.server.url(DATABASE), claim=CLAIM_SECONDS)
        return Daemon(folder, self.relay.port, more=settings, code=code)

    def load(self, *daemons: Daemon, seconds: float = WAIT_SECONDS) -> None:
        """Clients at each until some of their items were taken; they go on."""
        for each in daemons:
            self._clients.append(
                Clients(each, self.ledger, self.relay, senders=1, posters=1, writers=0, pause_seconds=0.05, seed=self._seed)
            )
            take_some(self.ledger, self._clients[-1], seconds=seconds)

    def rest(self) -> None:
        """No client sends any more."""
        for each in self._clients:
            each.stop()
        self._clients = []

    def run(self) -> books.Verdict:
        """Old alone, upgraded under its feet, both, the old one killed, ours alone: then the ledger is compared."""
        self.old.start()
        self.old.wait_ready()
        self.load(self.old)
        done = verb(self.new, "db", "upgrade")
        if done.returncode != 0:
            return _found(f"the upgrade beside old code failed: {done.stderr.strip()}")
        self.new.start()
        self.new.wait_ready()
        self.load(self.new, self.old)
        findings = [] if self.old.alive() else [f"the old replica died: {(self.folder / 'old' / 'log').read_text()[-2000:]}"]
        self.old.kill()
        refused = verb(self.old, "run", code=self.code)  # what is told to whoever starts it again
        if refused.returncode == 0 or "newer version" not in refused.stderr + refused.stdout:
            findings.append(f"old code was not refused: {refused.stderr[-500:]}")
        self.load(self.new)
        self.rest()
        findings += [] if wait_until_drained(self.server, DATABASE) else ["the replicas did not drain"]
        code = self.new.stop()
        findings += [f"our replica ended with exit code {code}"] if code else []
        url = PostgresSettings(url=self.server.url(DATABASE))
        settings = StoreSettings(path=str(self.folder / "judge"), postgres=url)
        verdict = books.compare(lambda query: self.server.sql(query, database=DATABASE), settings, self.ledger, self.relay, kills=1)
        return msgspec.structs.replace(verdict, findings=(*findings, *verdict.findings))

    def close(self) -> None:
        """End what is left."""
        self.rest()
        for each in (self.old, self.new):
            each.close()
        self.server.stop()
        self.relay.close()


def beside_the_version_before(folder: Path, *, seed: int = 0) -> books.Verdict:
    """N and N-1 on one database."""
    both = SideBySide(history.pasts()[-1], folder, seed=seed)
    try:
        return both.run()
    finally:
        both.close()


def _found(line: str) -> books.Verdict:
    return books.Verdict(findings=(line,), acknowledged=0, tickets=0, extra_copies=0)


def main() -> int:
    """Run the proof; exit 0 only where it held; the figure stands on the last line."""
    parser = argparse.ArgumentParser(prog="dev prove upgrade", description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--record", action="store_true", help="keep the result in docs/proof")
    asked = parser.parse_args()
    why = history.why_not()
    if why is not None:
        print(f"nothing was proved: {why}")
        return 1
    seed = asked.seed if asked.seed is not None else random.randrange(2**31)
    began, told, findings, acknowledged = time.monotonic(), [], [], 0
    for past in history.pasts():
        with tempfile.TemporaryDirectory(prefix="triaged-upgrade-", ignore_cleanup_errors=True) as name:
            verdict = from_the_past(past, Path(name), seed=seed)
        told.append(f"{past.version} ({past.commit[:7]})")
        findings += [f"from {past.version}: {line}" for line in verdict.findings]
        acknowledged += verdict.acknowledged
        print(f"from {told[-1]}: {verdict.acknowledged} acknowledged, {len(verdict.findings)} findings", flush=True)
    with tempfile.TemporaryDirectory(prefix="triaged-upgrade-", ignore_cleanup_errors=True) as name:
        verdict = beside_the_version_before(Path(name), seed=seed)
    findings += [f"beside {told[-1]}: {line}" for line in verdict.findings]
    for line in findings[:50]:
        print(line)
    figure = (
        f"upgraded from {', '.join(told)}: {acknowledged} acknowledged; beside {told[-1]}: {verdict.acknowledged} acknowledged, "
        f"{verdict.tickets} tickets, {verdict.extra_copies} extra copies; {len(findings)} findings, seed {seed}, "
        f"{(time.monotonic() - began) / 60:.1f} minutes"
    )
    if asked.record:
        write_record("upgrade", figure, held=not findings)
    print(figure)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
