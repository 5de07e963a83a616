"""`triaged db`: the schema of the database."""

import click

from store import migrate, move
from store.migrate import SchemaStatus
from store.search import ALL, Filled, fill_some
from triaged import clock
from triaged.access import opened
from triaged.options import config_option, json_option, loaded
from triaged.output import data, data_json, talk


@click.group("db", short_help="Upgrade the database, tell its version, index it anew, or move it to PostgreSQL.")
@config_option
def command() -> None:
    """Upgrade the database, tell which schema it has, let search find all of it, or move it from SQLite to PostgreSQL."""


@command.command("status")
@config_option
@json_option
def status(as_json: bool) -> int:
    """Tell which schema the database has and which this triaged needs. Exit code 1 when an upgrade is pending."""
    found = migrate.status(loaded().configuration.store)
    if as_json:
        data_json(found)
    else:
        data(_sentence(found))
    return 1 if found.pending and found.current is not None else 0


def _sentence(found: SchemaStatus) -> str:
    if found.current is None:
        return f"There is no database yet; the first start makes one with schema {found.head}."
    if not found.pending:
        return f"The database has schema {found.current}, the newest this triaged knows."
    return (
        f"The database has schema {found.current}, this triaged needs {found.head}: run `triaged db upgrade` ({', '.join(found.pending)})."
    )


@command.command("upgrade")
@config_option
@json_option
def upgrade(as_json: bool) -> int:
    """Bring the database to the schema of this triaged, in one commit.

    On SQLite the daemon must be stopped: exit code 5 when it runs. On PostgreSQL the replicas of the version before go on working;
    exchange them afterwards, one by one.
    """
    before = migrate.upgrade(loaded().configuration.store)
    if as_json:
        data_json({"was": before.current, "is": before.head, "done": before.pending})
    elif before.pending:
        talk(f"Upgraded from {before.current or 'nothing'} to {before.head}.")
    else:
        talk(f"Nothing to do: the database has schema {before.head}.")
    return 0


@command.command("reindex")
@config_option
@json_option
def reindex(as_json: bool) -> int:
    """Let search find what was written without its words, as replicas of the version before do it beside a new one.

    Run it once after the last of them has gone; the daemon may run meanwhile. Nothing is indexed twice.
    """
    done = Filled()
    with opened() as (store, _):
        while done.of < ALL:
            done = store.write(lambda tx, so_far=done: fill_some(tx.connection, tx.desk_id, so_far)).result()  # type: ignore[misc]  # mypy sees no default here
    if as_json:
        data_json({"rows": done.rows})
    else:
        talk(f"Search finds {done.rows} more entries and tickets now." if done.rows else "Nothing to do: search knows every entry.")
    return 0


@command.command("move")
@config_option
@json_option
def move_(as_json: bool) -> int:
    """Move everything from the file in [store] path to the empty PostgreSQL database of [store.postgres].

    The daemon must be stopped: exit code 5 when it runs, or when the database has rows already. Everything is copied, compared and
    verified in one transaction, so a move that is interrupted leaves the database empty. The file stays as it is.
    """
    done = move.move(loaded().configuration.store, now=clock.now())
    if as_json:
        data_json(done)
        return 0
    talk(
        f"Moved {sum(done.rows.values())} rows of {len(done.rows)} tables from {done.source} to {done.target}; both laws and every chain hold."
    )
    talk("The file is left as it is. Keep it as a backup, away from [store] path.")
    return 0
