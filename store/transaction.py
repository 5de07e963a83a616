"""The one handle every function of the store takes."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from store.schema import DESK_ID


class Tx:
    """A transaction that is open: its connection, its instant, and identifiers to issue in it."""

    __slots__ = ("after_commit", "connection", "desk_id", "new_id", "now", "random_bytes")

    def __init__(
        self,
        connection: Connection,
        now: datetime,
        new_id: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """Bind the connection; `random_bytes` gives salts and secrets."""
        self.connection = connection
        self.desk_id = DESK_ID
        self.now = now
        self.new_id = new_id
        self.random_bytes = random_bytes
        self.after_commit: list[Callable[[], None]] = []

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call back after the commit, in the thread that committed; never when it rolls back. It must not raise."""
        self.after_commit.append(callback)
