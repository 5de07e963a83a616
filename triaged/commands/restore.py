"""`triaged restore`: put a backup in the place of the store."""

from pathlib import Path

import click

from itsm.errors import Permanent
from store.restore import restore
from triaged import clock
from triaged.options import config_option, json_option, loaded
from triaged.output import data_json, talk

NOT_HERE = "this store is in PostgreSQL: put a dump back with `pg_restore`, then run `triaged verify`; docs/howto/postgresql.md says how"


@click.command("restore", short_help="Restore a backup.")
@config_option
@json_option
@click.option("--planned", is_flag=True, help="Nothing happened since the backup (a move): waiting mails are sent, numbers go on.")
@click.option("--despite-findings", is_flag=True, help="Restore although `verify` finds something wrong with the backup.")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
def command(directory: Path, planned: bool, despite_findings: bool, as_json: bool) -> int:
    """Put the backup in DIRECTORY in the place of the store. The daemon must be stopped; exit code 5 when it runs.

    Mails that waited when the backup was made are held, for they may have been sent since: look at `triaged queue list --of outbox --state
    held`. Ticket numbers skip ahead, so that none is given out twice. The old database is kept beside the new one.
    """
    if loaded().configuration.store.postgres is not None:
        raise Permanent(NOT_HERE)
    done = restore(loaded().configuration.store, directory, now=clock.now(), planned=planned, despite_findings=despite_findings)
    if as_json:
        data_json(done)
        return 1 if done.findings else 0
    talk(f"Restored the backup of {done.manifest.created_at:%Y-%m-%d %H:%M} UTC.")
    if done.old_database is not None:
        talk(f"The old database is kept at {done.old_database}.")
    if done.held:
        talk(f"{done.held} mails are held: `triaged queue list --of outbox --state held`.")
    for sentence in done.findings:
        talk(f"FAIL  {sentence}")
    return 1 if done.findings else 0
