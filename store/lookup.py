"""Statements by many keys, compiled once an engine: a list of a hundred costs a third of what it costs compiled at every call."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, Dialect, Row, Select, Update, bindparam

from store.chunking import in_lists
from store.transaction import Tx

KEYS = "keys"


def among(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """The condition that a column is one of the keys."""
    return column.in_(bindparam(KEYS, expanding=True))


class _ByKeys:
    """A statement with `before` bound first, in this order, and one list of keys after it (`among`)."""

    def __init__(self, statement: Select[Any] | Update, *before: str) -> None:
        """The statement must bind these and the keys, and nothing else."""
        self._statement, self._before = statement, before
        self._texts: dict[tuple[str, int], str] = {}

    def _run(self, tx: Tx, before: tuple[Any, ...], keys: Iterable[Any]) -> Iterator[CursorResult[Any]]:
        """The result of each statement: as many as there are runs of distinct keys; none is no statement."""
        for some in in_lists(sorted(set(keys))):
            size = 1 << (len(some) - 1).bit_length()  # few texts: the list is filled up with its last key
            padded = (*some, *[some[-1]] * (size - len(some)))
            yield tx.connection.exec_driver_sql(self._text(tx.connection.dialect, size), (*before, *padded))

    def _text(self, dialect: Dialect, size: int) -> str:
        found = self._texts.get((dialect.name, size))
        if found is None:
            same_engine: Callable[..., Dialect] = type(dialect)
            by_place = dialect if dialect.positional else same_engine(paramstyle="format")
            compiled = self._statement.compile(dialect=by_place)
            wanted = tuple(getattr(compiled, "positiontup", None) or ())
            assert wanted == (*self._before, KEYS), f"the statement binds {wanted}"
            mark = "?" if by_place.paramstyle == "qmark" else "%s"
            head, tail = str(compiled).split(f"__[POSTCOMPILE_{KEYS}]")
            found = self._texts[dialect.name, size] = head + ", ".join([mark] * size) + tail
        return found


class Lookup(_ByKeys):
    """A query by `desk_id` and keys. Rows come as the driver gives them."""

    def __init__(self, query: Select[Any]) -> None:
        """The query must bind `desk_id` and the keys in this order, and nothing else."""
        super().__init__(query, "desk_id")

    def __call__(self, tx: Tx, keys: Iterable[Any]) -> Iterator[Row[Any]]:
        """The rows of each distinct key."""
        for result in self._run(tx, (tx.desk_id,), keys):
            yield from result.all()


class Change(_ByKeys):
    """An UPDATE by `desk_id` and keys: the new values are bound first."""

    def __init__(self, statement: Update, *columns: str) -> None:
        """The statement must bind the columns, `desk_id` and the keys in this order, and nothing else."""
        super().__init__(statement, *columns, "desk_id")

    def __call__(self, tx: Tx, values: tuple[object, ...], keys: Iterable[Any]) -> int:
        """Give every row of these keys the values; returns how many there were."""
        return sum(result.rowcount for result in self._run(tx, (*values, tx.desk_id), keys))
