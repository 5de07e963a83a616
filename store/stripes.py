"""Locks on keys that can be read from the signals alone, taken before the snapshot is loaded (design 4).

SQLite has one writer and needs none. PostgreSQL runs READ COMMITTED: what two transactions must not both find absent (a mail
of this Message-ID, a series of this key) is hashed to one of 1,024 stripes of the desk and locked until the commit.
"""

import hashlib
from collections.abc import Iterable

from sqlalchemy import text

from store.exclusive import is_postgresql
from store.transaction import Tx

STRIPES = 1024
_SPACE = 0x7472_0000  # the upper half of an advisory lock of two integers; the desk is added

# An array is read in its order, and pg_advisory_xact_lock is called once a row: all of them in one statement, ascending.
_LOCK = text("SELECT count(pg_advisory_xact_lock(:space, stripe)) FROM unnest(CAST(:stripes AS integer[])) AS stripe")


def stripe_of(key: bytes) -> int:
    """The stripe a key belongs to."""
    return int.from_bytes(hashlib.sha256(key).digest()[:4]) % STRIPES


def lock(tx: Tx, keys: Iterable[bytes]) -> None:
    """Lock the stripes of the keys, distinct and ascending, until the end of the transaction; load in later statements."""
    if is_postgresql(tx.connection):
        stripes = sorted({stripe_of(key) for key in keys})
        if stripes:
            tx.connection.execute(_LOCK, {"space": _SPACE + tx.desk_id, "stripes": stripes})
