"""The power goes under load: nothing acknowledged is lost, nothing doubled, no database corrupt (F15, F16); without fsync much is."""

import os

import pytest

from prove.powercut import cut_and_restart

CUTS = int(os.environ.get("TRIAGED_CUTS", "10"))


@pytest.mark.timeout(600)
def test_power_cuts_at_random_under_load_lose_and_double_nothing(tmp_path):
    done = cut_and_restart(tmp_path, cuts=CUTS, seed=20261125)
    assert done.verdict.findings == ()
    assert done.verdict.acknowledged > 0
    assert done.unsynced > 0, "the cuts took something away"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_without_full_synchronous_the_same_cuts_lose_what_was_acknowledged(tmp_path, synchronous):
    done = cut_and_restart(tmp_path, cuts=2, seed=20261125, synchronous=synchronous, kinds=("lost",))
    assert any(line.endswith("was acknowledged and is lost") for line in done.verdict.findings)
