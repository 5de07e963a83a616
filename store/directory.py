"""Teams, agents and services as configured: each key has a row whose id never changes (design 8)."""

from collections.abc import Iterator

import msgspec
from sqlalchemy import insert, select, update

from itsm.service import Desk
from store.desk_schema import directory
from store.history import NewEntry, append_many
from store.instants import from_column_or_none, to_column
from store.transaction import Tx

STREAM = "directory"
Key = tuple[str, str]  # kind (team, agent, service) and key


class DirectoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row; `removed` tells that the key is no longer configured, its id stays taken."""

    id: int
    kind: str
    key: str
    name: str
    removed: bool


def _configured(desk: Desk) -> Iterator[tuple[Key, str]]:
    for team in desk.teams:
        yield ("team", team.key), team.name
    for agent in desk.agents:
        yield ("agent", agent.key), agent.name
    for service in desk.services:
        yield ("service", service.key), service.name


def rows(tx: Tx) -> dict[Key, DirectoryRow]:
    """Every row there ever was, by kind and key."""
    query = select(directory).where(directory.c.desk_id == tx.desk_id).order_by(directory.c.id)
    return {
        (row.kind, row.key): DirectoryRow(
            id=row.id, kind=row.kind, key=row.key, name=row.name, removed=from_column_or_none(row.removed_at) is not None
        )
        for row in tx.connection.execute(query)
    }


def sync(tx: Tx, desk: Desk) -> dict[Key, int]:
    """Make the rows what the configuration says, with a history entry for each change; returns the ids in force."""
    known, wanted = rows(tx), dict(_configured(desk))
    entries: list[NewEntry] = []
    ids: dict[Key, int] = {}
    for key, name in wanted.items():
        row = known.get(key)
        if row is None:
            ids[key] = tx.new_id()
            tx.connection.execute(insert(directory).values(desk_id=tx.desk_id, id=ids[key], kind=key[0], key=key[1], name=name))
            entries.append(_entry("added", ids[key], key, name))
            continue
        ids[key] = row.id
        if row.removed or row.name != name:
            _set(tx, row.id, name=name, removed_at=None)
            entries.append(_entry("restored" if row.removed else "renamed", row.id, key, name))
    for key, row in known.items():
        if key not in wanted and not row.removed:
            _set(tx, row.id, removed_at=to_column(tx.now))
            entries.append(_entry("removed", row.id, key, row.name))
    append_many(tx, entries)
    return ids


def _set(tx: Tx, row_id: int, **values: object) -> None:
    tx.connection.execute(update(directory).where(directory.c.desk_id == tx.desk_id, directory.c.id == row_id).values(**values))


def _entry(kind: str, row_id: int, key: Key, name: str) -> NewEntry:
    content = msgspec.json.encode({"kind": key[0], "key": key[1], "name": name})
    return (STREAM, kind, "configuration", (row_id,), content)
