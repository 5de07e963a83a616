"""Statements for many rows as plain tuples: compiled once an engine, then nothing stands between the rows and the driver."""

from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import ClauseElement, Dialect, Table, bindparam, insert

from store.driver import run
from store.transaction import Tx

Row = tuple[Any, ...]

ROWS_A_BLOCK = 8  # measured: more gains nothing, and groups of accepts are small


class Bulk:
    """One statement for many rows; `names` are its bound parameters in the order in which rows give them."""

    def __init__(self, statement: ClauseElement, *names: str, suffix: str = "") -> None:
        """`suffix` is appended to the compiled text and has no parameters."""
        self._plain, self._names, self._suffix = statement, names, suffix
        self._compiled: dict[str, tuple[str, Callable[[Row], Row] | None]] = {}

    def __call__(self, tx: Tx, rows: Sequence[Row]) -> int:
        """Run it for the rows as one statement, and return how many rows it touched; none is no statement."""
        if not rows:
            return 0
        statement, ordered = self._statement(tx.connection.dialect)
        given = list(rows) if ordered is None else [ordered(row) for row in rows]
        return run(tx.connection, statement, given).rowcount

    def _statement(self, dialect: Dialect) -> tuple[str, Callable[[Row], Row] | None]:
        found = self._compiled.get(dialect.name)
        if found is None:
            same_engine: Callable[..., Dialect] = type(dialect)
            by_place = dialect if dialect.positional else same_engine(paramstyle="format")
            compiled = self._plain.compile(dialect=by_place)
            wanted = tuple(getattr(compiled, "positiontup", None) or ())
            assert set(wanted) == set(self._names), f"the statement binds {wanted}, rows give {self._names}"
            ordered = None if wanted == self._names else itemgetter(*(self._names.index(name) for name in wanted))
            found = self._compiled[dialect.name] = (str(compiled) + self._suffix, ordered)
        return found


class BulkInsert(Bulk):
    """INSERT of many rows into one table.

    SQLite is given blocks of rows in one `VALUES`: between two rows of a list the driver lets other threads run, and has to wait
    for them, and each row is a statement of its own to it. What is no whole block goes row by row, so that there are two texts.
    """

    def __init__(self, table: Table, *columns: str, on_conflict: str = "") -> None:
        """Name the columns in the order rows give them; a column left out has its default.

        `on_conflict` is what follows `ON CONFLICT`, in words both engines know.
        """
        suffix = f" ON CONFLICT {on_conflict}" if on_conflict else ""
        super().__init__(insert(table).values({name: bindparam(name) for name in columns}), *columns, suffix=suffix)
        self._blocks: str | None = None

    def __call__(self, tx: Tx, rows: Sequence[Row]) -> int:
        """Insert the rows; returns how many it wrote. None is no statement, and there are never more than two."""
        whole = len(rows) - len(rows) % ROWS_A_BLOCK if tx.connection.dialect.name == "sqlite" else 0
        if not whole:
            return super().__call__(tx, rows)
        statement, ordered = self._statement(tx.connection.dialect)
        if self._blocks is None:
            head, values = statement.split(" VALUES ", 1)
            one = values[: values.index(")") + 1]
            self._blocks = f"{head} VALUES {', '.join([one] * ROWS_A_BLOCK)}{values[len(one) :]}"
        given = rows if ordered is None else [ordered(row) for row in rows]
        blocks = [tuple(chain.from_iterable(given[at : at + ROWS_A_BLOCK])) for at in range(0, whole, ROWS_A_BLOCK)]
        written = run(tx.connection, self._blocks, blocks).rowcount
        return written + super().__call__(tx, rows[whole:])
