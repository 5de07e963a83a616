"""Tells SQLite's planner the shape the tables grow to, so that its plans are those of a large desk from the first day.

Without statistics SQLite takes `desk_id = ?` for a selective term, ten rows, and may read a whole table by the wrong
index. Counting (ANALYZE) would mend that at the price of plans that change with the day it was done. The figures here
are the same for everybody and never counted; a test holds the plans to them.
"""

from sqlalchemy import Connection, Table, text

from store.exclusive import is_postgresql
from store.people_schema import WHOLE

ROWS, FEW_ROWS = 1_000_000, 1_000  # of a table; of an index of the rows in a passing state
COARSE = frozenset({"door", "kind", "source", "subject_kind"})  # columns of few values
ROWS_OF_A_VALUE = 10  # of any other column


def _shape(columns: list[str], rows: int, *, unique: bool) -> str:
    """The `stat` of an index (sqlite.org/fileformat2.html#stat1tab): its rows, then the rows of a value of each prefix."""
    left, shape = rows, [rows]
    for column in columns:
        if column in COARSE:
            left = max(left // 10, 1)
        elif column != "desk_id":
            left = min(left, ROWS_OF_A_VALUE)
        shape.append(left)
    if unique:
        shape[-1] = 1
    return " ".join(str(each) for each in shape)


def _of_table(table: Table) -> list[dict[str, str]]:
    keys = [column.name for column in table.primary_key.columns]
    found = [{"tbl": table.name, "idx": f"sqlite_autoindex_{table.name}_1", "stat": _shape(keys, ROWS, unique=True)}]
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        where = index.dialect_options["sqlite"]["where"]
        passing = where is not None and "IS NOT NULL" not in str(where)
        stat = _shape([column.name for column in index.columns], FEW_ROWS if passing else ROWS, unique=index.unique)
        found.append({"tbl": table.name, "idx": str(index.name), "stat": stat})
    return found


def state(connection: Connection) -> None:
    """Write the statistics, in the transaction that made or changed the schema; PostgreSQL counts for itself."""
    if is_postgresql(connection):
        return
    connection.exec_driver_sql("ANALYZE alembic_version")  # makes the table they stand in
    connection.exec_driver_sql("DELETE FROM sqlite_stat1")
    rows = [row for table in WHOLE.sorted_tables for row in _of_table(table)]
    connection.execute(text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)"), rows)
    connection.exec_driver_sql("ANALYZE sqlite_schema")  # this connection reads them again
