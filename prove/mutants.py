"""`dev prove mutants`: small changes of threading, sameness, splitter and loop guards, one at a time; some test must notice each."""

import argparse
import os
import sys
import time
import tomllib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from prove.mutation import warm
from prove.mutation.operators import Mutant, mutants_of, mutated
from prove.mutation.subjects import SUBJECTS, Subject
from prove.record import write_record

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENT = Path(__file__).with_name("mutation") / "equivalent.toml"
GOAL_PERCENT = 90
LEAST_CPU_SECONDS, TIMES_THE_USUAL = 10, 5
WALL_SECONDS = 1800.0
UNLIMITED = 60.0  # seconds that every test may take, and more than any does
MAX_KILLERS = 8  # tests that are run first
UNCHANGED = -1  # the place of no mutant


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How one module fared; `survivors` no test noticed, `equivalent` are those of them that nothing could notice."""

    name: str
    mutants: int
    killed: int
    by_limit: int
    survivors: tuple[Mutant, ...]
    equivalent: int

    @property
    def percent(self) -> float:
        """Of those that can be noticed, how many were."""
        return 100.0 * self.killed / max(1, self.mutants - self.equivalent)


def signature(mutant: Mutant) -> str:
    """What names a mutant in the list of equivalents: the change, which survives an edit elsewhere in the file."""
    return f"{mutant.before} -> {mutant.after}"


def survey(name: str, subject: Subject, *, say: bool, only: int | None = None, jobs: int = 1) -> Score:
    """Run every mutant of a module against its tests, in children of this process, `jobs` of them side by side."""
    source = (ROOT / subject.file).read_text()
    found = [each for each in mutants_of(source) if only is None or each.line == only]
    warm.warm(subject.module, subject.tests)
    usual = _usual(name, subject, source)
    limit = LEAST_CPU_SECONDS + int(TIMES_THE_USUAL * sum(usual.values()))
    reasons = tomllib.loads(EQUIVALENT.read_text()).get(name, {}) if EQUIVALENT.exists() else {}
    ran = dict[int, warm.Ran]()
    for each, one in _side_by_side(subject, source, found, usual=usual, cpu_seconds=limit, jobs=jobs):
        ran[each.place] = one
        if say and not one.failed:
            why = f"\n    equivalent: {reasons[signature(each)]}" if signature(each) in reasons else ""
            print(f"{subject.file}:{each.line}: survived\n  - {each.before}\n  + {each.after}{why}", flush=True)
    survivors = tuple(each for each in found if not ran[each.place].failed)
    return Score(
        name=name,
        mutants=len(found),
        killed=sum(each.failed for each in ran.values()),
        by_limit=sum(bool(each.limit) for each in ran.values()),
        survivors=survivors,
        equivalent=sum(signature(each) in reasons for each in survivors),
    )


def _usual(name: str, subject: Subject, source: str) -> dict[str, float]:
    """The tests, the quickest first, and the processor time of each on the module as it is, which they must pass in this order too."""
    usual: dict[str, float] = {}
    for _ in range(2):  # as they stand, to measure each; then in the order that the mutants meet them in
        ran = warm.Child(
            subject.tests,
            module=subject.module,
            tree=mutated(source, UNCHANGED),
            usual=dict.fromkeys(usual, UNLIMITED),
            cpu_seconds=600,
            wall_seconds=WALL_SECONDS,
        ).wait()
        if ran.failed:
            raise SystemExit(
                f"{name}: its tests fail without any mutant (exit code {ran.code}): {ran.seen.killer or ' '.join(subject.tests)}"
            )
        usual = dict(sorted(ran.seen.seconds.items(), key=lambda each: each[1]))
    return usual


def _side_by_side(
    subject: Subject, source: str, found: Sequence[Mutant], *, usual: Mapping[str, float], cpu_seconds: int, jobs: int
) -> Iterator[tuple[Mutant, warm.Ran]]:
    """Each mutant with how its tests ended. The tests that killed the last ones come first: neighbours often die of the same."""
    killers: deque[str] = deque(maxlen=MAX_KILLERS)
    running: list[tuple[Mutant, warm.Child]] = []
    waiting = deque(found)
    while waiting or running:
        while waiting and len(running) < jobs:
            each = waiting.popleft()
            tree = mutated(source, each.place)
            order = dict.fromkeys((*killers, *usual))
            child = warm.Child(
                subject.tests,
                module=subject.module,
                tree=tree,
                usual={test: usual[test] for test in order},
                cpu_seconds=cpu_seconds,
                wall_seconds=WALL_SECONDS,
            )
            running.append((each, child))
        time.sleep(warm.PAUSE_SECONDS)
        for each, child in tuple(running):
            ran = child.ended()
            if ran is None:
                continue
            running.remove((each, child))
            if killer := ran.seen.killer:
                killers = deque((killer, *(other for other in killers if other != killer)), maxlen=MAX_KILLERS)
            yield each, ran


def main() -> int:
    """Run the proof; exit 0 only where every module has its share killed."""
    parser = argparse.ArgumentParser(prog="dev prove mutants", description=__doc__)
    parser.add_argument("--only", choices=tuple(SUBJECTS), action="append", help="one module; all of them without it")
    parser.add_argument("--line", type=int, help="only the mutants of this line")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="mutants side by side; as many as there are processors without it"
    )
    parser.add_argument("--quiet", action="store_true", help="figures only, no survivors")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/proof")
    asked = parser.parse_args()
    if asked.record and asked.line is not None:
        parser.error("--record keeps whole modules: leave --line out")
    os.environ.setdefault("TRIAGED_EXAMPLES", "quick")
    os.chdir(ROOT)
    scores = []
    for name in asked.only or SUBJECTS:
        began = time.monotonic()
        score = survey(name, SUBJECTS[name], say=not asked.quiet, only=asked.line, jobs=max(1, asked.jobs))
        scores.append(score)
        figure = (
            f"{name} ({SUBJECTS[name].file}): {score.killed} of {score.mutants} mutants killed ({score.by_limit} by a limit), "
            f"{score.equivalent} equivalent, {score.percent:.1f} %, {(time.monotonic() - began) / 60:.1f} minutes"
        )
        print(figure, flush=True)
        if asked.record:
            write_record("mutants", figure, held=score.percent >= GOAL_PERCENT)
    mutants, killed = sum(each.mutants for each in scores), sum(each.killed for each in scores)
    held = all(each.percent >= GOAL_PERCENT for each in scores)
    print(f"mutants: {killed} of {mutants} killed; every module at least {GOAL_PERCENT} %: {'yes' if held else 'NO'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
