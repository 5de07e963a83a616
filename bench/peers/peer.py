"""What the peers share: a virtual environment outside the repository, mails, and a relay that looks at its watch."""

import atexit
import functools
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.figure import Unavailable
from prove.relay import RecordingRelay

MAILS, BODY_BYTES = 100, 2_048
INSTALL_SECONDS, RUN_SECONDS = 300, 300


class WatchingRelay(RecordingRelay):
    """Writes down when it took each acknowledgement."""

    def __init__(self) -> None:
        """Start listening."""
        self.taken_at: list[float] = []
        super().__init__()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 -- aiosmtpd calls it so
        """Look at the watch, then as ever."""
        self.taken_at.append(time.perf_counter())
        return await super().handle_DATA(server, session, envelope)

    def rate(self, program: str) -> float:
        """Tickets a second between the first acknowledgement and the last, so that nobody's start-up counts."""
        if len(self.taken_at) < MAILS:
            raise Unavailable(f"{program} acknowledged {len(self.taken_at)} of {MAILS} mails")
        return (len(self.taken_at) - 1) / (self.taken_at[-1] - self.taken_at[0])


@functools.cache
def environment(package: str) -> Path:
    """A virtual environment with the package, removed when the bench ends; raises Unavailable with pip's last word."""
    folder = Path(tempfile.mkdtemp(prefix="triaged-bench-peer-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command([sys.executable, "-m", "venv", str(folder)], folder)
    command([str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", package], folder)
    return folder


def command(words: list[str], folder: Path, **more: str) -> str:
    """Run a command in a folder and give what it says; raises Unavailable when it fails or takes too long."""
    name = f"{Path(words[0]).name} {' '.join(words[1:3])}"
    try:
        done = subprocess.run(
            words, cwd=folder, env=more or None, capture_output=True, text=True, timeout=max(INSTALL_SECONDS, RUN_SECONDS), check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"not installed: {name}: {error}") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1]
        raise Unavailable(f"not installed: {name}: {last}")
    return done.stdout


def mail(index: int) -> bytes:
    """A plain mail of 2 KiB, each from somebody else."""
    body = "Please help, it is broken.\n" * (BODY_BYTES // 27)
    return (
        f"From: Ana {index} <ana{index}@x.example>\nTo: help@corp.example\nSubject: it is broken, case {index}\n"
        f"Date: Tue, 24 Nov 2026 10:00:00 +0000\nMessage-ID: <{index}@x.example>\n\n{body}"
    ).encode()
