"""`dev prove simulate`: whole lives of the daemon under a virtual clock; any failure replays from its seed."""

import argparse
import os
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

import msgspec

from prove.record import write_record
from prove.simulation.world import World

STEPS = 3_000
MEMORY = Path("/dev/shm")  # a crash here is an abandoned connection: the disk's own promises are `dev prove powercut`'s affair


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one seed came to; `finding` is empty where everything held."""

    seed: int
    steps: int
    days: float
    lives: int
    crashes: int
    checks: int
    commits: int
    trace: str
    finding: str = ""
    events: tuple[str, ...] = ()


def simulate(seed: int, *, steps: int = STEPS, faults: float | None = None) -> Outcome:
    """Run one seed in a directory of its own; `faults` makes faults that much likelier than in a middling seed."""
    with tempfile.TemporaryDirectory(prefix="triaged-simulation-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        world = World(seed, Path(folder), steps=steps, faults=faults)
        finding = ""
        try:
            world.run()
        except Exception as error:  # whatever it was, it is a finding, with its seed
            where = "".join(traceback.format_exception(error)[-12:])
            finding = f"{type(error).__name__}: {error}\n{where}"
        return Outcome(
            seed=seed, steps=world.total_steps, days=world.now / 86_400, lives=world.lives, crashes=world.crashes,
            checks=world.checker.checks, commits=world.mirror.commits, trace=world.trace.hexdigest(), finding=finding,
            events=tuple(world.events),
        )  # fmt: skip


def told(outcome: Outcome, steps: int) -> str:
    """A failure, with all that is needed to see it again."""
    last = "\n".join(f"    {line}" for line in outcome.events)
    return (
        f"seed {outcome.seed} failed at step {outcome.steps}, life {outcome.lives}: {outcome.finding}\n  last events:\n{last}\n"
        f"  again: python3 dev prove simulate --seed {outcome.seed} --steps {steps}"
    )


def main() -> int:
    """Run seeds; exit 0 only where every invariant held; the figure stands on the last line."""
    parser = argparse.ArgumentParser(prog="dev prove simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds, from --first on")
    parser.add_argument("--seed", type=int, default=None, help="this one seed, with its trace hash")
    parser.add_argument("--first", type=int, default=None, help="the first seed; by default one at random")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of the loop before a seed drains")
    parser.add_argument("--minutes", type=float, default=None, help="instead of a number of seeds")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/proof")
    asked = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is a source of entropy too
        os.execve(sys.executable, [sys.executable, "-m", "prove.simulate", *sys.argv[1:]], os.environ | {"PYTHONHASHSEED": "0"})
    if asked.seed is not None:
        first, count = asked.seed, 1
    else:
        first, count = asked.first if asked.first is not None else random.randrange(2**31), asked.seeds
    began, busy = time.monotonic(), time.process_time()
    done: list[Outcome] = []
    failed = 0
    while (time.monotonic() - began < asked.minutes * 60) if asked.minutes else (len(done) < count):
        outcome = simulate(first + len(done), steps=asked.steps)
        done.append(outcome)
        if outcome.finding:
            failed += 1
            print(told(outcome, asked.steps), flush=True)
    seconds, busy = time.monotonic() - began, time.process_time() - busy
    steps = sum(each.steps for each in done)
    if asked.seed is not None:
        print(f"trace {done[0].trace}")
    figure = (
        f"seeds {first} to {first + len(done) - 1} of {asked.steps} steps: {steps} steps ({steps / seconds:.0f} a second, {steps / busy:.0f} a CPU second), "
        f"{sum(each.days for each in done):.0f} virtual days, {sum(each.lives for each in done)} lives, "
        f"{sum(each.crashes for each in done)} crashes, {sum(each.commits for each in done)} commits judged, "
        f"{failed} seeds with findings, {seconds / 60:.1f} minutes"
    )
    if asked.record:
        write_record("simulate", figure, held=not failed)
    print(figure)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
