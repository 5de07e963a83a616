"""Issues identifiers: never twice, never below the last, even when the clock steps back (design 5)."""

import threading
from collections.abc import Callable
from datetime import datetime

from itsm.identifier import EPOCH_MILLISECONDS, MAX_COUNTER, compose, milliseconds_of


def lowest_at(instant: datetime) -> int:
    """What every identifier issued at the instant or later is at least; a bound for scans, as good as the clock was."""
    return compose(max(int(instant.timestamp() * 1000), EPOCH_MILLISECONDS), 0, 0)


class Issuer:
    """Identifiers of one node; safe to call from any thread."""

    def __init__(self, node: int, clock: Callable[[], datetime], last: int) -> None:
        """`last` is the highest identifier ever seen; what is issued lies above it in time."""
        self._node, self._clock = node, clock
        self._milliseconds = milliseconds_of(last) + 1
        self._counter = 0  # the next
        self._first: int | None = None  # of this millisecond; None before it is known to fit
        self._lock = threading.Lock()

    def __call__(self) -> int:
        """The next identifier. When a millisecond has no counter left the next one is borrowed."""
        return self.block(1)[0]

    def block(self, count: int) -> range:
        """The next `count` identifiers, in a row; at most 4,096."""
        with self._lock:
            now = int(self._clock().timestamp() * 1000)
            if now > self._milliseconds:
                self._milliseconds, self._counter, self._first = now, 0, None
            elif self._counter + count > MAX_COUNTER + 1:
                self._milliseconds, self._counter, self._first = self._milliseconds + 1, 0, None
            if self._first is None:
                self._first = compose(self._milliseconds, self._node, 0)
            begin = self._first + self._counter
            self._counter += count
            return range(begin, begin + count)
