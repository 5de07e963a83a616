"""No statement on a desk table without its desk: read from the source, so that one that no test runs is found as well (design 5)."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from store import schema
from store.bulk import BulkInsert
from tests.architecture.desk_constructions import DESK, ROOT, files, findings_in, findings_of

# This list only shrinks: what is not found any more must go, and a new statement names its desk.
EXEMPT = {
    "store/bulk.py::BulkInsert.__init__::table": "it is handed the columns, and each `BulkInsert(...)` is looked at",
    "store/move.py::_copy::table": "every column of every table is copied, desk_id among them; what is read names its desk",
    "store/timers.py::<module>::timer": "by the columns of the primary key, which begins with desk_id",
    "store/verify.py::_references::key": "a column of `target`, whose desk is named",
}
FILES = files()


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def test_every_statement_in_the_source_names_its_desk_but_for_those_with_a_reason() -> None:
    found = {each.key: each for file in FILES for each in findings_of(file)}
    assert sorted(each for key, each in found.items() if key not in EXEMPT) == []
    assert sorted(EXEMPT) == sorted(found), "an exemption that is needed no more"
    assert len(EXEMPT) <= 4


def test_the_reader_has_something_to_read() -> None:
    made = sum(
        source.count(f"{maker}(") for source in (each.read_text() for each in FILES) for maker in ("select", "insert", "update", "delete")
    )
    assert len(FILES) > 250
    assert made > 200


GOOD = [
    "tx.execute(select(inbox.c.id).where(inbox.c.desk_id == tx.desk_id, inbox.c.id == 1))",
    "tx.execute(select(inbox).where(tx.desk_id == inbox.c.desk_id))",
    "here = (inbox.c.desk_id == tx.desk_id, inbox.c.id == 1)\ntx.execute(update(inbox).where(*here).values(state='x'))",
    "rows = inbox.c\ntx.execute(select(rows.id).where(rows.desk_id == tx.desk_id))",
    "query = select(inbox)\nif tx:\n    query = query.where(inbox.c.desk_id == 1)\nelse:\n    query = query.where(inbox.c.desk_id == 2)",
    "joined = raw.join(inbox, inbox.c.desk_id == raw.c.desk_id)\ntx.execute(select(raw.c.seq).select_from(joined).where(raw.c.desk_id == 1))",
    "bytes_of = exists().where(raw.c.desk_id == inbox.c.desk_id)\ntx.execute(select(inbox).where(inbox.c.desk_id == 1, ~bytes_of))",
    "tx.execute(insert(raw).values(desk_id=1, seq=0))",
    "rows = []\nrows.append({'desk_id': 1, 'seq': 0})\ntx.execute(insert(raw), rows)",
    "BulkInsert(raw, 'desk_id', 'seq')",
    "BulkInsert(raw, *COLUMNS, 'seq')",
    "tx.execute(delete(raw).where(tuple_(raw.c.desk_id, raw.c.seq).in_(keys)))",
    "def old(table: Table):\n    tx.execute(delete(table).where(table.c.desk_id == tx.desk_id))",
    "text('SELECT id FROM inbox WHERE inbox.desk_id = :desk_id')",
    "'UPDATE the ticket'",
]
BAD = {
    "tx.execute(select(inbox.c.id).where(inbox.c.id == 1))": "inbox",
    "tx.execute(select(inbox.c.desk_id))": "inbox",
    "tx.execute(select(inbox).order_by(inbox.c.desk_id))": "inbox",
    "tx.execute(select(inbox).where(inbox.c.desk_id != tx.desk_id))": "inbox",
    "tx.execute(select(inbox, raw).where(inbox.c.desk_id == tx.desk_id, raw.c.inbox_id == inbox.c.id))": "raw",
    "tx.execute(select(inbox.c.id).join(raw, raw.c.desk_id == inbox.c.desk_id))": "raw",
    "tx.execute(select(inbox).where(inbox.c.desk_id == 1, inbox.c.id.in_(select(inbox.c.id).where(inbox.c.state == 'x'))))": "inbox",
    "tx.execute(select(inbox).where(inbox.c.desk_id == 1, exists().where(raw.c.inbox_id == inbox.c.id)))": "raw",
    "query = select(inbox)\nif tx:\n    query = query.where(inbox.c.desk_id == 1)\ntx.execute(query)": "inbox",
    "earlier = inbox.alias()\ntx.execute(select(earlier.c.id).where(inbox.c.desk_id == 1))": "earlier",
    "tx.execute(inbox.update().where(inbox.c.id == 1))": "inbox",
    "tx.execute(delete(raw).where(raw.c.seq == 1))": "raw",
    "tx.execute(insert(raw).values(inbox_id=1, seq=0))": "raw",
    "BulkInsert(raw, 'inbox_id', 'seq')": "raw",
    "BulkInsert(raw, *OTHERS, 'seq')": "raw",
    "def old(table: Table):\n    tx.execute(delete(table).where(table.c.id == 1))": "table",
    "tx.execute(select(func.now()))": "{}",
    "text('SELECT id FROM inbox WHERE inbox.id = :id')": "inbox",
    "text('DELETE FROM raw ' 'WHERE seq = 1')": "raw",
    "text(f'DELETE FROM {table} WHERE seq = 1')": "{}",
}


def found_in(source: str) -> set[str]:
    return {each.table for each in findings_in(ast.parse(source), "sample.py", sample())}


def sample() -> ModuleType:
    """A module in which the tables have their names."""
    module = ModuleType("sample")
    vars(module).update(inbox=schema.inbox, raw=schema.raw, BulkInsert=BulkInsert, COLUMNS=(DESK, "inbox_id"), OTHERS=("inbox_id",))
    return module


@pytest.mark.parametrize("source", GOOD)
def test_a_statement_that_names_its_desk_is_not_found(source: str) -> None:
    assert found_in(source) == set()


@pytest.mark.parametrize(("source", "table"), BAD.items())
def test_a_statement_that_does_not_is_found_with_its_table(source: str, table: str) -> None:
    assert table in found_in(source)


def comparisons(tree: ast.Module) -> Iterator[ast.Compare]:
    """Where the desk of a table is compared."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute) and node.left.attr == DESK:
            yield node


COMPARING = [each for each in FILES if f".{DESK} ==" in each.read_text()]


@pytest.mark.parametrize("file", COMPARING, ids=name_of)
def test_each_comparison_of_a_desk_in_the_source_would_be_missed(file: Path) -> None:
    """One after the other is taken away, and the reader must say so."""
    source, name = file.read_text(), name_of(file)
    module = importlib.import_module(name.removesuffix(".py").replace("/", "."))
    known = {each.key for each in findings_in(ast.parse(source), name, module)}
    for place in range(sum(1 for _ in comparisons(ast.parse(source)))):
        tree = ast.parse(source)
        taken = list(comparisons(tree))[place]
        for side in (taken.left, *taken.comparators):
            if isinstance(side, ast.Attribute) and side.attr == DESK:
                side.attr = "id"
        found = {each.key for each in findings_in(tree, name, module)}
        assert found - known or _stands_in_an_exemption(name, known), f"{name}:{taken.lineno} is not missed"


def _stands_in_an_exemption(name: str, known: set[str]) -> bool:
    return name == "store/move.py" and known <= set(EXEMPT)
