"""What a running daemon takes of the machine, and what its metrics say: samples, and whether they rise."""

import time
import urllib.request
from pathlib import Path

import msgspec

PROC = Path("/proc")
QUEUES = ("triaged_store_queue_depth", 'triaged_inbox_pending{stage="pending"}', 'triaged_outbox_pending{state="queued"}')


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One look: seconds on the monotonic clock, MiB of the daemon and of its children, open descriptors, depth of the queues."""

    at: float
    daemon_mib: float
    children_mib: float
    descriptors: int
    queues: dict[str, float]


def children_of(pid: int) -> list[int]:
    """The processes it started that still run."""
    return [int(each) for task in (PROC / str(pid) / "task").iterdir() for each in (task / "children").read_text().split()]


def resident_mib(pid: int) -> float:
    """Resident memory."""
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


def sample(pid: int, http_port: int) -> Sample:
    """Look once; raises OSError when the daemon does not answer."""
    with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    said = {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line and not line.startswith("#"))}
    return Sample(
        at=time.monotonic(),
        daemon_mib=resident_mib(pid),
        children_mib=sum(resident_mib(each) for each in children_of(pid)),
        descriptors=len(list((PROC / str(pid) / "fd").iterdir())),
        queues={name: said.get(name, 0.0) for name in QUEUES},
    )


def slope_a_minute(points: list[tuple[float, float]]) -> float:
    """Least squares: by how much the value rises in a minute; the points are (seconds, value)."""
    count = len(points)
    if count < 2:
        return 0.0
    mean_at, mean = sum(at for at, _ in points) / count, sum(value for _, value in points) / count
    spread = sum((at - mean_at) ** 2 for at, _ in points)
    return 60 * sum((at - mean_at) * (value - mean) for at, value in points) / spread if spread else 0.0
