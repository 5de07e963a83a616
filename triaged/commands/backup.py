"""`triaged backup`: a whole copy of the store, while the daemon runs."""

from pathlib import Path

import click

from itsm.errors import Permanent, Transient
from store.backup import backup
from store.sqlite_backend import DATABASE_FILE
from triaged import clock
from triaged.options import config_option, json_option, loaded
from triaged.output import data, data_json, talk

NOT_HERE = (
    "this store is in PostgreSQL: back it up with its own tools, `pg_dump --format=custom`, or continuous archiving; "
    "docs/howto/postgresql.md says how"
)


@click.command("backup", short_help="Write a backup.")
@config_option
@json_option
@click.argument("directory", type=click.Path(path_type=Path))
def command(directory: Path, as_json: bool) -> int:
    """Write a backup into a new DIRECTORY, as of one instant. The daemon goes on meanwhile.

    A backup holds the signing keys and everything people wrote: it is as secret as the store. Configuration and files of secrets are not
    in it.
    """
    if loaded().configuration.store.postgres is not None:
        raise Permanent(NOT_HERE)
    database = Path(loaded().configuration.store.path) / DATABASE_FILE
    if not database.exists():
        raise Transient(f"there is no database at {database}: is this the right configuration?")
    manifest = backup(database, directory, now=clock.now())
    if as_json:
        data_json(manifest)
    else:
        talk(f"{manifest.size_bytes} bytes, schema {manifest.schema}, sha256 {manifest.sha256[:16]}…")
        data(str(directory))
    return 0
