"""A copy of the store kept from outside: after each commit, which rows came, changed or went."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

TABLES = (
    "inbox", "raw", "part", "ticket", "entry", "outbox", "outbox_raw", "timer", "budget", "series", "totals", "history", "history_content",
)  # fmt: skip
Row = dict[str, Any]


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """One row before and after a commit; None where there was or is none."""

    table: str
    old: Row | None
    new: Row | None


def watch(connection: sqlite3.Connection) -> None:
    """Triggers that live on this one connection, in its temporary schema: the database file does not change by them."""
    connection.execute("CREATE TEMP TABLE seen (place INTEGER, row INTEGER, went INTEGER, PRIMARY KEY (place, row)) WITHOUT ROWID")
    for place, table in enumerate(TABLES):
        for verb, row, went in (("INSERT", "NEW", 0), ("UPDATE", "NEW", 0), ("DELETE", "OLD", 1)):
            connection.execute(
                f"CREATE TEMP TRIGGER seen_{table}_{verb} AFTER {verb} ON main.{table} "
                f"BEGIN INSERT INTO seen VALUES ({place}, {row}.rowid, {went}) ON CONFLICT DO UPDATE SET went = max(went, {went}); END"
            )


class Mirror:
    """Every row of the tables as of the last commit."""

    def __init__(self) -> None:
        """Empty, as the store is at first."""
        self.tables: dict[str, dict[int, Row]] = {table: {} for table in TABLES}
        self.commits = 0
        self._columns: dict[str, list[str]] = {}

    def look(self, connections: Sequence[sqlite3.Connection]) -> list[Changed]:
        """What the commits since the last look changed, table by table."""
        found: list[Changed] = []
        for connection in connections:
            found += self._look(connection)
        return found

    def first(self, connection: sqlite3.Connection) -> list[Changed]:
        """What another life left, compared with what we knew: nothing but what its last commit did."""
        found: list[Changed] = []
        for table in TABLES:
            rowids = {row for (row,) in connection.execute(f"SELECT rowid FROM {table}")} | self.tables[table].keys()
            found += self._compare(connection, table, sorted(rowids))
        return found

    def _look(self, connection: sqlite3.Connection) -> Iterator[Changed]:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        seen = connection.execute("SELECT place, row, went FROM seen").fetchall()
        if not seen:
            return
        self.commits += 1
        connection.execute("DELETE FROM seen")
        by_table: dict[str, dict[int, bool]] = {}
        for place, row, went in seen:
            by_table.setdefault(TABLES[place], {})[row] = bool(went)
        for table in sorted(by_table, key=TABLES.index):
            rows = by_table[table]
            yield from self._compare(connection, table, list(rows), frozenset(row for row, went in rows.items() if went))

    def _compare(
        self, connection: sqlite3.Connection, table: str, rowids: Sequence[int], went: frozenset[int] = frozenset()
    ) -> list[Changed]:
        """What went comes before what came; a row that went and came anew in one commit (`went`) is both, and is no change of the old one."""
        known = self.tables[table]
        there: dict[int, Row] = {}
        for at in range(0, len(rowids), 500):
            some = rowids[at : at + 500]
            cursor = connection.execute(f"SELECT rowid, * FROM {table} WHERE rowid IN ({','.join(map(str, some))})")
            names = self._columns.setdefault(table, [each[0] for each in cursor.description])
            for row in cursor:
                there[row[0]] = dict(zip(names[1:], row[1:], strict=True))
        gone: list[Changed] = []
        came: list[Changed] = []
        for rowid in rowids:
            old, new = known.get(rowid), there.get(rowid)
            anew = old is not None and new is not None and (rowid in went or not _same_row(table, old, new))
            if old == new and not anew:
                continue
            if new is None:
                del known[rowid]
            else:
                known[rowid] = new
            if new is None or anew:
                gone.append(Changed(table=table, old=old, new=None))
            if new is not None:
                came.append(Changed(table=table, old=None if anew else old, new=new))
        return gone + came


_KEYS = {
    "raw": ("inbox_id", "seq"), "part": ("inbox_id", "seq"), "outbox_raw": ("outbox_id", "seq"), "budget": ("key", "window_start"),
    "timer": ("subject_kind", "subject_id", "kind", "threshold"), "totals": ("name",), "history": ("stream", "seq"),
    "history_content": ("stream", "seq"),
}  # fmt: skip


def _same_row(table: str, old: Row, new: Row) -> bool:
    return all(old[name] == new[name] for name in _KEYS.get(table, ("id",)))
