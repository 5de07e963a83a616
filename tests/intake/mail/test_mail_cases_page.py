"""The page of cases names every case, lesson and feature, and a test for each that is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
PAGE = (TESTS.parent / "docs" / "explanation" / "mail-cases.md").read_text()
LEFT_OUT = {2, 6, 42, 44, 54, *range(76, 83)}
SECTIONS = {
    "Twenty-five cases": set(range(1, 26)),
    "Fifteen lessons": set(range(1, 16)),
    "What an intake of mail can do": set(range(1, 87)) - LEFT_OUT,
}
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]


@cache
def names_in(file: Path) -> frozenset[str]:
    return frozenset(
        node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_has_every_number_once(section: str) -> None:
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    numbers = [int(each) for each in re.findall(r"(?m)^\| (\d+) \|", text)]
    assert (sorted(numbers), len(numbers)) == (sorted(SECTIONS[section]), len(set(numbers)))


@pytest.mark.parametrize("row", ROWS, ids=[row[:40] for row in ROWS])
def test_a_row_names_tests_that_are_there(row: str) -> None:
    named = re.findall(r"`([a-z0-9_/]+\.py)::(test_\w+)`", row)
    assert named
    for file, test in named:
        assert (TESTS / file).is_file(), f"there is no {file}"
        assert test in names_in(TESTS / file), f"there is no {test} in {file}"
