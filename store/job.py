"""A write that waits for the writer, and how its caller learns what became of it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from store.transaction import Tx

Result = TypeVar("Result")


class Job(Generic[Result]):
    """One write: `work`, or `many` with its `item`; neighbours with the same `many` are done in one call."""

    __slots__ = ("again", "future", "item", "many", "step", "work")

    def __init__(
        self,
        future: "Future[Result] | asyncio.Future[Result]",
        *,
        work: Callable[[Tx], Result] | None = None,
        many: Callable[[Tx, Sequence[Any]], Sequence[Result]] | None = None,
        item: Any = None,
        step: str = "",
        again: bool = True,
    ) -> None:
        """`future` is told the end, in its own loop when it is asyncio's; `step` names the crash points around the commit.

        `again` lets the writer run it anew when somebody else was faster.
        """
        self.again = again
        self.future, self.work, self.many, self.item, self.step = future, work, many, item, step

    def begin(self) -> bool:
        """Whether somebody still waits; from here on a concurrent future can no longer be cancelled."""
        if isinstance(self.future, asyncio.Future):
            return not self.future.cancelled()
        return self.future.set_running_or_notify_cancel()

    def run(self, tx: Tx) -> Result:
        """Do it alone."""
        if self.many is not None:
            return self.many(tx, [self.item])[0]
        assert self.work is not None, "a job has work or many"
        return self.work(tx)


class Done:
    """How a job ended: with a result, or with an error that its caller gets instead."""

    __slots__ = ("error", "job", "result")

    def __init__(self, job: Job[Any], result: Any = None, error: BaseException | None = None) -> None:
        """Bind the job to its end."""
        self.job, self.result, self.error = job, result, error


def settle(ended: Iterable[Done]) -> None:
    """Tell every caller; those of one event loop in a single call, for each call wakes the loop by a system call."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Done]] = defaultdict(list)
    for each in ended:
        if isinstance(each.job.future, asyncio.Future):
            by_loop[each.job.future.get_loop()].append(each)
        else:
            _tell(each)
    for loop, group in by_loop.items():
        try:
            loop.call_soon_threadsafe(_tell_all, group)
        except RuntimeError:  # the loop is closed: nobody waits any more, and what was committed stays committed
            continue


def _tell_all(group: list[Done]) -> None:
    for each in group:
        if not each.job.future.done():  # its task was cancelled meanwhile
            _tell(each)


def _tell(each: Done) -> None:
    if each.error is not None:
        each.job.future.set_exception(each.error)
    else:
        each.job.future.set_result(each.result)
