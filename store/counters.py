"""Counters that give numbers in a row, each once."""

from sqlalchemy import text

from store.transaction import Tx

_DRAW = text(
    "INSERT INTO counter (desk_id, name, next) VALUES (:desk_id, :name, :end) "
    "ON CONFLICT (desk_id, name) DO UPDATE SET next = counter.next + :count RETURNING next"
)


def draw(tx: Tx, name: str, count: int, *, first: int) -> range:
    """The next `count` numbers of a counter that begins at `first`; a rolled-back transaction gives them to the next."""
    values = {"desk_id": tx.desk_id, "name": name, "end": first + count, "count": count}
    end = int(tx.connection.execute(_DRAW, values).scalar_one())
    return range(end - count, end)
