"""`dev test`: every test, and with --cov the coverage of the same run."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

CHECKERS = ("hadolint", "kubernetes-validate", "check-jsonschema")  # of what lies in deploy/, from requirements/deploy.txt
PROGRAMS = ("systemd-analyze", *CHECKERS, "schemathesis", "swaks", "curl", "postfix", "prometheus-alertmanager", "promtool", "faketime")
WHOLE_PERCENT, PURE_PERCENT = 95.0, 100.0
PURE = ("itsm/", "rules/")
PRAGMA = "pragma: no " + "cover"


def run(root: Path, python: str, rest: list[str]) -> int:
    """Run pytest on two workers; says what this machine cannot run."""
    measure = "--cov" in rest
    chosen = [each for each in rest if each != "--cov"]
    programs = [name for name in PROGRAMS if not found(name, beside=Path(python).parent)]
    no_server = without_server(root, python)
    for line in (*missing(root, python, programs), *no_server):
        print(f"dev: {line}")
    if (programs or no_server) and os.environ.get("TRIAGED_STRICT") == "1":
        print("dev: FAILED: TRIAGED_STRICT=1 asks for every program and for PostgreSQL")
        return 1
    parallel = [] if any(each.startswith("-n") for each in chosen) else ["-n", "2", "--dist", "loadfile"]
    command = [python, "-m", *(["coverage", "run", "-m"] if measure else []), "pytest", *parallel, "-q", *chosen]
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="triaged-coverage-") as folder:
        if measure:
            environment |= {"COVERAGE_FILE": str(Path(folder) / "data"), "COVERAGE_RCFILE": str(root / "pyproject.toml")}
        code = subprocess.call(command, env=environment)
        return coverage(root, python, environment, folder) or code if measure else code


def missing(root: Path, python: str, programs: list[str]) -> list[str]:
    """What tests of this run will not be collected, a line each."""
    lines = [f"{name} cannot be run here: its tests are not collected" for name in programs]
    probe = [python, "-c", "from prove.faultfs import unavailable; print(unavailable())"]
    reason = subprocess.run(probe, cwd=root, capture_output=True, text=True, check=False).stdout.strip()
    if reason:
        lines.append(f"{reason}: tests on a failing disk are not collected")
    corpora = Path(os.environ.get("TRIAGED_CORPORA", root.parent / "shared" / "corpora"))
    if not (corpora / "cases.jsonl").is_file():
        lines.append("no corpora (set TRIAGED_CORPORA): their tests are not collected")
    return lines


def without_server(root: Path, python: str) -> list[str]:
    """A line when there is no PostgreSQL to test on."""
    asked = [python, "-c", "from prove.postgres import why_not; print(why_not() or '')"]
    why = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=False).stdout.strip()
    return [f"PostgreSQL: {why}: its tests are not collected"] if why else []


def found(program: str, *, beside: Path) -> bool:
    """Whether a program is there, looked for beside our Python and where servers live too; Postfix starts for root only."""
    there = shutil.which(program, path=f"{beside}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None
    return there and (program != "postfix" or os.geteuid() == 0)


def coverage(root: Path, python: str, environment: dict[str, str], folder: str) -> int:
    """Print what is not covered and compare with the goals; 1 when one is missed."""
    subprocess.call([python, "-m", "coverage", "combine", "--quiet", folder], env=environment)
    subprocess.call([python, "-m", "coverage", "report", "--show-missing", "--skip-covered"], env=environment)
    report = Path(folder) / "report.json"
    subprocess.call([python, "-m", "coverage", "json", "--quiet", "-o", str(report)], env=environment)
    measured = json.loads(report.read_text())
    findings = short_of(measured) + too_many_pragmas(root)
    for line in findings:
        print(f"dev: {line}")
    print(f"dev: coverage {measured['totals']['percent_covered']:.1f} % with branches, goals {'missed' if findings else 'met'}")
    return 1 if findings else 0


def short_of(measured: dict[str, dict[str, dict[str, dict[str, float]]]]) -> list[str]:
    """The goals that were missed, a line each."""
    lines = []
    whole = float(measured["totals"]["percent_covered"])  # type: ignore[arg-type]  # coverage's report
    if whole < WHOLE_PERCENT:
        lines.append(f"coverage is {whole:.1f} %, the goal is {WHOLE_PERCENT:.0f} %")
    for name, file in sorted(measured["files"].items()):
        percent = file["summary"]["percent_covered"]
        if name.startswith(PURE) and percent < PURE_PERCENT:
            lines.append(f"{name} is covered to {percent:.1f} %, the goal for pure code is 100 %")
    return lines


def too_many_pragmas(root: Path) -> list[str]:
    """A finding when more lines are exempted than pyproject.toml allows."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    cap = settings["tool"]["triaged"]["pragma_no_cover_cap"]
    count = 0
    for package in settings["tool"]["importlinter"]["root_packages"]:
        for file in (root / package).rglob("*.py"):
            count += len(re.findall(PRAGMA, file.read_text()))
    return [f"{count} lines are exempted from coverage, the cap is {cap}"] if count > cap else []
