"""The machine a world runs on: its randomness, its silence, and what becomes of a life that was killed."""

import asyncio
import gc
import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from prove.simulation.loop import VirtualLoop

UNIX = datetime.fromtimestamp(0, UTC)


def microseconds(instant: datetime) -> int:
    """As the store counts instants."""
    return (instant - UNIX) // timedelta(microseconds=1)


def still_open(connections: list[sqlite3.Connection]) -> list[sqlite3.Connection]:
    """Those that were not closed."""
    found = []
    for each in connections:
        with suppress(sqlite3.Error):
            each.execute("SELECT 1")
            found.append(each)
    return found


def bury(loop: VirtualLoop) -> None:
    """Close what a dead life left unfinished; it can reach nothing any more."""
    for task in sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name()):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        with suppress(BaseException):
            task.get_coro().close()  # type: ignore[union-attr]
    loop._ready.clear()
    loop._scheduled.clear()
    loop.close()


@contextmanager
def machine(seed: int) -> Iterator[None]:
    """The process's own randomness comes from the seed too; logs are silent; the garbage of dead lives is nobody's error."""
    state, hook, configured = random.getstate(), sys.unraisablehook, structlog.get_config()
    random.seed(seed)
    structlog.configure(processors=[_drop], wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=False)
    sys.unraisablehook = lambda _unraisable: None
    gc.freeze()  # so that the collection at the end looks at this world alone
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()
        sys.unraisablehook = hook
        structlog.configure(**configured)
        random.setstate(state)


def _drop(_logger: Any, _name: str, _event: Any) -> Any:
    raise structlog.DropEvent
