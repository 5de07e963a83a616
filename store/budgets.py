"""Atomic budgets: how many automatic mails went to whom in a window. Absence of budget is a conditional UPDATE, never a read."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache

from sqlalchemy import bindparam, select

from store.bulk import BulkInsert, Row
from store.instants import from_column, to_column
from store.lookup import Lookup, among
from store.raced import Raced
from store.schema import budget
from store.transaction import Tx

Key = tuple[str, datetime]  # the budget and the start of its window


@lru_cache(maxsize=64)
def _spending(most: int) -> BulkInsert:
    """Take from many budgets of one limit; there are as many limits as settings of them."""
    enough = f"budget.used + excluded.used <= {most:d}"
    taken = "(desk_id, key, window_start) DO UPDATE SET used = budget.used + excluded.used WHERE"
    return BulkInsert(budget, "desk_id", "key", "window_start", "used", on_conflict=f"{taken} {enough}")


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
    rows: dict[int, list[Row]] = defaultdict(list)
    for (key, start), (amount, most) in sorted(amounts.items()):  # everybody locks in this order
        rows[most].append((tx.desk_id, key, to_column(start), amount))
    written = sum(_spending(most)(tx, some) for most, some in sorted(rows.items()))
    if written != len(amounts) or any(amount > most for amount, most in amounts.values()):
        raise Raced("a budget was used up by somebody else at the same time")
