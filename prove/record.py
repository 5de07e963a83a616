"""Records of proofs: what held, on which commit and machine, to be repeated by its seed."""

import os
import platform
import subprocess
from pathlib import Path

from triaged import clock

FOLDER = Path("docs/proof")


def write_record(name: str, figure: str, *, held: bool) -> None:
    """Append one line to `docs/proof/<name>.md`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{name}.md"
    if not file.exists():
        file.write_text(f"# Records of `python3 dev prove {name}`\n\n| when | commit | machine | held | figure |\n|---|---|---|---|---|\n")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip() or "none"
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    with file.open("a") as record:
        record.write(f"| {clock.now():%Y-%m-%d} | {commit} | {machine} | {'yes' if held else 'NO'} | {figure} |\n")
