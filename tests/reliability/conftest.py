"""A daemon in its own process, and a desk in this one. What is not on the machine is not collected; `dev test` says so."""

from pathlib import Path

from tests.casework.desks import mail
from tests.reliability.lives import desk, make_desk, site

FAKETIME = tuple(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
collect_ignore = [] if FAKETIME else ["test_a_faked_clock.py"]

__all__ = ["desk", "mail", "make_desk", "site"]
