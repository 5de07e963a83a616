"""The results as text: one line a row."""

from collections.abc import Iterable, Iterator

from bench.row import Result


def lines(results: Iterable[Result]) -> Iterator[str]:
    """A heading, then a line a row; the ends of the rounds stand in brackets."""
    yield f"{'':60}{'median':>10} {'unit':10}{'[low - high]':^21}{'ratio':>7}  {'goal':11} against"
    for each in results:
        if each.value is None:
            yield f"{each.name:60}{'-':>10} not measured: {each.reason}"
            continue
        ends = f"[{number(each.low)} - {number(each.high)}]"
        ratio = f"{each.ratio:.2f}" if each.ratio is not None else "-"
        against = each.against + (f" (not measured: {each.reason})" if each.reason else "")
        mark = {True: "yes", False: "NO", None: ""}[each.met]
        yield f"{each.name:60}{number(each.value):>10} {each.unit:10}{ends:^21}{ratio:>7}  {each.goal:11} {mark:4}{against}".rstrip()


def verdict(results: Iterable[Result]) -> Iterator[str]:
    """Which goals hold and which do not, each in a line; a goal that could not be measured counts as neither."""
    goals = [each for each in results if each.goal]
    held = [each for each in goals if each.met]
    missed = [each for each in goals if each.met is False]
    unknown = [each for each in goals if each.met is None]
    if not goals:
        return
    yield f"goals: {len(held)} of {len(goals)} hold" + (f", {len(unknown)} not measured" if unknown else "")
    for word, some in (("holds", held), ("MISSED", missed), ("not measured", unknown)):
        for each in some:
            found = (
                f"{each.ratio:.2f} x" if each.ratio is not None else f"{number(each.value)} {each.unit}" if each.value is not None else "-"
            )
            against = f" against {each.against}" if each.against else ""
            yield f"  {word:12} {found:>10} (goal {each.goal})  {each.name}{against}"


def number(value: float | None) -> str:
    """Small ones with decimals."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
