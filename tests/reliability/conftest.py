"""A daemon in its own process, and a desk in this one. What is not on the machine is not collected; `dev test` says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.casework.desks import desk, mail, make_desk
from tests.reliability.lives import Life, life

FAKETIME = tuple(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
collect_ignore = [] if FAKETIME else ["test_a_faked_clock.py"]

__all__ = ["desk", "mail", "make_desk"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Life]:
    yield from life(tmp_path)
