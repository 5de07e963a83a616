"""Locks on keys that can be read from the signals alone, taken before the snapshot is loaded (design 4, ADR-0017).

SQLite has one writer and needs none. PostgreSQL runs READ COMMITTED: what two transactions must not both find absent (a mail
of this Message-ID, a series of this key) is locked until the commit. Who has few keys locks each of them, and shares their stripes
with others who do; who has many locks their stripes, 1,024 a desk, so that no transaction fills the server's table of locks.
"""

import hashlib
from collections.abc import Iterable

from sqlalchemy import text

from store.exclusive import is_postgresql
from store.transaction import Tx

STRIPES = 1024
MAX_KEYS = 256  # locks of a transaction on single keys: the server has some 6,400 in all unless it is told otherwise
_STRIPE_SPACE, _KEY_SPACE = 0x7472_0000, 0x7473_0000  # the upper half of an advisory lock of two integers; the desk is added

# An array is read in its order, and the function is called once a row: all of them in one statement, ascending.
_SHARE = text("SELECT count(pg_advisory_xact_lock_shared(:space, number)) FROM unnest(CAST(:numbers AS integer[])) AS number")
_LOCK = text("SELECT count(pg_advisory_xact_lock(:space, number)) FROM unnest(CAST(:numbers AS integer[])) AS number")


def stripe_of(key: bytes) -> int:
    """The stripe a key belongs to."""
    return int.from_bytes(hashlib.sha256(key).digest()[:4]) % STRIPES


def number_of(key: bytes) -> int:
    """The number of a key's own lock, of 31 bits; two keys that share it wait for each other, and no more."""
    return int.from_bytes(hashlib.sha256(key).digest()[4:8]) >> 1


def lock(tx: Tx, keys: Iterable[bytes]) -> None:
    """Lock the keys until the end of the transaction; load in later statements.

    Stripes before keys, each distinct and ascending, so that nobody waits in a circle. Code of the version before locks stripes
    and knows no other lock: that we share them keeps it off our keys.
    """
    wanted = set(keys) if is_postgresql(tx.connection) else set()  # on SQLite a generator of keys is not even begun
    if not wanted:
        return
    numbers = sorted({number_of(key) for key in wanted})
    few = len(numbers) <= MAX_KEYS
    stripes = {"space": _STRIPE_SPACE + tx.desk_id, "numbers": sorted({stripe_of(key) for key in wanted})}
    tx.connection.execute(_SHARE if few else _LOCK, stripes)
    if few:
        tx.connection.execute(_LOCK, {"space": _KEY_SPACE + tx.desk_id, "numbers": numbers})
