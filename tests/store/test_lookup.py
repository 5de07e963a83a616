"""Look-ups by many keys: every key is found once, however many there are, in few texts of statements."""

import pytest
from sqlalchemy import bindparam, event, select, update

from store import idempotency
from store.chunking import MAX_IN_LIST
from store.lookup import Change, Lookup, among
from store.schema import idempotency as table

BY_KEY = select(table.c.inbox_id).where(table.c.desk_id == bindparam("desk_id"), among(table.c.inbox_id)).order_by(table.c.inbox_id)


@pytest.fixture
def kept(store):
    """Rows with the numbers from 0 on."""

    def work(tx):
        for number in range(2 * MAX_IN_LIST):
            idempotency.remember(tx, door="d", key=str(number), body_sha256=b"h", inbox_id=number)

    store.write(work).result()
    return store


@pytest.fixture
def texts(store):
    """The texts of the look-ups that are run."""
    seen = []

    def note(*given):
        if "idempotency" in given[2]:
            seen.append(given[2])

    event.listen(store._readers, "before_cursor_execute", note)
    yield seen
    event.remove(store._readers, "before_cursor_execute", note)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, MAX_IN_LIST, MAX_IN_LIST + 1])
def test_each_key_is_found_once(kept, texts, count):
    lookup = Lookup(BY_KEY)
    found = kept.read(lambda tx: [row.inbox_id for row in lookup(tx, [*range(count), *range(count)])])
    assert found == list(range(count))
    assert len(texts) == -(-count // MAX_IN_LIST)


def test_lists_of_nearly_the_same_length_share_a_text(kept, texts):
    lookup = Lookup(BY_KEY)
    for count in range(65, 129):
        kept.read(lambda tx, count=count: list(lookup(tx, range(count))))
    assert len(texts) == 64
    assert len(set(texts)) == 1


def test_a_key_that_is_not_there_has_no_row(kept):
    assert kept.read(lambda tx: [row.inbox_id for row in Lookup(BY_KEY)(tx, [7, 10**9])]) == [7]


def test_a_query_that_binds_something_else_is_refused(kept):
    other = Lookup(BY_KEY.where(table.c.door == bindparam("door")))
    with pytest.raises(AssertionError, match="the statement binds"):
        kept.read(lambda tx: list(other(tx, [1])))


@pytest.mark.parametrize("count", [0, 1, 3, MAX_IN_LIST + 1])
def test_a_change_gives_every_row_of_the_keys_its_value(kept, count):
    change = Change(
        update(table).where(table.c.desk_id == bindparam("desk_id"), among(table.c.inbox_id)).values(created_at=bindparam("created_at")),
        "created_at",
    )
    assert kept.write(lambda tx: change(tx, (-7,), range(count))).result() == count
    query = select(table.c.inbox_id).where(table.c.created_at == -7).order_by(table.c.inbox_id)
    assert kept.read(lambda tx: list(tx.connection.execute(query).scalars())) == list(range(count))
