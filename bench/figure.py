"""What is measured."""

from collections.abc import Callable, Mapping

import msgspec

Measure = Callable[[], float | Mapping[str, float]]


class Unavailable(Exception):
    """A figure that cannot be had on this machine; the message says why."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A name and how to measure it once.

    Figures that share one `measure` (percentiles of one load, say) are measured by one call that returns a mapping; each names its
    `part` of it. `rounds` is smaller than the run's where one measurement takes minutes.
    """

    name: str
    unit: str
    measure: Measure
    part: str = ""
    rounds: int = 0
