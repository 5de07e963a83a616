"""Ticket numbers in blocks: drawn in a transaction of their own, so that no two writers wait for one counter (design 5)."""

import threading

from sqlalchemy import Engine

from store.schema import DESK_ID
from store.tickets import draw_from_counter

BLOCK = 10


class Numbers:
    """Numbers of this process; a block that is not used up leaves a gap."""

    def __init__(self, engine: Engine) -> None:
        """Nothing is drawn yet."""
        self._engine = engine
        self._left = range(0)
        self._lock = threading.Lock()

    def draw(self, count: int) -> range:
        """The next `count` numbers, in a row."""
        with self._lock:
            if len(self._left) < count:
                with self._engine.connect() as connection:
                    self._left = draw_from_counter(connection, DESK_ID, max(count, BLOCK))
            found, self._left = self._left[:count], self._left[count:]
            return found

    def give_back(self, unused: range) -> None:
        """What another transaction of this process drew behind stays where it is: then there is a gap."""
        with self._lock:
            if unused.stop == self._left.start:
                self._left = range(unused.start, self._left.stop)
