"""`rules` and `itsm` judge by their arguments alone: no I/O, no clock, no randomness, nothing that differs from run to run."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(file for package in ("itsm", "rules") for file in (ROOT / package).rglob("*.py"))
ALLOWED = {
    "base64", "bisect", "collections", "datetime", "difflib", "enum", "functools", "hashlib", "hmac", "ipaddress",
    "csv", "itertools", "itsm", "math", "msgspec", "operator", "re", "rules", "string", "struct", "typing", "unicodedata", "zoneinfo",
}  # fmt: skip
FORBIDDEN_CALLS = {"open", "print", "input", "exec", "eval", "compile", "hash", "id", "__import__", "breakpoint", "globals"}
FORBIDDEN_METHODS = {"now", "today", "utcnow", "read_text", "read_bytes", "write_text", "write_bytes"}


def impurities(source: str) -> list[str]:
    """What a module does that a pure one may not."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [each.name for each in names if each.name.partition(".")[0] not in ALLOWED]
            case ast.ImportFrom(module=module, level=level):
                found += [str(module)] if level or str(module).partition(".")[0] not in ALLOWED else []
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                found.append(f"{name}()")
            case ast.Call(func=ast.Attribute(attr=name)) if name in FORBIDDEN_METHODS:
                found.append(f".{name}()")
            case ast.Global(names=names):
                found += [f"global {each}" for each in names]
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_of_the_pure_packages_is_pure(module):
    assert impurities(module.read_text()) == []


@pytest.mark.parametrize(
    ("source", "finding"),
    [
        ("import os.path", "os.path"),
        ("from time import monotonic", "time"),
        ("import random", "random"),
        ("from . import ticket", "None"),
        ("x = open('f')", "open()"),
        ("x = hash('differs from run to run')", "hash()"),
        ("x = datetime.now(UTC)", ".now()"),
        ("def f():\n    global x", "global x"),
    ],
)
def test_the_check_sees_an_impurity(source, finding):
    assert impurities(source) == [finding]
