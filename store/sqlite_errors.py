"""What SQLite says, in our words: what the disk or a lock refuses is Transient, with the code a door answers with."""

import sqlite3

from sqlalchemy.exc import DBAPIError

from itsm.errors import Transient, Unreadable

_PRIMARY_CODE = 0xFF  # the extended codes keep the primary one in the low byte
_LATER = frozenset(  # may be gone when it is tried again: locks, memory, the disk; anything else is a bug and stays one
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_UNREADABLE = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT})
_FATAL = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def _code(error: BaseException) -> int:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return (getattr(cause, "sqlite_errorcode", None) or 0) & _PRIMARY_CODE


def told(error: BaseException) -> BaseException:
    """The error as the caller gets it: Transient for what may pass, else unchanged."""
    code = _code(error)
    if isinstance(error, StopIteration):  # no future of asyncio takes one: its task would wait for ever
        return RuntimeError("a write ran out of an iterator")
    if code not in _LATER:
        return error
    cause = error.orig if isinstance(error, DBAPIError) else error
    # RFC 3463 3.4: X.3.1 is "mail system full"
    enhanced = "4.3.1" if code == sqlite3.SQLITE_FULL else "4.3.0"
    transient = Transient(f"the store cannot do it now: {cause}", enhanced=enhanced)
    transient.__cause__ = error
    return transient


def told_of_read(error: BaseException) -> BaseException:
    """The same for a read: what is damaged or cannot be read is Unreadable, and the rest of the store may be well."""
    if _code(error) not in _UNREADABLE:
        return told(error)
    unreadable = Unreadable(f"the store cannot read it: {error.orig if isinstance(error, DBAPIError) else error}")
    unreadable.__cause__ = error
    return unreadable


def is_fatal(error: BaseException) -> bool:
    """Whether a commit that failed so leaves nobody knowing what is durable: then the process must end (fault F17)."""
    return _code(error) in _FATAL


def is_locked(error: BaseException) -> bool:
    """Whether another connection holds the file, or a table of it, for now."""
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
