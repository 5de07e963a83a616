"""A30, A46, A47, A53: nothing runs or unpacks what it reads, puts SQL together from strings, or compares a secret by `==`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("triaged", "webportal", "intake", "notifier", "casework", "store", "rules", "itsm")
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
FORBIDDEN = frozenset(
    # what runs or builds objects from what it reads (A46)
    {
        "pickle",
        "cPickle",
        "marshal",
        "shelve",
        "dill",
        "cloudpickle",
        "jsonpickle",
        "yaml",
        "xml",
        "lxml",
        "defusedxml",
        "plistlib",
        "xmlrpc",
    }
    # what unpacks (A30)
    | {"zipfile", "tarfile", "gzip", "bz2", "lzma", "zlib", "zstandard", "py7zr", "rarfile", "PIL"}
)
BUILTINS = frozenset({"eval", "exec", "compile", "__import__"})
SECRETS = frozenset({"secret", "password", "mac", "hmac", "signature"})  # `hmac.compare_digest` is for them
RUNS_SQL = frozenset({"exec_driver_sql", "execute", "executemany", "executescript", "text", "literal_column"})


def findings(source: str) -> Iterator[str]:
    """Lines with a forbidden import or call, or with SQL that is no constant."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (f"{node.lineno}: import {each.name}" for each in node.names if each.name.split(".")[0] in FORBIDDEN)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN:
            yield f"{node.lineno}: from {node.module}"
        elif isinstance(node, ast.Call):
            yield from _of_call(node)


def _of_call(call: ast.Call) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
    if isinstance(call.func, ast.Name) and name in BUILTINS:
        yield f"{call.lineno}: {name}()"
    if name in RUNS_SQL and call.args and _is_built(call.args[0]) and not _is_a_pragma(call.args[0]):
        yield f"{call.lineno}: {name}() of a string put together"


def _is_built(argument: ast.expr) -> bool:
    """An f-string with a value, a `%` or `+` of strings, or a `.format()`."""
    if isinstance(argument, ast.JoinedStr):
        return any(isinstance(each, ast.FormattedValue) for each in argument.values)
    if isinstance(argument, ast.BinOp):
        return isinstance(argument.op, ast.Mod | ast.Add)
    return (
        isinstance(argument, ast.Call) and isinstance(argument.func, ast.Attribute) and argument.func.attr in ("format", "join", "replace")
    )


def _is_a_pragma(argument: ast.expr) -> bool:
    """SQLite takes no parameters in a PRAGMA, PostgreSQL none in SET and LISTEN; ours are constants of the module."""
    first = argument.values[0] if isinstance(argument, ast.JoinedStr) and argument.values else None
    return isinstance(first, ast.Constant) and str(first.value).startswith(("PRAGMA ", "SET ", "LISTEN "))


def compared(source: str) -> Iterator[str]:
    """Lines where something named like a secret stands beside `==` or `!=`; a column of a query is none: the database compares it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(each, ast.Eq | ast.NotEq) for each in node.ops):
            for each in (node.left, *node.comparators):
                if SECRETS & set(_name(each).lower().split("_")):
                    yield f"{node.lineno}: {ast.unparse(node)}"


def _name(expression: ast.expr) -> str:
    if isinstance(expression, ast.Attribute):
        is_column = isinstance(expression.value, ast.Attribute) and expression.value.attr == "c"
        return "" if is_column else expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_secret_is_compared_by_equals(file: Path) -> None:
    assert list(compared(file.read_text())) == []


@pytest.mark.parametrize("source", ["given == secret", "self._secret != given", "mac == expected", "row.secret_sha256 == digest"])
def test_the_check_sees_a_secret_that_is_compared_by_equals(source: str) -> None:
    assert len(list(compared(source))) == 1


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_is_run_unpacked_or_put_together_as_sql(file: Path) -> None:
    assert list(findings(file.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "import xml.etree.ElementTree", "from yaml import load", "import zipfile", "from lxml import etree", "eval(text)",
        'connection.exec_driver_sql(f"SELECT * FROM ticket WHERE id = {name}")', 'execute("SELECT " + name)', 'execute("SELECT %s" % name)',
        'text("SELECT {}".format(name))', 'tx.connection.execute(text(f"DELETE FROM {table}"))',
    ],
)  # fmt: skip
def test_the_check_sees_each_of_them(source: str) -> None:
    assert len(list(findings(source))) == 1


@pytest.mark.parametrize("source", ['connection.execute(f"PRAGMA {name}")', 'execute("SELECT ?", (name,))', "execute(select(t.c.id))"])
def test_and_lets_the_others_pass(source: str) -> None:
    assert list(findings(source)) == []
