"""Opens PostgreSQL: pools, session settings, the checks without which we do not start."""

import importlib
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from itsm.errors import Permanent, Transient
from store.identifiers import Issuer
from store.instants import from_column
from store.postgres import errors
from store.postgres.numbers import Numbers
from store.postgres.session import BORN
from store.postgres.writer import PooledWriter
from store.seams import Seams
from store.settings import PostgresSettings

OLDEST = 15_00_00
POOL_WAIT_SECONDS = 5
IDLE_IN_TRANSACTION_SECONDS = 20  # a process that stands still must not hold locks for longer
SPARE = 4  # connections for leases, numbers, resolving, beside those of the writers
MAX_SECRET_BYTES = 64 * 1024
_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


class PostgresBackend:
    """An open database; `lease_clock` stands for its clock in tests."""

    def __init__(self, settings: PostgresSettings, *, lease_clock: Callable[[], datetime] | None = None) -> None:
        """Connect once and look; raises Permanent for what only a person can mend, Transient when nobody answers."""
        self.settings, self.lease_clock = settings, lease_clock
        self.url = url_of(settings)
        self.place = self.url.set(drivername="postgresql", password=None).render_as_string()
        self.engine = self._engine(settings.writers + SPARE)
        self._reading: Engine | None = None
        self.numbers = Numbers(self.engine)
        try:
            self._assert_usable()
        except BaseException:
            self.engine.dispose()
            raise

    def _engine(self, size: int, *, ping: bool = False) -> Engine:
        engine = create_engine(
            self.url,
            pool_size=size,
            max_overflow=0,
            pool_timeout=POOL_WAIT_SECONDS,
            pool_use_lifo=True,
            pool_pre_ping=ping,
            connect_args=connect_arguments(self.settings),
            isolation_level="AUTOCOMMIT",
            paramstyle="format",
            skip_autocommit_rollback=True,  # we end transactions ourselves; a ROLLBACK on a dead connection would hide a COMMIT
        )

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, record: Any) -> None:
            record.info[BORN] = time.monotonic()
            connection.autocommit = True
            connection.execute(session_settings(self.settings))

        return engine

    def _assert_usable(self) -> None:
        try:
            with self.engine.connect() as connection:
                found = connection.exec_driver_sql("SELECT current_setting('server_version_num')::int, getdatabaseencoding()").one()
        except DBAPIError as error:
            message = f"cannot open the database {self.place}: {str(error.orig).strip()}"
            refused = getattr(error.orig, "sqlstate", None) or ""
            if refused.startswith(("28", "3D", "42")) or "authentication failed" in message or "does not exist" in message:
                raise Permanent(message) from error
            raise Transient(message) from error
        version, encoding = found
        if version < OLDEST:
            raise Permanent(f"the database {self.place} is PostgreSQL {version // 10000}; triaged needs 15 or newer")
        if encoding != "UTF8":
            raise Permanent(f"the database {self.place} has the encoding {encoding}; triaged needs UTF8: make it WITH ENCODING 'UTF8'")

    def readers(self) -> Engine:
        """A pool of its own, so that reads never keep a write waiting."""
        self._reading = self._engine(self.settings.readers, ping=True)  # a read is not run again, so its connection is tried first
        return self._reading

    def open_writer(
        self,
        *,
        clock: Callable[[], datetime],
        new_id: Issuer,
        queue_limit: int,
        on_fatal: Callable[[BaseException], None],
        seams: Seams,
    ) -> PooledWriter:
        """As many threads as there may be writers; the seams of a simulation do not reach them."""
        return PooledWriter(
            self.engine,
            numbers=self.numbers,
            lease_clock=self.lease_clock,
            threads=self.settings.writers,
            clock=clock,
            new_id=new_id,
            random_bytes=seams.random_bytes,
            queue_limit=queue_limit,
            on_fatal=on_fatal,
        )

    def begin_read(self, connection: Connection) -> None:
        """One instant for the whole of it."""
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def lease_now(self, connection: Connection, now: datetime) -> datetime:  # noqa: ARG002 -- SQLite goes by it
        """The database's clock: machines do not agree about the time."""
        if self.lease_clock is not None:
            return self.lease_clock()
        return from_column(connection.exec_driver_sql(_NOW).scalar_one())

    def told(self, error: BaseException) -> BaseException:
        """What PostgreSQL says, in our words."""
        return errors.told(error)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        if self._reading is not None:
            self._reading.dispose()


def url_of(settings: PostgresSettings) -> URL:
    """The address with the password of its file; raises Permanent for an address that is none or holds a password."""
    try:
        importlib.import_module("psycopg")
    except ImportError as error:
        raise Permanent("PostgreSQL needs a driver that is not installed: pip install 'triaged[postgres]'") from error
    try:
        url = make_url(settings.url).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError) as error:
        raise Permanent(f"[store.postgres] url is no address of a database: {error}") from error
    if url.password:
        raise Permanent("[store.postgres] url holds a password: put it into a file and name that as password_file")
    if not settings.password_file:
        return url
    try:
        with Path(settings.password_file).open("rb") as opened:
            password = opened.read(MAX_SECRET_BYTES).decode("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"[store.postgres] password_file cannot be read: {error}") from error
    return url.set(password=password)


def connect_arguments(settings: PostgresSettings) -> dict[str, object]:
    """How libpq connects: a machine that is gone is noticed in seconds, not in the hours TCP would take."""
    return {
        "connect_timeout": settings.connect_timeout_seconds,
        "application_name": "triaged",
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
    }


def session_settings(settings: PostgresSettings) -> str:
    """What every session is told first."""
    return (
        f"SET lock_timeout = '{settings.lock_timeout_seconds}s'; "
        f"SET statement_timeout = '{settings.statement_timeout_seconds}s'; "
        f"SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_SECONDS}s'; "
        "SET default_transaction_isolation = 'read committed'; SET client_encoding = 'UTF8'; SET timezone = 'UTC'; "
        # What is acknowledged must be on the disk (promise P1, fault F33); `local` and what waits for standbys stays as it is set.
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
