"""The only module that reads the clock; everything else is handed an instant."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

STEP_SECONDS = 60.0  # what is less is followed at once: a clock that is kept in time moves by less
HOLD_SECONDS = 600.0  # a step that lasts so long is believed


class SteadyClock:
    """A clock that does not believe a step at first (F27, F28).

    When the wall clock jumps against the monotonic one by a minute or more, time goes on as it went, for ten minutes: a clock
    that is set back right meanwhile has done nothing, no deadline came early and no retry late. A step that lasts is followed.
    """

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        """Both in seconds; `wall` since 1970."""
        self._wall, self._monotonic = wall, monotonic
        self._offset = wall() - monotonic()
        self._stepped_at: float | None = None

    @property
    def step_seconds(self) -> float:
        """By how much the wall clock is ahead of the time we give; 0 unless it jumped."""
        return self._wall() - self._monotonic() - self._offset if self._stepped_at is not None else 0.0

    def seconds(self) -> float:
        """The current instant, in seconds since 1970."""
        wall, monotonic = self._wall(), self._monotonic()
        offset = wall - monotonic
        if abs(offset - self._offset) < STEP_SECONDS:
            self._offset, self._stepped_at = offset, None
            return wall
        stepped_at = self._stepped_at
        if stepped_at is None:
            self._stepped_at = monotonic
        elif monotonic - stepped_at >= HOLD_SECONDS:
            self._offset, self._stepped_at = offset, None
            return wall
        return monotonic + self._offset


steady = SteadyClock(time.time, time.monotonic)


def now() -> datetime:
    """The current instant, aware, in UTC; steady through a step of the wall clock."""
    return datetime.fromtimestamp(steady.seconds(), UTC)


def monotonic() -> float:
    """Seconds on a clock that never steps back; only differences mean anything."""
    return time.monotonic()
