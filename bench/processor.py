"""The processor time that a process and all below it have used, as Linux counts it."""

import os
import time
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def used_seconds(root: int) -> float:
    """User and system time of a process, its descendants, and those of them that ended and were waited for."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(") ")[2].split()
        except OSError:  # it ended meanwhile
            continue
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(int(each) for each in fields[11:15])
    return sum(used for process, used in ticks.items() if _below(process, root, parents)) / TICKS_A_SECOND


def busy_seconds() -> float:
    """What all processes of the machine have used, the system's own time in it, and the time a hypervisor took away."""
    user, nice, system, _idle, _waiting, *rest = (int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + sum(rest)) / TICKS_A_SECOND


def below_seconds() -> float:
    """What the processes below this one have used, this one left out: the servers that are measured, not their clients."""
    return used_seconds(os.getpid()) - time.process_time()


def _below(process: int, root: int, parents: dict[int, int]) -> bool:
    while process and process != root:
        process = parents.get(process, 0)
    return process == root
