"""Looks for cycles are seldom in the processes of the daemon."""

import subprocess
import sys

import pytest

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
