"""What became of the parts of an envelope: a letter each in the envelope's row, which is done when every part has one (design 4)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, select, update

from itsm.envelope import PENDING_CODE, Outcome
from itsm.identifier import inbox_text
from store.bulk import Bulk
from store.chunking import in_lists
from store.exclusive import is_postgresql
from store.inbox import DONE, PENDING
from store.instants import to_column
from store.lookup import Change, Lookup, among
from store.raced import Raced
from store.schema import inbox
from store.transaction import Tx

_ENDED = ("state", "claimed_by", "part_count", "outcomes", "reason", "done_at")  # the order in which the table has them
_record = Change(
    update(inbox).where(inbox.c.desk_id == bindparam("desk_id"), among(inbox.c.id)).values({name: bindparam(name) for name in _ENDED}),
    *_ENDED,
)


_begin = Bulk(
    update(inbox)
    .where(inbox.c.desk_id == bindparam("b_desk"), inbox.c.id == bindparam("b_id"), inbox.c.part_count == bindparam("b_before"))
    .values(part_count=bindparam("b_count"), outcomes=bindparam("b_outcomes")),
    *("b_desk", "b_id", "b_before", "b_count", "b_outcomes"),
)


def begin(tx: Tx, counts: Sequence[tuple[int, int]]) -> None:
    """Say how many parts envelopes have, before the first outcome; those that have begun are left alone."""
    _begin(tx, [(tx.desk_id, inbox_id, 0, count, PENDING_CODE * count) for inbox_id, count in counts])


def decided_meanwhile(tx: Tx, keys: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Lock the envelopes of these parts, in order, and tell which parts have an outcome already: of a claim that was lost.

    SQLite has one daemon, whose claims nobody takes: there it is no statement.
    """
    if not is_postgresql(tx.connection):
        return set()
    wanted: dict[int, list[int]] = {}
    for inbox_id, seq in keys:
        wanted.setdefault(inbox_id, []).append(seq)
    found: set[tuple[int, int]] = set()
    for some in in_lists(sorted(wanted)):
        query = select(inbox.c.id, inbox.c.outcomes).where(inbox.c.desk_id == tx.desk_id, inbox.c.id.in_(some))
        for row in tx.connection.execute(query.order_by(inbox.c.id).with_for_update()):
            letters = row.outcomes
            found |= {(row.id, seq) for seq in wanted[row.id] if seq < len(letters) and letters[seq] != PENDING_CODE}
    return found


_outcomes = Lookup(
    select(inbox.c.id, inbox.c.outcomes, inbox.c.claimed_by)
    .where(inbox.c.desk_id == bindparam("desk_id"), among(inbox.c.id))
    .order_by(inbox.c.id)
    .with_for_update()
)


def record(tx: Tx, outcomes: Iterable[tuple[int, int, Outcome]]) -> None:
    """Write the outcomes of parts; an envelope whose every part has one is done and no longer claimed.

    Raises Raced for a part that has one already: somebody else decided it, and what was decided now must not stand.
    """
    by_id: dict[int, list[tuple[int, str]]] = {}
    for inbox_id, seq, outcome in outcomes:
        by_id.setdefault(inbox_id, []).append((seq, outcome.code))
    alike: dict[tuple[object, ...], list[int]] = defaultdict(list)  # most envelopes of a batch end alike: few statements write them
    for row in _outcomes(tx, by_id):
        letters = list(row.outcomes)
        for seq, code in by_id[row.id]:
            letters += [PENDING_CODE] * (seq + 1 - len(letters))
            if letters[seq] != PENDING_CODE:
                raise Raced(f"part {seq} of {inbox_text(row.id)} has an outcome already")
            letters[seq] = code
        done = PENDING_CODE not in letters
        state, done_at = (DONE, to_column(tx.now)) if done else (PENDING, None)
        alike[state, None if done else row.claimed_by, len(letters), "".join(letters), None, done_at].append(row.id)
    for ended, ids in alike.items():
        _record(tx, ended, ids)


_RECORDED = ("outcomes", "state", "done_at", "part_count", "claimed_by", "reason")
_record_same = Bulk(
    update(inbox)
    .where(inbox.c.desk_id == bindparam("b_desk"), inbox.c.id == bindparam("b_id"), inbox.c.outcomes == bindparam("b_before"))
    .values({name: bindparam(name) for name in _RECORDED}),
    *(*_RECORDED, "b_desk", "b_id", "b_before"),
)


def record_same(tx: Tx, counts: Sequence[tuple[int, int]], outcome: Outcome) -> None:
    """End envelopes of so many parts that no part of had an outcome, every part alike; raises Raced when one had."""
    now = to_column(tx.now)
    rows = [(outcome.code * count, DONE, now, count, None, None, tx.desk_id, inbox_id, "") for inbox_id, count in counts]
    if _record_same(tx, rows) != len(rows):
        raise Raced("somebody else decided an envelope at the same time")
