"""The dashboard: every expression is PromQL, and about series that the program exposes."""

import json

import pytest

from devtools.dashboard import FILE, SELECTED, dashboard, expressions
from tests.deploy.tools import run, unknown_series


def test_the_file_is_what_the_table_says() -> None:
    assert json.loads(FILE.read_text()) == dashboard()


def test_prometheus_reads_every_expression(tmp_path) -> None:
    rules = [f"      - record: triaged:panel{index}\n        expr: {json.dumps(each)}\n" for index, each in enumerate(expressions())]
    (tmp_path / "rules.yml").write_text("groups:\n  - name: panels\n    rules:\n" + "".join(rules))
    done = run("promtool", "check", "rules", str(tmp_path / "rules.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_is_about_series_there_are_and_about_the_chosen_instances(expression: str) -> None:
    assert unknown_series(expression) == set()
    assert SELECTED in expression


def test_a_series_that_is_not_there_is_found() -> None:
    assert unknown_series("rate(triaged_accepted_totals[5m])") == {"triaged_accepted_totals"}


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
