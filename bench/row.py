"""One figure set against another, and the goal it has."""

import msgspec

from bench.figure import Figure


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """`against` is measured in the same run; without it the row only tells its value.

    `at_least` and `at_most` are goals of the ratio, `value_at_most` one of the value itself.
    """

    figure: Figure
    against: Figure | None = None
    at_least: float | None = None
    at_most: float | None = None
    value_at_most: float | None = None

    def figures(self) -> tuple[Figure, ...]:
        """Those that must be measured."""
        return (self.figure, self.against) if self.against else (self.figure,)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A row with its numbers. `low` and `high` are the ends over the rounds; `reason` says why there is no number; `goal` is text."""

    name: str
    value: float | None
    unit: str
    against: str
    ratio: float | None
    goal: str
    met: bool | None
    low: float | None = None
    high: float | None = None
    reason: str = ""


def result_of(row: Row, values: dict[Figure, list[float]], reasons: dict[Figure, str]) -> Result:
    """Divide the medians and judge the goal."""
    reason = "; ".join(reasons[each] for each in row.figures() if each in reasons)
    mine = values.get(row.figure, [])
    value = median(mine) if mine else None
    other = median(values[row.against]) if row.against and values.get(row.against) else None
    ratio = value / other if value is not None and other else None
    return Result(
        name=row.figure.name,
        value=value,
        unit=row.figure.unit,
        against=row.against.name if row.against else "",
        ratio=ratio,
        goal=goal_of(row),
        met=judged(row, value, ratio),
        low=min(mine, default=None),
        high=max(mine, default=None),
        reason=reason,
    )


def goal_of(row: Row) -> str:
    """The goal in a few characters, "" where there is none."""
    if row.at_least is not None:
        return f">= {row.at_least:g} x"
    if row.at_most is not None:
        return f"<= {row.at_most:g} x"
    return f"<= {row.value_at_most:g} {row.figure.unit}" if row.value_at_most is not None else ""


def judged(row: Row, value: float | None, ratio: float | None) -> bool | None:
    """Whether the goal is met; None without goal or number."""
    if row.value_at_most is not None and value is not None:
        return value <= row.value_at_most
    if ratio is None or (row.at_least is None and row.at_most is None):
        return None
    return (row.at_least is None or ratio >= row.at_least) and (row.at_most is None or ratio <= row.at_most)


def median(values: list[float]) -> float:
    """The middle one; of an even number the mean of the middle two."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
