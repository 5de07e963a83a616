"""The fixtures of `desks`, for tests of casework."""

from tests.casework.desks import desk, mail, make_desk

__all__ = ["desk", "mail", "make_desk"]
