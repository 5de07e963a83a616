"""A daemon in its own process, and a desk in this one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.casework.desks import desk, mail, make_desk
from tests.reliability.lives import Life, life

__all__ = ["desk", "mail", "make_desk"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Life]:
    yield from life(tmp_path)
