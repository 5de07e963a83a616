"""`dev check`: every static check, each to its end, and the corpus score."""

import ast
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from devtools import lock

MAX_FILE_LINES, MAX_FUNCTION_LINES = 500, 60
SCORE_FILE = "tests/corpora-score.toml"
Findings = list[str]
Score = dict[str, dict[str, int]]  # checks passed, by source and column


def run(root: Path, python: str, rest: list[str]) -> int:
    """Run them all; 1 when one failed. `--raise-score` writes the corpus score as the new base line."""
    unknown = [each for each in rest if each != "--raise-score"]
    if unknown:
        print(f"dev check: unknown argument {unknown[0]!r}; there is only --raise-score", file=sys.stderr)
        return 2
    steps: list[tuple[str, Callable[[], Findings]]] = [
        ("format", lambda: command([python, "-m", "ruff", "format", "--check", "--quiet", "."])),
        ("lint", lambda: command([python, "-m", "ruff", "check", "--quiet", "."])),
        ("types", lambda: command([python, "-m", "mypy"])),
        ("layers", lambda: command([str(Path(python).parent / "lint-imports")])),
        ("sizes", lambda: sizes(root)),
        ("locks", lambda: locks(root)),
        ("changelog", lambda: fragments(root)),
        ("documents", lambda: documents(root, python)),
        ("corpora", lambda: corpora(root, python, write="--raise-score" in rest)),
    ]
    failed = []
    for name, step in steps:
        began = time.monotonic()
        findings = step()
        print(f"dev: {name:10} {'FAILED' if findings else 'ok':7}{time.monotonic() - began:6.1f} s", flush=True)
        for line in findings:
            print(f"  {line}")
        failed += [name] if findings else []
    print(f"dev: check {'failed: ' + ', '.join(failed) if failed else 'passed'}")
    return 1 if failed else 0


def command(arguments: list[str]) -> Findings:
    """The output of a tool that failed."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else (done.stdout + done.stderr).strip().splitlines()[-200:]


def sources(root: Path) -> list[Path]:
    """Every Python file of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py", "dev"], cwd=root, capture_output=True, text=True, check=False
    )
    return [root / line for line in listed.stdout.splitlines() if (root / line).is_file()]


def sizes(root: Path) -> Findings:
    """Files over 500 lines and functions over 60."""
    findings = []
    for file in sources(root):
        text = file.read_text()
        lines = text.count("\n")
        if lines > MAX_FILE_LINES:
            findings.append(f"{file.relative_to(root)}: {lines} lines, at most {MAX_FILE_LINES}: two rooms?")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    findings.append(f"{file.relative_to(root)}:{node.lineno}: {node.name} has {length} lines, at most {MAX_FUNCTION_LINES}")
    return findings


def locks(root: Path) -> Findings:
    """Requirements that the lock files do not hold."""
    findings = []
    held: dict[str, str] = {}
    for group, requirements in lock.wanted(root).items():
        text = (root / "requirements" / f"{group}.txt").read_text()
        findings += [f"{each} is not in requirements/{group}.txt: run `python3 dev lock`" for each in lock.out_of_step(requirements, text)]
        for name, version in lock.pinned(text).items():
            if held.setdefault(name, version) != version:
                findings.append(f"{name} is {held[name]} in one file of requirements/ and {version} in {group}.txt: run `python3 dev lock`")
    extras = (
        f"{name}=={version}" for name, _, version in (each.partition("==") for each in lock.extras(root)) if held.get(name) != version
    )
    return [*findings, *(f"the extra {each} is in no file of requirements/ at this version" for each in extras)]


def fragments(root: Path) -> Findings:
    """Files of changelog.d that towncrier would not find."""
    kinds = {each["directory"] for each in tomllib.loads((root / "pyproject.toml").read_text())["tool"]["towncrier"]["type"]}
    files = [each for each in (root / "changelog.d").iterdir() if each.name not in (".gitignore", "README.md")]
    return [
        f"changelog.d/{each.name}: name it <word>.<{'|'.join(sorted(kinds))}>.md" for each in files if not _is_fragment(each.name, kinds)
    ]


def _is_fragment(name: str, kinds: set[str]) -> bool:
    parts = name.split(".")
    return len(parts) in (3, 4) and parts[1] in kinds and parts[-1] == "md"


def documents(root: Path, python: str) -> Findings:
    """Generated documents that differ from what the code says."""
    scripts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["triaged"]["generated"]
    return [line for script in scripts for line in command([python, *script.split()])]


def corpora(root: Path, python: str, *, write: bool) -> Findings:
    """The score on the corpora, which may only rise."""
    folder = Path(os.environ.get("TRIAGED_CORPORA", root.parent / "shared" / "corpora"))
    if not (folder / "score.py").is_file():
        print("dev: no corpora (set TRIAGED_CORPORA): not scored")
        return []
    report = root / ".venv" / "corpora-score.json"
    triaged = str(Path(python).parent / "triaged")
    arguments = [python, str(folder / "score.py"), "--cases", str(folder / "cases.jsonl"), "--triaged", triaged, "--json", str(report)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    print(done.stdout.rstrip())
    if not report.is_file():
        return ["score.py gave no result", *done.stderr.splitlines()[-5:]]
    measured = table(json.loads(report.read_text())["table"])
    report.unlink()
    return compare(root / SCORE_FILE, measured, write=write)


def compare(base_line: Path, measured: Score, *, write: bool) -> Findings:
    """What fell below the base line; `write` makes the measured score the new one where nothing fell."""
    if not base_line.is_file() and not write:
        return [f"there is no {SCORE_FILE}: write it by `python3 dev check --raise-score`"]
    fallen = lower(measured, tomllib.loads(base_line.read_text())) if base_line.is_file() else []
    if write and not fallen:
        base_line.write_text(as_toml(measured))
    return fallen


def table(raw: dict[str, dict[str, object]]) -> Score:
    """How many checks passed, by source and column."""
    shown: Score = {}
    for source, row in raw.items():
        shown[source] = {column: value[1] for column, value in row.items() if isinstance(value, list)}
    return shown


def lower(measured: Score, base: Score) -> Findings:
    """Where fewer checks pass than the base line has."""
    return [
        f"{source} {column}: {measured.get(source, {}).get(column, 0)} pass, the base line is {count}"
        for source, row in base.items()
        for column, count in row.items()
        if measured.get(source, {}).get(column, 0) < count
    ]


def as_toml(measured: Score) -> str:
    """The base line as a file."""
    lines = ["# Checks passed on the corpora; may only rise. Written by `python3 dev check --raise-score`."]
    for source, row in sorted(measured.items()):
        lines += ["", f'["{source}"]', *(f'"{column}" = {count}' for column, count in row.items())]
    return "\n".join(lines) + "\n"
