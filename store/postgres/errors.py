"""What PostgreSQL says, in our words: what may pass is Transient, what another transaction did is Raced, the rest a bug."""

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from itsm.errors import Transient
from store.raced import Raced

# PostgreSQL 17, appendix A. Whole classes by their first two characters.
_RACED = frozenset({"40001", "40P01", "23505"})  # serialization failure, deadlock, unique violation
_LOST = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"})  # the session or the server ended
_LOST_CLASS = "08"  # connection exception
_LATER = frozenset({"55P03", "57014", "25006", "58030"})  # lock or statement timeout, a standby, an error of its disk
_LATER_CLASS = "53"  # insufficient resources
_DISK_FULL = "53100"


def _cause(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _state(error: BaseException) -> str:
    return getattr(_cause(error), "sqlstate", None) or ""


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, and with it, when no COMMIT was sent, all the transaction did."""
    state = _state(error)
    if state:
        return state in _LOST or state.startswith(_LOST_CLASS)
    # Errors that libpq makes itself have no state: server closed the connection, time-out, refused.
    return isinstance(_cause(error), psycopg.OperationalError)


def told(error: BaseException) -> BaseException:
    """The error as the caller gets it."""
    state, cause = _state(error), _cause(error)
    found: BaseException
    if isinstance(error, PoolTimeout):
        found = Transient("every connection to the database is in use")
    elif isinstance(error, StopIteration):  # no future of asyncio takes one: its task would wait for ever
        found = RuntimeError("a write ran out of an iterator")
    elif state in _RACED:
        found = Raced(f"somebody else was faster: {_line(cause)}")
    elif is_lost(error) or state in _LATER or state.startswith(_LATER_CLASS):
        # RFC 3463 3.4: X.3.1 is "mail system full"
        found = Transient(f"the database cannot do it now: {_line(cause)}", enhanced="4.3.1" if state == _DISK_FULL else "4.3.0")
    else:
        return error
    found.__cause__ = error
    return found


def _line(cause: BaseException) -> str:
    """The first line; the others name values."""
    return str(cause).strip().partition("\n")[0] or type(cause).__name__
