"""A daemon in its own process, and a desk in this one."""

from tests.casework.desks import mail
from tests.reliability.lives import desk, make_desk, site

__all__ = ["desk", "mail", "make_desk", "site"]
