"""Debian's Alertmanager, as it comes, on a temporary folder."""

import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figure import Unavailable
from prove.ports import free_ports

BINARY = "prometheus-alertmanager"
CONFIGURATION = "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n"
START_SECONDS = 30.0


@contextmanager
def alertmanager() -> Iterator[int]:
    """Start it; yields its port. Raises Unavailable where it is not installed."""
    found = shutil.which(BINARY)
    if found is None:
        raise Unavailable(f"{BINARY} is not installed (Debian package {BINARY})")
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder:
        configuration = Path(folder) / "alertmanager.yml"
        configuration.write_text(CONFIGURATION)
        process = subprocess.Popen(
            [found, f"--config.file={configuration}", f"--storage.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}",
             "--cluster.listen-address=", "--log.level=error"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _wait_ready(port)
            yield port
        finally:
            process.kill()
            process.wait()


def _wait_ready(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise Unavailable("Alertmanager did not get ready")
