"""`dev prove mutants`: small changes of threading, sameness, splitter and loop guards, one at a time; some test must notice each."""

import argparse
import os
import sys
import time
import tomllib
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
WALL_SECONDS = 300.0


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


def survey(name: str, subject: Subject, *, say: bool, only: int | None = None, shard: tuple[int, int] = (1, 1)) -> Score:
    """Run every mutant of a module against its tests, in children of this process."""
    source = (ROOT / subject.file).read_text()
    found = [each for each in mutants_of(source) if only is None or each.line == only][shard[0] - 1 :: shard[1]]
    warm.warm(subject.module, subject.tests)
    usual = warm.run(subject.tests, cpu_seconds=600, wall_seconds=WALL_SECONDS)
    if usual.failed:
        raise SystemExit(f"{name}: its tests fail without any mutant (exit code {usual.code}): {' '.join(subject.tests)}")
    limit = LEAST_CPU_SECONDS + int(TIMES_THE_USUAL * usual.seconds)
    reasons = tomllib.loads(EQUIVALENT.read_text()).get(name, {}) if EQUIVALENT.exists() else {}
    killed = by_limit = 0
    survivors: list[Mutant] = []
    for each in found:
        ran = warm.run(subject.tests, module=subject.module, tree=mutated(source, each.place), cpu_seconds=limit, wall_seconds=WALL_SECONDS)
        killed += ran.failed
        by_limit += bool(ran.limit)
        if not ran.failed:
            survivors.append(each)
            if say:
                why = f"\n    equivalent: {reasons[signature(each)]}" if signature(each) in reasons else ""
                print(f"{subject.file}:{each.line}: survived\n  - {each.before}\n  + {each.after}{why}", flush=True)
    equivalent = sum(signature(each) in reasons for each in survivors)
    return Score(name=name, mutants=len(found), killed=killed, by_limit=by_limit, survivors=tuple(survivors), equivalent=equivalent)


def _shard(text: str) -> tuple[int, int]:
    first, _, of = text.partition("/")
    return int(first), int(of)


def main() -> int:
    """Run the proof; exit 0 only where every module has its share killed."""
    parser = argparse.ArgumentParser(prog="dev prove mutants", description=__doc__)
    parser.add_argument("--only", choices=tuple(SUBJECTS), action="append", help="one module; all of them without it")
    parser.add_argument("--line", type=int, help="only the mutants of this line")
    parser.add_argument("--shard", type=_shard, default=(1, 1), help="K/N: every Nth mutant, from the Kth, to run N of them side by side")
    parser.add_argument("--quiet", action="store_true", help="figures only, no survivors")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/proof")
    asked = parser.parse_args()
    os.environ.setdefault("TRIAGED_EXAMPLES", "quick")
    os.chdir(ROOT)
    scores = []
    for name in asked.only or SUBJECTS:
        began = time.monotonic()
        score = survey(name, SUBJECTS[name], say=not asked.quiet, only=asked.line, shard=asked.shard)
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
