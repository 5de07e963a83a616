"""`dev prove fuzz`: coverage-guided fuzzing of the parsers of mail and alerts; every input that raises becomes a regression file."""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from prove.installed import install
from prove.record import write_record
from prove.targets import REGRESSIONS, ROOT, TARGETS, seed_folders

SECONDS_AN_INPUT, RESIDENT_MIB, LONGEST_OCTETS = 20, 1024, 16_384
SHOWN_LINES = 30
PROGRESS = re.compile(rb"^#(\d+)\s.*\bcov: (\d+)", re.MULTILINE)


class Fuzzed(msgspec.Struct, frozen=True, kw_only=True):
    """How one target fared; `file` is the input it died of."""

    executions: int
    coverage: int
    file: Path | None
    said: str


def fuzz(name: str, *, runs: int, seed: int, seconds: int = 0) -> Fuzzed:
    """Run a target so often, or for so many seconds; what it died of is kept as a regression."""
    with tempfile.TemporaryDirectory(prefix=f"triaged-fuzz-{name}-") as folder:
        corpus, crashes = Path(folder) / "corpus", Path(folder) / "crashes"
        corpus.mkdir()
        crashes.mkdir()
        options = [
            f"-runs={runs}",
            f"-max_total_time={seconds}",
            f"-seed={seed or 1}",
            f"-timeout={SECONDS_AN_INPUT}",
            f"-rss_limit_mb={RESIDENT_MIB}",
            f"-max_len={LONGEST_OCTETS}",
            f"-artifact_prefix={crashes}/",
        ]
        log = Path(folder) / "log"
        command = [sys.executable, "-m", "prove.fuzzing", name, *options, str(corpus), *map(str, seed_folders(name))]
        with log.open("wb") as opened:
            code = subprocess.call(command, cwd=ROOT, stdout=opened, stderr=opened)
        said = log.read_bytes()
        file = next((_kept(name, each) for each in crashes.iterdir()), None) if code else None
    progress = PROGRESS.findall(said)
    executions, coverage = (int(each) for each in progress[-1]) if progress else (0, 0)
    tail = "\n".join(said.decode(errors="replace").splitlines()[-SHOWN_LINES:])
    return Fuzzed(executions=executions, coverage=coverage, file=file, said=tail if code else "")


def _kept(name: str, crash: Path) -> Path:
    """Keep an input as a regression, named by its content."""
    target = REGRESSIONS / name / hashlib.sha256(crash.read_bytes()).hexdigest()[:16]
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(crash, target)
    return target


def main() -> int:
    """Run the proof; exit 0 only where no target died."""
    parser = argparse.ArgumentParser(prog="dev prove fuzz", description=__doc__)
    parser.add_argument("--target", choices=tuple(TARGETS), action="append", help="one target; all of them without it")
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions of each target")
    parser.add_argument("--seconds", type=int, default=0, help="at most so long for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="keep the result in docs/proof")
    asked = parser.parse_args()
    if not install("atheris", "fuzz"):
        print("dev prove fuzz cannot be run here: there is no wheel of atheris for this machine and this Python")
        return 1
    held = True
    for name in asked.target or TARGETS:
        began = time.monotonic()
        done = fuzz(name, runs=asked.runs, seed=asked.seed, seconds=asked.seconds)
        minutes = (time.monotonic() - began) / 60
        fine = not done.said
        held &= fine
        if done.said:
            print(done.said)
        where = f", kept as {done.file.relative_to(ROOT)}" if done.file else ""
        figure = (
            f"{name}: {done.executions} executions, {done.coverage} branches covered, {0 if fine else 1} crash{where}, seed {asked.seed}, "
            f"{minutes:.1f} minutes"
        )
        if asked.record:
            write_record("fuzz", figure, held=fine)
        print(figure, flush=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
