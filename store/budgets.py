"""Atomic budgets: how many automatic mails went to whom in a window. Absence of budget is a conditional UPDATE, never a read."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import bindparam, select, text

from store.bulk import Bulk
from store.instants import from_column, to_column
from store.lookup import Lookup, among
from store.raced import Raced
from store.schema import budget
from store.transaction import Tx

Key = tuple[str, datetime]  # the budget and the start of its window

_SPEND = text(
    "INSERT INTO budget (desk_id, key, window_start, used) SELECT :desk_id, :key, :window_start, :amount WHERE :amount <= :most "
    "ON CONFLICT (desk_id, key, window_start) DO UPDATE SET used = budget.used + excluded.used WHERE budget.used + excluded.used <= :most"
)
_spend = Bulk(_SPEND, "desk_id", "key", "window_start", "amount", "most")


_used = Lookup(
    select(budget.c.key, budget.c.window_start, budget.c.used).where(budget.c.desk_id == bindparam("desk_id"), among(budget.c.key))
)


def used(tx: Tx, keys: Iterable[Key]) -> dict[Key, int]:
    """What was taken from each budget in its window; budgets nobody touched are left out."""
    wanted = set(keys)
    found: dict[Key, int] = {}
    for row in _used(tx, {name for name, _ in wanted}):
        key = (row.key, from_column(row.window_start))
        if key in wanted:
            found[key] = row.used
    return found


def spend(tx: Tx, amounts: Mapping[Key, tuple[int, int]]) -> None:
    """Take (amount, limit) from each budget; raises Raced when one has not enough left, so the caller decides again."""
    rows = [(tx.desk_id, key, to_column(start), amount, most) for (key, start), (amount, most) in sorted(amounts.items())]
    if _spend(tx, rows) != len(rows):
        raise Raced("a budget was used up by somebody else at the same time")
