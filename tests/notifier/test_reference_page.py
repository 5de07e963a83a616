"""The reference page of templates says what the code does."""

from pathlib import Path

import pytest

from itsm.notification import AUTO_SUBMITTED, NULL_REVERSE_PATH, AutoSubmitted, Event
from notifier.events import FACT_NAMES, FACTS, MAX_BLOCK_CHARACTERS, MAX_LINE_CHARACTERS
from notifier.sandbox import FILTERS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "templates.md").read_text()


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
def test_every_fact_has_its_row(fact):
    events = [f"`{event.value}`" for event in Event if fact.name in FACT_NAMES[event]]
    where = "all" if len(events) == len(Event) else ", ".join(events)
    lines, outside = "many" if fact.many_lines else "one", "yes" if fact.outside else "no"
    assert f"| `{fact.name}` | {fact.meaning} | {lines} | {outside} | {where} |" in PAGE


def test_every_fact_belongs_to_an_event():
    assert {fact.name for fact in FACTS} == {name for names in FACT_NAMES.values() for name in names}


@pytest.mark.parametrize("event", Event)
def test_every_event_has_its_row(event):
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{event.value}` |")]
    assert ("| `<>` |" in row) == (event in NULL_REVERSE_PATH)
    automatic = AUTO_SUBMITTED[event]
    assert row.endswith("| none |" if automatic is AutoSubmitted.NO else f"| `{automatic.value}` |")


def test_every_filter_and_limit_is_named():
    for name in FILTERS:
        assert f"| `{name}` |" in PAGE
    assert f"cut at {MAX_LINE_CHARACTERS} characters" in PAGE
    assert f"many lines at {MAX_BLOCK_CHARACTERS:,}" in PAGE
