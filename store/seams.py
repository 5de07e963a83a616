"""Where a simulation reaches into the store: randomness, the measure of time, and who runs the writer."""

import secrets
import time
from collections.abc import Callable

import msgspec

Turn = Callable[[], None]


class Seams(msgspec.Struct, frozen=True, kw_only=True):
    """What the store takes from the machine. `drive` is None where the writer has a thread of its own.

    Else `drive` is handed the writer's turn each time there is something to write, and calls it once, soon, in the caller's
    thread: everything then happens in one thread, in an order that one seed decides.
    """

    random_bytes: Callable[[int], bytes] = secrets.token_bytes
    monotonic: Callable[[], float] = time.monotonic
    drive: Callable[[Turn], None] | None = None


SYSTEM = Seams()
