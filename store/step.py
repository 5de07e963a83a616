"""Named crash points: where a test may kill the process, before and after every commit (reliability, injector K)."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STEPS = (
    "accept.before_commit",
    "accept.after_commit",
    "triage.claimed",
    "triage.parsed",
    "triage.before_commit",
    "triage.after_commit",
    "outbox.claimed",
    "outbox.rendered",
    "outbox.sending",
    "outbox.submitted",
    "outbox.recorded",
    "migrate.before_commit",
    "migrate.after_commit",
    "move.before_commit",
    "move.after_commit",
    "backup.copied",
    "backup.described",
    "backup.named",
    "restore.copied",
    "restore.verified",
    "restore.replaced",
)
VARIABLE = "TRIAGED_CRASH_AT"  # "<step>" or "<step>:<n>", the n-th time it is passed


class _Trigger:
    """The crash point of this process, read once; counts down."""

    def __init__(self, text: str) -> None:
        name, _, count = text.partition(":")
        self.name = name
        self.left = int(count) if count else 1


_trigger = _Trigger(os.environ.get(VARIABLE, ""))
_observer: Callable[[str], None] | None = None


@contextmanager
def observing(observer: Callable[[str], None]) -> Iterator[None]:
    """Call the observer at every step of this process meanwhile; it may end a life by an exception that nobody catches."""
    global _observer  # noqa: PLW0603 -- there is one process
    _observer, before = observer, _observer
    try:
        yield
    finally:
        _observer = before


def step(name: str) -> None:
    """Pass a named point; the process ends here by SIGKILL when a test asked for it."""
    if _observer is not None:
        _observer(name)
    if not _trigger.name:
        return
    assert name in STEPS, f"{name} is not a named step"
    if name == _trigger.name:
        _trigger.left -= 1
        if _trigger.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
