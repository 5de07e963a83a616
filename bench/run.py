"""Measure the figures of some rows in turn, round by round."""

from collections.abc import Callable, Iterable, Mapping

from bench.figure import Figure, Measure, Unavailable
from bench.row import Result, Row, result_of

ROUNDS = 3


def run(rows: Iterable[Row], *, rounds: int = ROUNDS, tell: Callable[[str], None] = lambda _text: None) -> list[Result]:
    """All results in the order of the rows. What cannot be measured is a row with its reason; `tell` hears each measurement."""
    rows = list(rows)
    values: dict[Figure, list[float]] = {}
    reasons: dict[Figure, str] = {}
    groups = _by_measure(each for row in rows for each in row.figures())
    for number in range(rounds):
        for measure, figures in groups.items():
            if figures[0] in reasons or (figures[0].rounds and number >= figures[0].rounds):
                continue
            try:
                found = measure()
            except Unavailable as error:
                reasons.update(dict.fromkeys(figures, str(error)))
                continue
            for each in figures:
                value = found[each.part] if isinstance(found, Mapping) else found
                values.setdefault(each, []).append(value)
                tell(f"round {number + 1}: {each.name}: {value:,.2f} {each.unit}")
    return [result_of(row, values, reasons) for row in rows]


def _by_measure(figures: Iterable[Figure]) -> dict[Measure, list[Figure]]:
    """Each way of measuring once, with the figures that it gives."""
    groups: dict[Measure, list[Figure]] = {}
    for each in figures:
        if each not in groups.setdefault(each.measure, []):
            groups[each.measure].append(each)
    return groups
