"""What an engine gives to the store: connections, one way to write, one way to begin a read, and its errors in our words."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Engine

from store.identifiers import Issuer
from store.job import Job
from store.seams import Seams


class Writes(Protocol):
    """Where writes wait and are done."""

    @property
    def away(self) -> str | None:
        """Why nothing can be written now; None when it can."""

    def submit(self, job: Job[Any]) -> None:
        """Queue a job; raises Transient when it cannot be taken."""

    def close(self) -> None:
        """Finish what waits, then stop."""


class Backend(Protocol):
    """One open database. Everything else in the store is the same on every engine."""

    engine: Engine
    place: str  # what a person calls the database in a message; never with a password

    def readers(self) -> Engine:
        """The pool that reads use; asked for once, when the schema is there."""

    def open_writer(
        self,
        *,
        clock: Callable[[], datetime],
        new_id: Issuer,
        queue_limit: int,
        on_fatal: Callable[[BaseException], None],
        seams: Seams,
    ) -> Writes:
        """Start what writes; asked for once."""

    def begin_read(self, connection: Connection) -> None:
        """Begin one consistent view that can change nothing."""

    def lease_now(self, connection: Connection, now: datetime) -> datetime:
        """The instant that leases go by: `now` of this machine, or the database's where several machines must agree."""

    def told(self, error: BaseException) -> BaseException:
        """An error as the caller gets it: Transient for what may pass."""

    def close(self) -> None:
        """Close every connection and give back what is held."""
