"""Refuses a statement on a desk table that does not say which desk, wherever the suite runs one (design 5: shard by desk)."""

import functools
import re
import sys
from pathlib import Path

from sqlalchemy import Engine, event

from store.schema import metadata

ROOT = Path(__file__).resolve().parents[1]
OURS = tuple(str(ROOT / name) for name in ("store", "casework", "intake", "notifier", "webportal", "triaged"))
TABLES = "|".join(sorted(metadata.tables, key=len, reverse=True))
USE = re.compile(rf"\b(?:from|join|update|,)\s+({TABLES})\b(?!\s*[.=])(?:\s+as\s+(\w+))?", re.IGNORECASE)
INSERT = re.compile(rf"\binsert\s+into\s+({TABLES})\s*\(([^)]*)\)", re.IGNORECASE)
INSERTED = re.compile(r"\([^()]*\)\s*VALUES", re.IGNORECASE)  # names of columns there; one may be called like a table
DEFINITION = re.compile(r"\s*(create|alter|drop|analyze|comment|pragma|reindex)\b", re.IGNORECASE)


@functools.cache
def without_desk(statement: str) -> tuple[str, ...]:
    """The names under which a statement uses desk tables without comparing their `desk_id`."""
    if DEFINITION.match(statement):
        return ()
    found = [table for table, columns in INSERT.findall(statement) if "desk_id" not in columns]
    for table, alias in USE.findall(INSERTED.sub("VALUES", statement)):
        name = alias or table
        compared = rf"\b{name}\.desk_id\s*(?:=|in\b)|=\s*{name}\.desk_id\b"
        bare = r"(?<![.\w])desk_id\s*(?:=|in\b)"
        if not re.search(compared, statement, re.IGNORECASE) and not re.search(bare, statement, re.IGNORECASE):
            found.append(name)
    return tuple(found)


def is_ours() -> bool:
    """Whether a statement comes from the product: the first frame below that is neither a library's nor this file's."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(OURS):
            return True
        if name.startswith(str(ROOT / "tests")) and name != __file__:
            return False
        frame = frame.f_back
    return False


def _before(_connection, _cursor, statement, _parameters, _context, _executemany):
    missing = without_desk(statement)
    assert not missing or not is_ours(), f"a statement without desk_id on {', '.join(missing)}: {statement}"


def watch() -> None:
    """Look at every statement of every engine from now on."""
    event.listen(Engine, "before_cursor_execute", _before)
