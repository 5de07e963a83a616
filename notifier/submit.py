"""What became of one submission, whatever took it: a folder or a relay."""

from typing import Protocol

import msgspec


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """It was taken; the relay's reply."""

    reply: str


class Deferred(msgspec.Struct, frozen=True, kw_only=True):
    """Try later. `uncertain`: the final dot was sent and its answer never came, so a copy may be out (P3).

    `unreachable`: the relay said nothing about this mail, so the mail is not to blame and the others would fare the same.
    """

    error: str
    uncertain: bool = False
    unreachable: bool = False


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """Never: a 5xx reply to this mail, or an address that cannot be written."""

    error: str


Submission = Delivered | Deferred | Rejected


class Submitter(Protocol):
    """Takes one mail at a time; every method blocks and is called in a thread, by one caller at a time but for `abort`."""

    def ready(self) -> str | None:
        """Make sure that a mail could be taken now; the reason when it could not."""

    def submit(self, name: str, reverse_path: str, recipient: str, message: bytes) -> Submission:
        """Submit one mail; `name` is stable for the row, so that doing it again is the same act."""

    def close(self) -> None:
        """Let go of what is held; the next mail takes it up again."""

    def abort(self) -> None:
        """Make a `submit` that still waits in another thread come back soon."""
