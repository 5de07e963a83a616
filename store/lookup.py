"""Statements by many keys, compiled once an engine: a list of a hundred costs a third of what it costs compiled at every call."""

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Dialect, Select, TextClause, Update, bindparam

from store.chunking import in_lists
from store.driver import Ran, run
from store.transaction import Tx

KEYS = "keys"


def among(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """The condition that a column is one of the keys."""
    return column.in_(bindparam(KEYS, expanding=True))


def _by_place(dialect: Dialect) -> Dialect:
    """The dialect with parameters by their place."""
    same_engine: Callable[..., Dialect] = type(dialect)
    return dialect if dialect.positional else same_engine(paramstyle="format")


def _named(query: Select[Any]) -> Callable[[Iterable[Any]], Any]:
    """What gives the values of a row the names of the columns."""
    found: Any = namedtuple("found", [column.key for column in query.selected_columns])  # type: ignore[misc]  # names known only here
    make: Callable[[Iterable[Any]], Any] = found._make
    return make


class _ByKeys:
    """A statement with `before` bound first, in this order, and one list of keys after it (`among`)."""

    def __init__(self, statement: Select[Any] | Update, *before: str) -> None:
        """The statement must bind these and the keys, and nothing else."""
        self._statement, self._before = statement, before
        self._texts: dict[tuple[str, int], str] = {}

    def _run(self, tx: Tx, before: tuple[Any, ...], keys: Iterable[Any]) -> Iterator[Ran]:
        """The result of each statement: as many as there are runs of distinct keys; none is no statement."""
        for some in in_lists(sorted(set(keys))):
            size = 1 << (len(some) - 1).bit_length()  # few texts: the list is filled up with its last key
            padded = (*some, *[some[-1]] * (size - len(some)))
            yield run(tx.connection, self._text(tx.connection.dialect, size), (*before, *padded))

    def _text(self, dialect: Dialect, size: int) -> str:
        found = self._texts.get((dialect.name, size))
        if found is None:
            by_place = _by_place(dialect)
            compiled = self._statement.compile(dialect=by_place)
            wanted = tuple(getattr(compiled, "positiontup", None) or ())
            assert wanted == (*self._before, KEYS), f"the statement binds {wanted}"
            mark = "?" if by_place.paramstyle == "qmark" else "%s"
            head, tail = str(compiled).split(f"__[POSTCOMPILE_{KEYS}]")
            found = self._texts[dialect.name, size] = head + ", ".join([mark] * size) + tail
        return found


class Lookup(_ByKeys):
    """A query by `desk_id`, perhaps by more that is the same for all, and by keys. Rows come as the driver gives them, columns by name."""

    def __init__(self, query: Select[Any], *before: str) -> None:
        """The query must bind `desk_id`, these and the keys in this order, and nothing else."""
        super().__init__(query, "desk_id", *before)
        self._named = _named(query)

    def __call__(self, tx: Tx, keys: Iterable[Any], *before: Any) -> Iterator[Any]:
        """The rows of each distinct key."""
        for result in self._run(tx, (tx.desk_id, *before), keys):
            yield from map(self._named, result.fetchall())


class Query:
    """A query by a few values, or a statement that returns rows. They come as the driver gives them."""

    def __init__(self, query: Select[Any] | TextClause, *names: str) -> None:
        """The query must bind these. Columns go by name where they were selected, else by place."""
        self._query, self._names = query, names
        self._named = _named(query) if isinstance(query, Select) else tuple
        self._texts: dict[str, tuple[str, tuple[tuple[int, Any], ...]]] = {}

    def __call__(self, connection: Connection, *values: Any) -> list[Any]:
        """The rows, by values in the order of the names."""
        text, places = self._text(connection.dialect)
        given = tuple([constant if place < 0 else values[place] for place, constant in places])
        return [self._named(row) for row in run(connection, text, given).fetchall()]

    def _text(self, dialect: Dialect) -> tuple[str, tuple[tuple[int, Any], ...]]:
        found = self._texts.get(dialect.name)
        if found is None:
            compiled = self._query.compile(dialect=_by_place(dialect))
            wanted = tuple(getattr(compiled, "positiontup", None) or ())
            assert set(self._names) <= set(wanted), f"the statement binds {wanted}"
            places = ((self._names.index(name), None) if name in self._names else (-1, compiled.params[name]) for name in wanted)
            found = self._texts[dialect.name] = str(compiled), tuple(places)
        return found


class Change(_ByKeys):
    """An UPDATE by `desk_id` and keys: the new values are bound first."""

    def __init__(self, statement: Update, *columns: str) -> None:
        """The statement must bind the columns, `desk_id` and the keys in this order, and nothing else."""
        super().__init__(statement, *columns, "desk_id")

    def __call__(self, tx: Tx, values: tuple[object, ...], keys: Iterable[Any]) -> int:
        """Give every row of these keys the values; returns how many there were."""
        return sum(result.rowcount for result in self._run(tx, (*values, tx.desk_id), keys))
