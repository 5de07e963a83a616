"""Repeats get the first answer, and refused bodies are kept within bounds."""

import pytest

from itsm.errors import Conflict
from store import idempotency, refused
from store.schema import CHUNK_BYTES
from store.store import Store


def answer(store: Store, key: str, body_sha256: bytes = b"a", door: str = "messages") -> int | None:
    return store.read(lambda tx: idempotency.first_answer(tx, door, key, body_sha256))


def test_a_repeat_gets_the_first_answer(store: Store) -> None:
    assert answer(store, "k1") is None
    store.write(lambda tx: idempotency.remember(tx, "messages", "k1", b"a", 42)).result(10)
    assert answer(store, "k1") == 42
    assert answer(store, "k1", door="imap") is None
    assert answer(store, "k\udcff") is None


def test_a_key_with_other_bytes_is_a_conflict(store: Store) -> None:
    store.write(lambda tx: idempotency.remember(tx, "messages", "k1", b"a", 42)).result(10)
    with pytest.raises(Conflict, match="in-42") as refused_with:
        answer(store, "k1", b"b")
    assert refused_with.value.status == 409


def keep(store: Store, source: str, body: bytes) -> int:
    return store.write(lambda tx: refused.keep(tx, source, "not JSON", body)).result(10)


def test_a_refused_body_is_kept_with_its_reason(store: Store) -> None:
    refused_id = keep(store, "am", b"{")
    (found,) = store.read(refused.listed)
    assert (found.id, found.source, found.reason, found.size_bytes, found.body) == (refused_id, "am", "not JSON", 1, b"{")
    assert found.refused_at == store.clock()


def test_only_the_beginning_of_a_large_body_is_kept(store: Store) -> None:
    keep(store, "am", b"x" * (CHUNK_BYTES + 1))
    (found,) = store.read(refused.listed)
    assert (found.size_bytes, len(found.body)) == (CHUNK_BYTES + 1, CHUNK_BYTES)


def test_the_newest_thousand_of_a_source_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused.MAX_KEPT_A_SOURCE == 1000
    monkeypatch.setattr(refused, "MAX_KEPT_A_SOURCE", 3)
    other = keep(store, "generic", b"0")
    ids = [keep(store, "am", b"%d" % number) for number in range(5)]

    def kept(source: str | None = None) -> list[int]:
        return [each.id for each in store.read(lambda tx: refused.listed(tx, source=source))]

    assert kept("am") == ids[:1:-1]
    assert kept() == [*ids[:1:-1], other]
    assert kept("nobody") == []
