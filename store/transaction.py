"""The one handle every function of the store takes."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from store.identifiers import Issuer
from store.schema import DESK_ID

IDS_A_BLOCK = 64


class NumberBlock(Protocol):
    """Ticket numbers that one process has drawn in advance."""

    def draw(self, count: int) -> range:
        """The next numbers, in a row."""

    def give_back(self, unused: range) -> None:
        """Take back the last of a draw where nobody drew since."""


class Tx:
    """A transaction that is open: its connection, its instant, and identifiers to issue in it."""

    __slots__ = ("_ids", "_issuer", "after_commit", "connection", "desk_id", "lease_now", "now", "numbers", "random_bytes")

    def __init__(
        self,
        connection: Connection,
        now: datetime,
        issuer: Issuer,
        random_bytes: Callable[[int], bytes],
        *,
        lease_now: datetime | None = None,
        numbers: "NumberBlock | None" = None,
    ) -> None:
        """Bind the connection; `random_bytes` gives salts and secrets.

        `lease_now` is the instant that heartbeats and leases go by: the database's own where several processes must agree.
        `numbers` gives ticket numbers from a block of this process; without it they come from the counter's row.
        """
        self.connection = connection
        self.desk_id = DESK_ID
        self.now = now
        self.lease_now = now if lease_now is None else lease_now
        self.numbers = numbers
        self._issuer = issuer
        self._ids: Iterator[int] = iter(())
        self.random_bytes = random_bytes
        self.after_commit: list[Callable[[], None]] = []

    def new_id(self) -> int:
        """The next identifier. They are drawn in blocks, for who needs one here needs more; what is left over is a gap."""
        found = next(self._ids, None)
        if found is None:
            self._ids = iter(self._issuer.block(IDS_A_BLOCK))
            found = next(self._ids)
        return found

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call back after the commit, in the thread that committed; never when it rolls back. It must not raise."""
        self.after_commit.append(callback)
