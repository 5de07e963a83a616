"""One writing transaction on PostgreSQL: how it begins, how it ends, and how its end is found out when the answer was lost."""

import threading
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from store.instants import from_column
from store.raced import Raced

BORN = "born"  # in the information of a connection: when it was made, by the monotonic clock
RESOLVE_SECONDS = 15.0
PAUSE_SECONDS = 0.1

# One round trip: the number by which the end can be asked for, and the database's clock.
_BEGIN = "BEGIN; SELECT pg_current_xact_id()::text, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
Driver = psycopg.Connection[Any]
_STATUS = "SELECT pg_xact_status(%s::xid8)"


class Session:
    """An open transaction; `transaction` is its number in the database, `now` the database's clock when it began."""

    def __init__(self, connection: Connection, driver: Driver, transaction: str, now: datetime) -> None:
        """Bind what `begin` found."""
        self._connection, self._driver, self.transaction, self.now = connection, driver, transaction, now

    def roll_back(self) -> None:
        """Undo; a connection that is gone is thrown away, the server undoes it then."""
        with suppress(psycopg.Error):
            self._driver.execute("ROLLBACK")
        _throw_away(self._connection, self._driver)

    def commit(self) -> None:
        """Commit; raises what the driver raises, and Raced when the server rolled back instead."""
        try:
            said = self._driver.execute("COMMIT").statusmessage
        except psycopg.Error:
            _throw_away(self._connection, self._driver)
            raise
        if said != "COMMIT":
            raise Raced("the database rolled back instead of committing")

    def resolved(self, engine: Engine) -> bool | None:
        """Whether it was committed, asked on another connection until there is an answer; None when there is none in time."""
        deadline = time.monotonic() + RESOLVE_SECONDS
        while time.monotonic() < deadline:
            with suppress(DBAPIError, PoolTimeout), engine.connect() as connection:
                found = connection.exec_driver_sql(_STATUS, (self.transaction,)).scalar_one()
                if found != "in progress":
                    return {"committed": True, "aborted": False}.get(found)
            time.sleep(PAUSE_SECONDS)
        return None


def _throw_away(connection: Connection, driver: Driver) -> None:
    """Keep a broken connection out of the pool."""
    if driver.closed and not connection.invalidated:
        connection.invalidate()


def _driver_of(connection: Connection) -> Driver:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection), "the writer speaks to PostgreSQL"
    return driver


def begin(connection: Connection) -> Session:
    """Begin a transaction that is known by its number from the first moment on."""
    driver = _driver_of(connection)
    try:
        cursor = driver.execute(_BEGIN)
        cursor.nextset()
        row = cursor.fetchone()
    except psycopg.Error:
        _throw_away(connection, driver)
        raise
    assert row is not None, "a SELECT without FROM has one row"
    return Session(connection, driver, row[0], from_column(row[1]))


class Witness:
    """An idle session: while it answers, the server has not crashed since it was opened.

    After a crash a number whose transaction left nothing on the disk is given out again, so what `pg_xact_status` then says
    may be said of a stranger. Its "committed" counts only while a session from before the transaction lives.
    """

    def __init__(self, engine: Engine) -> None:
        """Nothing is opened yet."""
        self._engine, self._lock = engine, threading.Lock()
        self._connection: Connection | None = None

    def present(self) -> Driver:
        """The session to ask later, opened where there is none; call it before the transaction begins."""
        with self._lock:
            if self._connection is None:
                self._connection = self._engine.connect()
            return _driver_of(self._connection)

    def lives(self, driver: Driver) -> bool:
        """Whether the session from then still answers."""
        with self._lock, suppress(psycopg.Error):
            driver.execute("SELECT 1")
            return True
        return False

    def renew(self) -> None:
        """Connections were lost: the next transaction gets a session of its own time."""
        with self._lock:
            if self._connection is not None:
                self._connection.invalidate()
                self._connection.close()
            self._connection = None
