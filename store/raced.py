"""The one error that means: decide again."""

from itsm.errors import Conflict


class Raced(Conflict):
    """Somebody else was faster; decided again on what they left it may come out well."""
