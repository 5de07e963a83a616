"""The alarms: each fires on what it is made for, none on a quiet day, and each has a section that says what to do."""

import re

import pytest

from tests.deploy.tools import DEPLOY, ROOT, run, unknown_series

FILE = DEPLOY / "prometheus" / "alerts.yml"
RULES = FILE.read_text()
ALARMS = re.findall(r"- alert: (\w+)\n        expr: (.+)\n", RULES)


def test_the_rules_are_well_formed() -> None:
    done = run("promtool", "check", "rules", str(FILE))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALARMS)} rules found" in done.stdout


def test_every_alarm_fires_when_it_should_and_none_on_a_day_without_trouble() -> None:
    done = run("promtool", "test", "rules", str(DEPLOY / "prometheus" / "alerts_test.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_alarm_that_lost_its_condition_is_noticed(tmp_path) -> None:
    (tmp_path / "alerts.yml").write_text(RULES.replace("triaged_ready == 0", "triaged_ready == 2"))
    (tmp_path / "alerts_test.yml").write_text((DEPLOY / "prometheus" / "alerts_test.yml").read_text())
    assert run("promtool", "test", "rules", str(tmp_path / "alerts_test.yml")).returncode == 1


@pytest.mark.parametrize(("alarm", "expression"), ALARMS, ids=[name for name, _ in ALARMS])
def test_an_alarm_is_tested_explained_and_about_series_there_are(alarm: str, expression: str) -> None:
    assert unknown_series(expression) == set()
    assert f"  - name: {alarm}\n" in (DEPLOY / "prometheus" / "alerts_test.yml").read_text()
    headings = {each.lower() for each in re.findall(r"^### (\w+)", (ROOT / "docs" / "howto" / "alarms.md").read_text(), re.MULTILINE)}
    runbook = re.search(rf"alert: {alarm}\n(?:.*\n)*?          runbook: docs/howto/alarms.md#(\w+)", RULES)
    assert runbook is not None
    assert runbook[1] in headings
