"""How a door or a relay is let in where a bearer token takes the place of a password (RFC 6750)."""

from typing import Protocol


class Bearer(Protocol):
    """Gives a token that is good for the next minutes; both methods block and may be called from any thread."""

    def token(self) -> str:
        """The access token; raises Transient when none can be had now."""

    def refused(self, token: str) -> None:
        """The server took this token for bad: the next `token` is a fresh one."""
