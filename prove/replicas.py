"""`dev prove replicas`: three replicas on one PostgreSQL, killed, paused, cut off, their database crashed; then the ledger is compared."""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from prove import ledger as books
from prove.clients import Clients, Ledger
from prove.daemon import Daemon
from prove.postgres import PostgresServer
from prove.proxy import CuttingProxy
from prove.record import write_record
from prove.relay import RecordingRelay
from store.settings import PostgresSettings, StoreSettings

DATABASE = "replicas"
CLAIM_SECONDS = 4
ORPHAN_SECONDS = 20  # the relay answers at once: what is "sending" for longer has lost its sender
LOST_ANSWER_EVERY = 12  # COMMITs of the third replica
READY_SECONDS = 240.0
BUG = '"event":"ended by a bug"'
SETTINGS = """
[store.postgres]
url = "{url}"
claim_seconds = {claim}
writers = 2
readers = 2
lock_timeout_seconds = 5
"""


class Replicas:
    """The server, a proxy before it, three replicas, their clients and the relay."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        """Start everything and wait until each replica is ready."""
        self.chance, self.folder = chance, folder
        folder.chmod(0o755)
        self.relay, self.ledger = RecordingRelay(), Ledger()
        self.server = PostgresServer(folder / "server", durable=True)
        self.server.make_database(DATABASE)
        self.proxy = CuttingProxy(self.server.port)
        self.daemons = [self._daemon(name, self.proxy.port if name == "three" else self.server.port) for name in ("one", "two", "three")]
        for each in self.daemons:
            each.start()
        for each in self.daemons:
            each.wait_ready()
        self.proxy.cut_every(LOST_ANSWER_EVERY)
        self.clients = [
            Clients(each, self.ledger, self.relay, senders=1, posters=1, pause_seconds=0.05, seed=place)
            for place, each in enumerate(self.daemons)
        ]
        for clients in self.clients:
            clients.start()

    def _daemon(self, name: str, port: int) -> Daemon:
        folder = self.folder / name
        folder.mkdir()
        url = self.server.url(DATABASE, port=port)
        return Daemon(folder, self.relay.port, more=SETTINGS.format(url=url, claim=CLAIM_SECONDS))

    def kill(self) -> None:
        """SIGKILL one, and start it again a little later."""
        victim = self.chance.choice(self.daemons)
        victim.kill()
        time.sleep(self.chance.uniform(0.0, 2 * CLAIM_SECONDS))
        victim.start()

    def pause(self) -> None:
        """SIGSTOP one until the others have taken over what it had, then SIGCONT."""
        victim = self.chance.choice(self.daemons)
        victim.pause()
        time.sleep(2 * CLAIM_SECONDS + 1)
        victim.wake()

    def terminate(self) -> None:
        """End every session, as an administrator may."""
        self.server.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s", DATABASE)

    def crash(self) -> None:
        """`-m immediate`, and recovery."""
        self.server.crash()

    def partition(self) -> None:
        """The third replica does not reach the database for a while."""
        self.proxy.partition(on=True)
        time.sleep(2 * CLAIM_SECONDS)
        self.proxy.partition(on=False)

    def revive(self) -> None:
        """Whoever ended is started again, as its supervisor would: a start that does not reach the database ends."""
        for each in self.daemons:
            if not each.alive():
                each.start()

    def bugs(self) -> list[str]:
        """Ends that were nobody's doing."""
        logs = {each.folder.name: (each.folder / "log").read_text(errors="replace") for each in self.daemons}
        return [f"{name} ended by a bug: {line[-300:]}" for name, log in logs.items() for line in log.splitlines() if BUG in line]

    def heal(self) -> None:
        """Nothing is disturbed any more; whoever died of it is started again."""
        self.proxy.cut_every(0)
        for each in self.daemons:
            self._wait_ready(each)

    def _wait_ready(self, daemon: Daemon) -> None:
        """Until it answers, started again should it have died; a loaded machine is given time."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            if not daemon.alive():
                daemon.start()
            try:
                if daemon.wait_ready():
                    return
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise AssertionError(f"a replica never got ready: {(daemon.folder / 'log').read_text()[-3000:]}") from None

    def drained(self) -> bool:
        """Wait until all is triaged and sent."""
        return wait_until_drained(self.server, DATABASE)

    def ask(self, query: str) -> list[tuple[object, ...]]:
        """One query on the database itself."""
        return self.server.sql(query, database=DATABASE)

    def close(self) -> None:
        """End what is left of it."""
        for clients in getattr(self, "clients", []):
            clients.stop()
        for each in self.daemons:
            if each.alive():
                each.wake()
            each.kill()
        self.proxy.close()
        self.server.stop()
        self.relay.close()


def wait_until_drained(server: PostgresServer, database: str) -> bool:
    """Wait until all is triaged and sent; leases of senders that are no more run out meanwhile. False when nothing moves for too long."""
    orphans = f"state = 'sending' AND sending_at < (extract(epoch FROM clock_timestamp()) - {ORPHAN_SECONDS}) * 1000000"
    waiting = {"inbox WHERE state = 'pending'": books.NOTICES_AN_ITEM, "outbox WHERE state IN ('queued', 'sending')": 1}

    def left() -> int:
        server.sql(f"UPDATE outbox SET lease_until = 0 WHERE {orphans}", database=database)
        return sum(weight * int(server.sql(f"SELECT count(*) FROM {each}", database=database)[0][0]) for each, weight in waiting.items())

    return books.comes_to_nothing(left, pause_seconds=0.5)


KINDS: dict[str, Callable[[Replicas], None]] = {
    "kill": Replicas.kill,
    "pause": Replicas.pause,
    "terminate": Replicas.terminate,
    "crash": Replicas.crash,
    "partition": Replicas.partition,
}


@contextmanager
def running(folder: Path, chance: random.Random) -> Iterator[Replicas]:
    """Replicas that are ended whatever happens."""
    replicas = Replicas(folder, chance)
    try:
        yield replicas
    finally:
        replicas.close()


def disturb(folder: Path, *, seed: int, kinds: Sequence[str], minutes: float | None = None) -> tuple[books.Verdict, Counter[str], int]:
    """Disturb in this order once, or at random for so many minutes; heal, drain, judge. Returns also what was done and the answers lost."""
    chance, done = random.Random(seed), Counter[str]()
    with running(folder, chance) as replicas:
        deadline = time.monotonic() + (minutes or 0) * 60
        for kind in _kinds(chance, kinds, deadline if minutes else None):
            time.sleep(chance.uniform(0.5, 2.0))
            replicas.revive()
            KINDS[kind](replicas)
            done[kind] += 1
        time.sleep(2)
        replicas.heal()
        for clients in replicas.clients:
            clients.stop()
        findings = [] if replicas.drained() else ["the replicas did not drain"]
        codes = [each.stop() for each in replicas.daemons]
        findings += [f"a replica ended with exit code {code}" for code in codes if code]
        findings += replicas.bugs()
        settings = StoreSettings(path=str(folder / "judge"), postgres=PostgresSettings(url=replicas.server.url(DATABASE)))
        verdict = books.compare(replicas.ask, settings, replicas.ledger, replicas.relay, kills=done.total() + replicas.proxy.cuts)
        cuts = replicas.proxy.cuts
    found = (*findings, *verdict.findings)
    return (
        msgspec.structs.replace(verdict, findings=found),
        done,
        cuts,
    )


def _kinds(chance: random.Random, kinds: Sequence[str], deadline: float | None) -> Iterator[str]:
    if deadline is None:
        yield from kinds
        return
    while time.monotonic() < deadline:
        yield chance.choice(kinds)


def main() -> int:
    """Run the proof; exit 0 only where it held; the figure stands on the last line."""
    parser = argparse.ArgumentParser(prog="dev prove replicas", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--record", action="store_true", help="keep the result in docs/proof")
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else random.randrange(2**31)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="triaged-replicas-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        verdict, done, cuts = disturb(folder, seed=seed, kinds=tuple(KINDS), minutes=asked.minutes)
    for line in verdict.findings[:50]:
        print(line)
    told = ", ".join(f"{count} x {kind}" for kind, count in sorted(done.items()))
    figure = (
        f"{told}, {cuts} answers to a COMMIT lost, {verdict.acknowledged} acknowledged, {verdict.tickets} tickets, "
        f"{verdict.repeats} sent again, {verdict.extra_copies} extra copies, {len(verdict.findings)} findings, seed {seed}, {(time.monotonic() - began) / 60:.1f} minutes"
    )
    if asked.record:
        write_record("replicas", figure, held=not verdict.findings)
    print(figure)
    return 1 if verdict.findings else 0


if __name__ == "__main__":
    sys.exit(main())
