"""F27, F28: the wall clock jumps by an hour or ten days, and perhaps back: a step is not believed at first."""

import pytest

from triaged.clock import HOLD_SECONDS, STEP_SECONDS, SteadyClock

HOUR, DAY = 3600.0, 86_400.0


class Clocks:
    """A wall clock and a monotonic clock that tests move."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1_800_000_000.0, 50.0
        self.steady = SteadyClock(lambda: self.wall, lambda: self.monotonic)

    def passes(self, seconds: float) -> float:
        self.wall += seconds
        self.monotonic += seconds
        return self.steady.seconds()


def test_small_corrections_are_followed_at_once() -> None:
    clocks = Clocks()
    for step in (0.5, -0.5, STEP_SECONDS - 1, 1 - STEP_SECONDS):
        clocks.wall += step
        assert clocks.passes(1.0) == clocks.wall
        assert clocks.steady.step_seconds == 0.0


@pytest.mark.parametrize("step", [HOUR, -HOUR, 10 * DAY, -10 * DAY])
def test_a_step_is_not_believed_at_first_and_one_that_is_set_right_has_done_nothing(step: float) -> None:
    clocks = Clocks()
    before = clocks.passes(1.0)
    clocks.wall += step
    assert clocks.passes(1.0) == before + 1.0
    assert clocks.steady.step_seconds == pytest.approx(step)
    assert clocks.passes(HOLD_SECONDS - 2.0) == before + HOLD_SECONDS - 1.0
    clocks.wall -= step
    assert clocks.passes(1.0) == before + HOLD_SECONDS
    assert clocks.steady.step_seconds == 0.0


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_step_that_lasts_is_followed(step: float) -> None:
    clocks = Clocks()
    clocks.wall += step
    clocks.passes(1.0)
    assert clocks.passes(HOLD_SECONDS) == clocks.wall
    assert clocks.passes(1.0) == clocks.wall
    assert clocks.steady.step_seconds == 0.0
