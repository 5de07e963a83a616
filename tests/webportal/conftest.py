"""The fixtures of `desks`, for tests of the API."""

from tests.casework.desks import desk, mail, make_desk

__all__ = ["desk", "mail", "make_desk"]
