"""A daemon in its own process, and a desk in this one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store.settings import StoreSettings
from tests.casework.desks import TestDesk, mail
from tests.reliability.lives import Life, life

__all__ = ["mail"]


@pytest.fixture
def make_desk(tmp_path: Path) -> Iterator[Callable[..., TestDesk]]:
    """Desks on SQLite, which is what fails here."""
    made: list[TestDesk] = []

    def make(**rules: object) -> TestDesk:
        made.append(TestDesk(StoreSettings(path=str(tmp_path / f"var{len(made)}")), **rules))
        return made[-1]

    yield make
    for each in made:
        each.store.close()


@pytest.fixture
def desk(make_desk: Callable[..., TestDesk]) -> TestDesk:
    return make_desk()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Life]:
    yield from life(tmp_path)
