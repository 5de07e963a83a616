"""`dev prove crash`: SIGKILL at random under mixed load, life after life on one data directory; then the ledger is compared."""

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec

from prove import ledger as books
from prove.clients import Clients, Ledger
from prove.daemon import Daemon
from prove.record import write_record
from prove.relay import RecordingRelay

PAUSE_SECONDS = 0.06  # between a client's items: what arrives shall not outgrow what short lives can triage
READY_SHARE = 0.7  # of the lives get ready before they are killed; the others die in the middle of their start, or soon after


def live_and_die(
    folder: Path, *, kills: int, seed: int, minutes: float | None = None, ending: threading.Event | None = None
) -> tuple[books.Verdict, int]:
    """Kill `kills` lives at random (or for so many minutes, or until `ending`), let the last one drain, and judge."""
    chance = random.Random(seed)
    relay, ledger = RecordingRelay(), Ledger()
    daemon = Daemon(folder, relay.port)
    clients = Clients(daemon, ledger, relay, pause_seconds=PAUSE_SECONDS, seed=seed)
    deadline = time.monotonic() + minutes * 60 if minutes else None
    killed = 0
    try:
        daemon.warm_up()
        daemon.start()
        daemon.wait_ready()
        clients.start()
        while ((time.monotonic() < deadline) if deadline else (killed < kills)) and not (ending and ending.is_set()):
            time.sleep(chance.uniform(0.0, 0.4))
            daemon.kill()
            killed += 1
            books.end_leases(folder)
            daemon.start()
            if chance.random() < READY_SHARE:
                daemon.wait_ready()
        daemon.wait_ready()
        clients.stop()
        verdict = finish(daemon, folder, ledger, relay, kills=killed)
    finally:
        clients.stop()
        daemon.close()
        relay.close()
    return verdict, killed


def die_at(folder: Path, step: str) -> books.Verdict:
    """One life that is killed when it passes a named step under load, and one that drains."""
    relay, ledger = RecordingRelay(), Ledger()
    daemon = Daemon(folder, relay.port)
    clients = Clients(daemon, ledger, relay, senders=2, posters=1, writers=1, pause_seconds=0.02)
    try:
        daemon.start(crash_at=f"{step}:2")
        clients.start()
        deadline = time.monotonic() + 120
        while daemon.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        reached = not daemon.alive()
        daemon.kill()
        books.end_leases(folder)
        daemon.start()
        daemon.wait_ready()
        clients.stop()
        verdict = finish(daemon, folder, ledger, relay, kills=1)
    finally:
        clients.stop()
        daemon.kill()
        relay.close()
    return (
        verdict if reached else books.Verdict(findings=(f"the step {step} was never reached",), acknowledged=0, tickets=0, extra_copies=0)
    )


def finish(daemon: Daemon, folder: Path, ledger: Ledger, relay: RecordingRelay, *, kills: int) -> books.Verdict:
    """Let the last life drain and stop in peace, then judge."""
    drained = books.drained(folder)
    code = daemon.stop()
    verdict = books.judge(folder, ledger, relay, kills=kills)
    more = [] if drained else ["the last life did not drain"]
    more += [f"the last life ended with exit code {code}"] if code else []
    return msgspec.structs.replace(verdict, findings=(*more, *verdict.findings))


def on_sigterm() -> threading.Event:
    """Set by SIGTERM: a long run then judges what it has so far."""
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ending.set())
    return ending


def main() -> int:
    """Run the proof; exit 0 only where it held; the figure stands on the last line."""
    parser = argparse.ArgumentParser(prog="dev prove crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=None, help="instead of a number of kills")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--record", action="store_true", help="keep the result in docs/proof")
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else random.randrange(2**31)
    began = time.monotonic()
    ending = on_sigterm()
    with tempfile.TemporaryDirectory(prefix="triaged-crash-") as folder:
        verdict, kills = live_and_die(Path(folder), kills=asked.kills, seed=seed, minutes=asked.minutes, ending=ending)
    for line in verdict.findings[:50]:
        print(line)
    minutes = (time.monotonic() - began) / 60
    figure = (
        f"{kills} kills, {verdict.acknowledged} acknowledged, {verdict.repeats} repeats, {verdict.tickets} tickets, "
        f"{verdict.extra_copies} extra copies, "
        f"{len(verdict.findings)} findings, seed {seed}, {minutes:.1f} minutes"
    )
    if asked.record:
        write_record("crash", figure, held=not verdict.findings)
    print(figure)
    return 1 if verdict.findings else 0


if __name__ == "__main__":
    sys.exit(main())
