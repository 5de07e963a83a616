"""The two conservation laws: what was accepted and how it ended, over live rows and what retention removed (design 2)."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import ColumnElement, func, select, text

from itsm.envelope import OUTCOME_CODES, PENDING_CODE, Outcome
from store.inbox import DONE, PENDING, QUARANTINED
from store.schema import inbox, totals
from store.transaction import Tx

ACCEPTED, PARTS = "accepted", "parts"  # names of rows; "done" and "outcome:<name>" are the others

_ADD = text(
    "INSERT INTO totals (desk_id, name, amount) VALUES (:desk_id, :name, :amount) "
    "ON CONFLICT (desk_id, name) DO UPDATE SET amount = totals.amount + excluded.amount"
)


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """Both laws in figures. `parts_pending` are parts that have no outcome yet; `outcomes` counts the others by name."""

    accepted: int
    pending: int
    done: int
    quarantined: int
    parts: int
    parts_pending: int
    outcomes: dict[str, int]

    @property
    def envelopes_hold(self) -> bool:
        """Envelopes accepted = pending + done + quarantined."""
        return self.accepted == self.pending + self.done + self.quarantined

    @property
    def parts_hold(self) -> bool:
        """Parts = sum of outcomes, and those that wait for one."""
        return self.parts == self.parts_pending + sum(self.outcomes.values())


def outcome_name(outcome: Outcome) -> str:
    """The name of the row that counts an outcome."""
    return f"outcome:{outcome.value}"


def add(tx: Tx, amounts: Mapping[str, int]) -> None:
    """Add what is about to be removed, in the deleting transaction."""
    rows = [{"desk_id": tx.desk_id, "name": name, "amount": amount} for name, amount in sorted(amounts.items()) if amount]
    if rows:
        tx.connection.execute(_ADD, rows)


def removed(tx: Tx) -> dict[str, int]:
    """What retention removed so far, by name."""
    rows = tx.connection.execute(select(totals.c.name, totals.c.amount).where(totals.c.desk_id == tx.desk_id))
    return {row.name: row.amount for row in rows}


def balance(tx: Tx) -> Balance:
    """Count both laws; reads every row of the inbox once, in constant memory."""
    gone = removed(tx)
    by_state = dict.fromkeys((PENDING, DONE, QUARANTINED), 0)
    states = select(inbox.c.state, func.count().label("envelopes")).where(inbox.c.desk_id == tx.desk_id).group_by(inbox.c.state)
    found = {row.state: row.envelopes for row in tx.connection.execute(states)}
    letters = {code: _count_of(code) for code in (*OUTCOME_CODES.values(), PENDING_CODE)}
    counted = select(func.sum(inbox.c.part_count).label("parts"), *(each.label(f"n{at}") for at, each in enumerate(letters.values())))
    parts, *counts = tx.connection.execute(counted.where(inbox.c.desk_id == tx.desk_id)).one()
    live = dict(zip(letters, counts, strict=True))
    by_state |= found
    return Balance(
        accepted=sum(found.values()) + gone.get(ACCEPTED, 0),
        pending=by_state[PENDING],
        done=by_state[DONE] + gone.get(DONE, 0),
        quarantined=by_state[QUARANTINED],
        parts=int(parts or 0) + gone.get(PARTS, 0),
        parts_pending=int(live[PENDING_CODE] or 0),
        outcomes={each.value: int(live[each.code] or 0) + gone.get(outcome_name(each), 0) for each in Outcome},
    )


def _count_of(letter: str) -> ColumnElement[int]:
    return func.sum(func.length(inbox.c.outcomes) - func.length(func.replace(inbox.c.outcomes, letter, "")))
