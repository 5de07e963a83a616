"""Every seed and every input that once raised is read without an exception, within its budget; so are their mutations, always the same ones."""

import random

import pytest

from prove import targets
from prove.targets import TARGETS, OverBudgetError, seeds, within_budget

MUTATIONS = 60
FILES = [(name, file) for name in TARGETS for file in seeds(name)]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Some octets changed, doubled, cut out or put in."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at, end = sorted(chance.randrange(len(found) + 1) for _ in range(2))
        end = min(end, at + 40)
        found[at:end] = chance.choice(
            (b"", bytes(found[at:end]) * 2, chance.randbytes(3), b"\r\n", b"\xff", b"<", b'"', b"=?", b"{", b"\\u0000")
        )
    return bytes(found)


def test_every_target_has_seeds():
    assert {name for name, _ in FILES} == set(TARGETS)


@pytest.mark.parametrize(("name", "file"), FILES, ids=[f"{name}-{file.name}" for name, file in FILES])
def test_a_seed_and_its_mutations_raise_nothing_and_keep_the_budget(name, file):
    data = file.read_bytes()
    within_budget(TARGETS[name], data)
    chance = random.Random(f"{name}/{file.name}")
    for _ in range(MUTATIONS):
        within_budget(TARGETS[name], mutated(data, chance))


def test_an_input_that_costs_more_than_its_size_allows_is_found(monkeypatch):
    def dear(data: bytes) -> bytes:
        for octet in data:
            data.find(octet)
        return data

    within_budget(dear, b"12345")
    monkeypatch.setattr(targets, "CALLS", 3)
    monkeypatch.setattr(targets, "CALLS_AN_OCTET", 0)
    with pytest.raises(OverBudgetError, match="calls for 5 octets"):
        within_budget(dear, b"12345")


def test_an_input_that_gives_more_than_its_size_allows_is_found():
    with pytest.raises(OverBudgetError, match="octets out of 1"):
        within_budget(lambda data: data * 100_000, b"1")
