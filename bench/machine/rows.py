"""The disk: what one durable write at a time could reach."""

import os
import tempfile
import time

from bench.figure import Figure
from bench.row import Row

APPENDS, APPEND_BYTES = 500, 4_096


def appends_with_fsync() -> float:
    """Appends of 4 KiB a second, each with its fsync, on the disk the servers use (TMPDIR moves all of it)."""
    with tempfile.TemporaryFile(dir=os.environ.get("TMPDIR")) as file:
        began = time.perf_counter()
        for _ in range(APPENDS):
            file.write(b"x" * APPEND_BYTES)
            file.flush()
            os.fsync(file.fileno())
        return APPENDS / (time.perf_counter() - began)


FSYNC = Figure(name="fsync of 4 KiB, one by one", unit="/s", measure=appends_with_fsync)
ROWS = (Row(figure=FSYNC),)
