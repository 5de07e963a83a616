"""IN lists in chunks and bytes in chunks, so that no statement and no row grows with the input (design 5)."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
MAX_IN_LIST = 500


def in_lists(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The items in runs of at most 500, for one statement each."""
    for at in range(0, len(items), MAX_IN_LIST):
        yield items[at : at + MAX_IN_LIST]
