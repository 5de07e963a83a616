"""`triaged db`: the schema of the database."""

import click

from store import migrate
from store.migrate import SchemaStatus
from triaged.options import config_option, json_option, loaded
from triaged.output import data, data_json, talk


@click.group("db", short_help="Upgrade the database or tell its version.")
@config_option
def command() -> None:
    """Upgrade the database, or tell which schema it has."""


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
    """Bring the database to the schema of this triaged, in one commit. The daemon must be stopped; exit code 5 when it runs."""
    before = migrate.upgrade(loaded().configuration.store)
    if as_json:
        data_json({"was": before.current, "is": before.head, "done": before.pending})
    elif before.pending:
        talk(f"Upgraded from {before.current or 'nothing'} to {before.head}.")
    else:
        talk(f"Nothing to do: the database has schema {before.head}.")
    return 0
