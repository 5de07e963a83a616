"""Statements that stand as text already, given to SQLite's driver itself: what SQLAlchemy does around one costs more than most (ADR-0020)."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

Parameters = tuple[Any, ...]


class Ran(Protocol):
    """What came of a statement, as either engine gives it."""

    @property
    def rowcount(self) -> int:
        """How many rows it touched."""

    def fetchall(self) -> Sequence[Any]:
        """The rows it found: plain tuples on SQLite."""


def run(connection: Connection, statement: str, given: Parameters | list[Parameters]) -> Ran:
    """Run a statement with its parameters by place, or once for each of a list; raises what SQLAlchemy would.

    Who listens to the statements of an engine hears of it as of any other.
    """
    if connection.dialect.name != "sqlite":
        return connection.exec_driver_sql(statement, given)
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    many = isinstance(given, list)
    for listener in connection.dispatch.before_cursor_execute:
        statement, given = listener(connection, None, statement, given, None, many)
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection), "the dialect is SQLite's"
    try:
        return driver.executemany(statement, given) if many else driver.execute(statement, given)
    except sqlite3.Error as error:
        raise DBAPIError.instance(statement, given, error, sqlite3.Error, dialect=connection.dialect) from error
