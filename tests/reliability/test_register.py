"""Every fault and attack of the list has a test that holds its defence, and one that fails without it."""

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = tomllib.loads(Path(__file__).with_name("rows.toml").read_text())
FAULTS = [*range(1, 29), *range(33, 46), *range(55, 64), 65, *range(68, 76)]
ATTACKS = [*range(1, 12), *range(14, 34), *range(45, 48), 49, 50, 52, 53, 56, 59, 60, 62, 68, 70]
LIST = [*(f"F{number:02}" for number in FAULTS), *(f"A{number:02}" for number in ATTACKS)]


@cache
def names_in(file: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef))


def test_the_register_has_the_rows_of_the_list_and_no_other() -> None:
    assert sorted(ROWS) == sorted(LIST)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_tests_that_are_there_or_says_why_there_is_none(row: str) -> None:
    told = ROWS[row]
    assert told["says"]
    if "not_applicable" in told:
        assert not told.get("tests")
        return
    assert told["tests"]
    assert told["without"]
    for name in (*told["tests"], *told["without"]):
        file, _, test = name.partition("::")
        assert test in names_in(ROOT / file), f"{row}: there is no {name}"


@pytest.mark.parametrize("row", [row for row, told in ROWS.items() if "without" in told])
def test_what_is_said_to_fail_without_the_defence_switches_it_off(row: str) -> None:
    for name in ROWS[row]["without"]:
        file, _, test = name.partition("::")
        found = next(node for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef) and node.name == test)
        off = {each.arg for each in found.args.args} & {"defended"}
        assert off or "would" in test or "sees" in test, f"{name} holds the defence only"
