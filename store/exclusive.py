"""A transaction that nobody else of its kind runs beside: for the schema and for leases, on either engine."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

POSTGRESQL = "postgresql"
_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
_KEY = 0x7472_6961_6765_6400  # "triaged": one lock a database


def is_postgresql(connection: Connection) -> bool:
    """Whether the connection speaks to PostgreSQL, not to SQLite."""
    return connection.dialect.name == POSTGRESQL


@contextmanager
def exclusive(connection: Connection) -> Iterator[None]:
    """Begin before the first read and hold everybody else of this kind off until the commit; rolls back on an error."""
    if is_postgresql(connection):
        connection.exec_driver_sql("BEGIN")
        connection.execute(_LOCK, {"key": _KEY})
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")
