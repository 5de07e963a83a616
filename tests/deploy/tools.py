"""Runs the tools that judge what lies in deploy/."""

import re
import subprocess
import sys
from pathlib import Path

from triaged.reference import metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SERIES = re.compile(r"\b(?:triaged|process)_[a-z_]+\b")
OF_A_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")
OF_THE_PROCESS = {"process_resident_memory_bytes"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    beside = Path(sys.executable).parent / arguments[0]
    program = str(beside) if beside.exists() else arguments[0]
    return subprocess.run([program, *arguments[1:]], capture_output=True, text=True, timeout=180, check=False, cwd=DEPLOY)


def unknown_series(expression: str) -> set[str]:
    """Names in a PromQL expression that the program does not expose."""
    known = set(re.findall(r"^\| `([a-z_]+)`", metrics(), re.MULTILINE)) | OF_THE_PROCESS
    return {name for name in SERIES.findall(expression) if OF_A_HISTOGRAM.sub("", name) not in known and name not in known}
