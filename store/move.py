"""Moves a store from SQLite to PostgreSQL: everything in one transaction of the target, so that a crash leaves it empty (ADR-0008)."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import islice
from pathlib import Path
from secrets import token_bytes
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Table, func, select

from itsm.errors import Conflict, Permanent, Transient
from store import inbox, outbox, totals, verify, version
from store.backend import Backend
from store.bulk import BulkInsert
from store.credentials import ACCESS_STREAM
from store.desk_schema import process
from store.engine import open_engine
from store.engines import open_backend
from store.exclusive import exclusive
from store.history import append_many
from store.identifiers import Issuer
from store.lock import DataLock
from store.schema import DESK_ID, metadata
from store.settings import StoreSettings
from store.sqlite_backend import DATABASE_FILE
from store.step import step
from store.transaction import Tx

ROWS_AT_ONCE = 1000
MAX_FINDINGS = 100
_UNBOUND = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What was moved: rows a table, where they came from and where they are."""

    source: str
    target: str
    rows: dict[str, int]


def move(settings: StoreSettings, *, now: datetime) -> Moved:
    """Copy every row of the file in the data directory to the empty database of `[store.postgres]`; verify; commit.

    Holds the data lock: raises Conflict while triaged runs on the file, or when the target has rows already. The file is left
    as it is. Raises Permanent when either store is not well, and then the target is as it was.
    """
    if settings.postgres is None:
        raise Permanent("there is nowhere to move to: name the database as [store.postgres] url")
    file = Path(settings.path) / DATABASE_FILE
    if not file.exists():
        raise Transient(f"there is no database at {file}: [store] path names the directory to move from")
    with ExitStack() as undo:
        undo.enter_context(DataLock(file.parent))
        source = open_engine(file, busy_timeout_seconds=settings.busy_timeout_seconds, read_only=True)
        undo.callback(source.dispose)
        _assert_current(source)
        target = open_backend(settings)
        undo.callback(target.close)
        rows = _move(source, target, now)
    step("move.after_commit")
    return Moved(source=str(file), target=target.place, rows=rows)


def _assert_current(source: Engine) -> None:
    found = version.current(source)
    version.assert_known(found or version.UNKNOWN)
    if found != version.HEAD:
        raise Permanent(
            f"the file has schema {found}, {version.HEAD} is needed: take [store.postgres] out and run `triaged db upgrade` first"
        )


def _move(source: Engine, target: Backend, now: datetime) -> dict[str, int]:
    version.ensure(target.engine)
    with source.connect() as reading, target.engine.connect() as writing:
        reading.exec_driver_sql("BEGIN")
        before = Tx(reading, now, Issuer(0, lambda: now, 0), token_bytes)
        _assert_well(before, "the file is not well")
        with exclusive(writing):
            writing.exec_driver_sql(_UNBOUND)
            after = Tx(writing, now, Issuer(0, lambda: now, 0), token_bytes)
            rows = _copy(before, after)
            if totals.balance(before) != totals.balance(after):
                raise Permanent("the conservation laws do not give the same figures on both sides; nothing was moved")
            _assert_well(after, "what arrived is not well, nothing was moved")
            inbox.release_all(after)
            outbox.release_all(after)
            append_many(after, [(ACCESS_STREAM, "moved", "operator", (), msgspec.json.encode({"rows": rows}))])
            step("move.before_commit")
    return rows


def _assert_well(tx: Tx, what: str) -> None:
    found = list(islice(verify.findings(tx), MAX_FINDINGS))
    if found:
        raise Permanent(f"{what}: " + "; ".join(found))


def _copy(before: Tx, after: Tx) -> dict[str, int]:
    """Every table but that of running processes, parents first; raises Conflict for one that has rows already."""
    rows: dict[str, int] = {}
    tables = [table for table in metadata.sorted_tables if table is not process]
    for table in tables:
        if _count(after.connection, table):
            raise Conflict(f"the target is not empty: {table.name} has rows; make a new database, or drop that one's tables")
    for table in tables:
        insert = BulkInsert(table, *(column.name for column in table.columns))
        query = select(table).where(table.c.desk_id == before.desk_id).execution_options(yield_per=ROWS_AT_ONCE)
        for some in before.connection.execute(query).partitions():
            insert(after, _plain(table, some))
        rows[table.name] = _count(after.connection, table)
        if rows[table.name] != _count(before.connection, table):
            raise Permanent(f"{table.name}: {rows[table.name]} rows arrived, {_count(before.connection, table)} were there")
    return rows


def _plain(table: Table, rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Rows as PostgreSQL takes them; raises Permanent for text that only SQLite keeps."""
    plain = [tuple(row) for row in rows]
    for row in plain:
        if any(isinstance(value, str) and "\0" in value for value in row):
            raise Permanent(f"{table.name} has a text with NUL in the row {row[:3]}, which PostgreSQL does not take")
    return plain


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table).where(table.c.desk_id == DESK_ID)).scalar_one()
