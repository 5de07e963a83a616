"""Killed at every named step and at random: nothing acknowledged is lost, no ticket is made twice (P1, P2, P3)."""

import os

import pytest

from prove.crash import die_at, live_and_die
from store.step import STEPS

PIPELINE = [step for step in STEPS if step.startswith(("accept.", "triage.", "outbox."))]
KILLS = int(os.environ.get("TRIAGED_KILLS", "10"))


@pytest.mark.parametrize("step", PIPELINE)
def test_a_kill_at_a_named_step_loses_and_doubles_nothing(tmp_path, step):
    verdict = die_at(tmp_path, step)
    assert verdict.findings == ()
    assert verdict.acknowledged > 0


@pytest.mark.timeout(600)
def test_kills_at_random_under_load_lose_and_double_nothing(tmp_path):
    verdict, kills = live_and_die(tmp_path, kills=KILLS, seed=20261124)
    assert verdict.findings == ()
    assert kills == KILLS
    assert verdict.acknowledged > 0
