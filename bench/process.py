"""A server of `bench.servers` in a process of its own."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def server(kind: str) -> Iterator[int]:
    """Start it on a fresh folder; yields the port it told."""
    folder = tempfile.mkdtemp(prefix="triaged-bench-")
    process = subprocess.Popen([sys.executable, "-m", "bench.servers", kind, folder], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield next(int(line) for line in process.stdout if line.strip().isdecimal())
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)
