"""`dev prove powercut`: the power goes at random under mixed load; what was not synced is lost, torn or shuffled; then the ledger is compared."""

import argparse
import random
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec

from prove import ledger as books
from prove.clients import Clients, Ledger
from prove.crash import PAUSE_SECONDS, READY_SHARE, finish, on_sigterm
from prove.daemon import Daemon
from prove.disk import KINDS
from prove.faultfs import Fault, FaultFileSystem, unavailable
from prove.record import write_record
from prove.relay import RecordingRelay

FREEZE_WAIT_SECONDS = 2.0  # as long for the operation at which the power shall go
OPERATIONS = ("*", "write", "fsync")
LONGEST_SKIP = 300


class Cuts(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, how often the power went, and how many changes that took away."""

    cuts: int
    verdict: books.Verdict
    unsynced: int


def cut_and_restart(
    folder: Path, *, cuts: int, seed: int, synchronous: str = "FULL", kinds: tuple[str, ...] = KINDS, ending: threading.Event | None = None
) -> Cuts:
    """Cut the power so often (or until `ending`), let the last life drain, and judge. `synchronous` takes the defence away."""
    chance = random.Random(seed)
    relay, ledger = RecordingRelay(), Ledger()
    with FaultFileSystem(folder / "disk") as files:
        daemon = Daemon(folder, relay.port, data=files.folder)
        clients = Clients(daemon, ledger, relay, pause_seconds=PAUSE_SECONDS, seed=seed)
        corrupt: list[str] = []
        unsynced = made = 0
        try:
            daemon.warm_up(synchronous=synchronous)
            daemon.start()
            daemon.wait_ready()
            clients.start()
            while made < cuts and not (ending and ending.is_set()):
                kind = chance.choice(kinds)
                unsynced += cut(files, daemon, chance, kind)
                corrupt += corruption(files.folder, folder / "copy", f"cut {made} ({kind})")
                made += 1
                if chance.random() < 0.5:  # the others' first reader after the cut is the daemon
                    books.end_leases(files.folder)
                daemon.start()
                if chance.random() < READY_SHARE:
                    daemon.wait_ready()
            daemon.wait_ready()
            clients.stop()
            daemon.kill()
            books.end_leases(files.folder)
            daemon.start()
            daemon.wait_ready()
            verdict = finish(daemon, files.folder, ledger, relay, kills=made + 1)
        finally:
            clients.stop()
            daemon.close()
            relay.close()
    return Cuts(cuts=made, verdict=msgspec.structs.replace(verdict, findings=(*corrupt, *verdict.findings)), unsynced=unsynced)


def cut(files: FaultFileSystem, daemon: Daemon, chance: random.Random, kind: str) -> int:
    """Cut at a random moment, or in the middle of a random operation of the disk; how many changes were not synced."""
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0.0, 0.4))
    else:
        files.plan(Fault(operation=chance.choice(OPERATIONS), skip=chance.randrange(LONGEST_SKIP), freeze=True))
        files.wait_frozen(timeout_seconds=FREEZE_WAIT_SECONDS)
    assert daemon.process is not None
    return files.power_cut(daemon.process, seed=chance.randrange(2**32), kind=kind)


def corruption(disk: Path, copy: Path, when: str) -> list[str]:
    """A finding when the database, as the cut left it, does not recover whole; a copy is looked at, the original stays untouched."""
    copy.mkdir(exist_ok=True)
    for file in (disk / "var").glob("triaged.sqlite*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, copy / file.name)
    found = [("there is no database",)]
    if (copy / "triaged.sqlite").exists():
        connection = sqlite3.connect(copy / "triaged.sqlite")
        try:
            found = connection.execute("PRAGMA integrity_check").fetchall()
        except sqlite3.DatabaseError as error:
            found = [(str(error),)]
        connection.close()
    shutil.rmtree(copy)
    return [] if found == [("ok",)] else [f"{when}: the database is corrupt: {found[0][0]}"]


def main() -> int:
    """Run the proof; exit 0 only where it held, or, with --unsafe, where the harness saw what was lost."""
    parser = argparse.ArgumentParser(prog="dev prove powercut", description=__doc__)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--unsafe", choices=("NORMAL", "OFF"), help="run the store without its defence: the proof must then fail")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/proof")
    asked = parser.parse_args()
    reason = unavailable()
    if reason:
        print(f"dev prove powercut cannot be run here: {reason}")
        return 1
    seed = asked.seed if asked.seed is not None else random.randrange(2**31)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="triaged-powercut-") as folder:
        done = cut_and_restart(Path(folder), cuts=asked.cuts, seed=seed, synchronous=asked.unsafe or "FULL", ending=on_sigterm())
    verdict = done.verdict
    for line in verdict.findings[:50]:
        print(line)
    lost = sum(line.endswith("is lost") for line in verdict.findings)
    corrupt = sum("corrupt" in line for line in verdict.findings)
    held = bool(lost) if asked.unsafe else not verdict.findings
    minutes = (time.monotonic() - began) / 60
    figure = (
        f"{f'WITHOUT DEFENCE (synchronous={asked.unsafe}), which must lose: ' if asked.unsafe else ''}"
        f"{done.cuts} cuts, {done.unsynced} changes not synced, {verdict.acknowledged} acknowledged, {lost} lost, {verdict.tickets} tickets, "
        f"{verdict.extra_copies} extra copies, {corrupt} corrupt, {len(verdict.findings)} findings, seed {seed}, {minutes:.1f} minutes"
    )
    if asked.record:
        write_record("powercut", figure, held=held)
    print(figure)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
