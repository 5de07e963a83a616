"""A SELECT by many keys, compiled once an engine: a list of a hundred costs a third of what it costs compiled at every call."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Row, Select, bindparam

from store.chunking import in_lists
from store.transaction import Tx

KEYS = "keys"


def among(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """The condition that a column is one of the keys."""
    return column.in_(bindparam(KEYS, expanding=True))


class Lookup:
    """A query with `desk_id` bound first and one list of keys after it (`among`). Rows come as the driver gives them."""

    def __init__(self, query: Select[Any]) -> None:
        """The query must bind `desk_id` and the keys in this order, and nothing else."""
        self._query = query
        self._texts: dict[tuple[str, int], str] = {}

    def __call__(self, tx: Tx, keys: Iterable[Any]) -> Iterator[Row[Any]]:
        """The rows of each distinct key, in as many statements as there are runs of keys; none is no statement."""
        for some in in_lists(sorted(set(keys))):
            size = 1 << (len(some) - 1).bit_length()  # few texts: the list is filled up with its last key
            padded = (*some, *[some[-1]] * (size - len(some)))
            yield from tx.connection.exec_driver_sql(self._text(tx.connection.dialect, size), (tx.desk_id, *padded)).all()

    def _text(self, dialect: Dialect, size: int) -> str:
        found = self._texts.get((dialect.name, size))
        if found is None:
            same_engine: Callable[..., Dialect] = type(dialect)
            by_place = dialect if dialect.positional else same_engine(paramstyle="format")
            compiled = self._query.compile(dialect=by_place)
            wanted = tuple(getattr(compiled, "positiontup", None) or ())
            assert wanted == ("desk_id", KEYS), f"the query binds {wanted}"
            mark = "?" if by_place.paramstyle == "qmark" else "%s"
            head, tail = str(compiled).split(f"__[POSTCOMPILE_{KEYS}]")
            found = self._texts[dialect.name, size] = head + ", ".join([mark] * size) + tail
        return found
