"""Looks for cycles are seldom in the processes of the daemon, and free memory goes back to the system."""

import ctypes
import subprocess
import sys

import pytest

GLIBC = hasattr(ctypes.CDLL(None), "malloc_trim")
COUNT = """
import gc
from itsm.series import Instance
from triaged.garbage import look_seldom
{first}
before = [each["collections"] for each in gc.get_stats()]
kept = [Instance(started_at=None) for _ in range(15_000)]
print(sum(each["collections"] for each in gc.get_stats()) - sum(before), gc.get_freeze_count() > 0)
"""


@pytest.mark.parametrize(("first", "told"), [("look_seldom()", "0 True"), ("", "more False")])
def test_values_that_are_made_cause_no_look(first: str, told: str) -> None:
    found = subprocess.run([sys.executable, "-c", COUNT.format(first=first)], capture_output=True, text=True, check=True, timeout=120)
    looks, frozen = found.stdout.split()
    assert f"{'0' if looks == '0' else 'more'} {frozen}" == told


HOLES = """
import asyncio
from pathlib import Path
from triaged.garbage import give_back
def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20
kept = []
for _ in range(1_000):  # 100 MiB in blocks that come from the heap; one of 1 KiB in a hundred stays, the last of all too
    passing = [bytes(1_024) for _ in range(100)]
    kept.append(passing)
kept = [some[-1] for some in kept]
before = resident_mib()
{then}
print(before - resident_mib())
"""


@pytest.mark.parametrize(("then", "much"), [("asyncio.run(give_back())", GLIBC), ("", False)])
def test_free_pages_between_blocks_in_use_go_back_to_the_system(then: str, much: bool) -> None:
    found = subprocess.run([sys.executable, "-c", HOLES.format(then=then)], capture_output=True, text=True, check=True, timeout=120)
    assert (int(found.stdout) > 50) is much
