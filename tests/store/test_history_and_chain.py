"""The hash chains: what was appended reads back, and whatever is changed behind our back is found."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import chain, history
from store.history import NewEntry, commitment_of, link_hash
from store.store import Store

STREAM = "configuration"


def append(store: Store, *entries: NewEntry) -> None:
    store.write(lambda tx: history.append_many(tx, entries)).result(10)


def broken(store: Store) -> list[str]:
    return store.read(lambda tx: list(chain.broken_links(tx)))


def change(store: Store, statement: str) -> None:
    if store.settings.postgres is not None:
        statement = statement.replace("x'00'", "'\\x00'::bytea")
    assert store.write(lambda tx: tx.connection.exec_driver_sql(statement).rowcount).result(10) >= 1


@pytest.fixture
def three(store: Store) -> Store:
    append(store, *((STREAM, "loaded", "operator", (number,), b'{"n":%d}' % number) for number in (1, 2)))
    append(
        store,
        ("access", "denied", "anyone", (), b"{}"),
        (STREAM, "loaded", "operator", (3,), b'{"n":3}'),
        ("silences", "set", "agent:ana", (), b"{}"),
    )
    return store


def test_a_stream_reads_back_in_order(three: Store, clock: Callable[..., object]) -> None:
    entries = three.read(lambda tx: history.of_stream(tx, STREAM))
    assert [(each.seq, each.ids, each.content) for each in entries] == [(n, (n,), b'{"n":%d}' % n) for n in (1, 2, 3)]
    assert {(each.kind, each.actor, each.at, each.stream) for each in entries} == {("loaded", "operator", clock(), STREAM)}
    assert broken(three) == []


def test_nothing_to_append_is_nothing(store: Store) -> None:
    append(store)
    assert broken(store) == []


def test_erased_content_keeps_the_chain(three: Store) -> None:
    change(three, "DELETE FROM history_content WHERE stream = 'configuration' AND seq = 2")
    assert broken(three) == []
    assert [each.content for each in three.read(lambda tx: history.of_stream(tx, STREAM))] == [b'{"n":1}', None, b'{"n":3}']


FAULTS = {
    "UPDATE history SET actor = 'nobody' WHERE stream = 'configuration' AND seq = 2": ["history configuration: entry 2 was changed"],
    "UPDATE history SET at = at + 1 WHERE stream = 'configuration' AND seq = 3": ["history configuration: entry 3 was changed"],
    "UPDATE history_content SET content = 'x' WHERE stream = 'configuration' AND seq = 1": [
        "history configuration: the content of entry 1 was changed"
    ],
    "UPDATE history_content SET content = x'00' WHERE stream = 'configuration' AND seq = 1": [
        "history configuration: the content of entry 1 was changed"
    ],
    "UPDATE history SET hash = 'text' WHERE stream = 'configuration' AND seq = 2": [
        "history configuration: entry 2 was changed",
        "history configuration: entry 3 was changed",
    ],
    "UPDATE history_content SET salt = x'00' WHERE stream = 'configuration' AND seq = 3": [
        "history configuration: the content of entry 3 was changed"
    ],
    "DELETE FROM history WHERE stream = 'configuration' AND seq = 1": ["history configuration: entry 1 is missing"],
    "DELETE FROM history WHERE stream = 'configuration' AND seq = 2": ["history configuration: entry 2 is missing"],
    "DELETE FROM history WHERE stream = 'configuration' AND seq = 3": [
        "history configuration: its head names entry 3, the last entry is 2"
    ],
    "DELETE FROM history WHERE stream = 'silences'": ["history silences: every entry is missing"],
    "DELETE FROM history WHERE stream = 'access'": ["history access: every entry is missing"],
    "DELETE FROM history_head WHERE stream = 'configuration'": ["history configuration: its head is missing"],
    "DELETE FROM history_head WHERE stream = 'silences'": ["history silences: its head is missing"],
    "UPDATE history_head SET hash = x'00' WHERE stream = 'access'": ["history access: its head does not match the last entry"],
    "UPDATE history SET hash = x'00' WHERE stream = 'access'": [
        "history access: entry 1 was changed",
        "history access: its head does not match the last entry",
    ],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_is_changed_is_found(three: Store, fault: str) -> None:
    change(three, fault)
    assert broken(three) == FAULTS[fault]


def test_a_history_that_is_gone_altogether_is_found(three: Store) -> None:
    change(three, "DELETE FROM history")
    assert broken(three) == [f"history {stream}: every entry is missing" for stream in ("access", "configuration", "silences")]


@given(st.binary(), st.binary(min_size=1), st.text())
def test_the_hash_binds_every_field(salt: bytes, content: bytes, actor: str) -> None:
    commitment = commitment_of(salt, content)
    fields = (b"\0" * 32, 1, STREAM, 1, 0, "kind", actor, "[]", commitment)
    digest = link_hash(*fields)
    other = (b"\1" * 32, 2, STREAM + "x", 2, 1, "kine", actor + "x", "[1]", commitment_of(salt, content + b"x"))
    for at in range(len(fields)):
        assert link_hash(*fields[:at], other[at], *fields[at + 1 :]) != digest
