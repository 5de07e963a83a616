"""`triaged run`: the daemon."""

import click

from itsm.errors import Permanent
from triaged.options import config_option, loaded
from triaged.roles import roles_of
from triaged.run import run


@click.command("run", short_help="Run the daemon.")
@config_option
@click.option(
    "--role", "roles", metavar="ROLE", multiple=True, help="doors, triage, notify, timers or all; again or with commas. On PostgreSQL only."
)
def command(roles: tuple[str, ...]) -> int:
    """Run the daemon in the foreground. SIGTERM and SIGINT drain it in seconds, SIGHUP reads the configuration again.

    Without a configuration it keeps its data in ./var, takes mail on 127.0.0.1:2525 and alerts on 127.0.0.1:8025, and writes outgoing
    mail to ./var/outbox. On PostgreSQL any number of processes may run, each with every role or with some.
    """
    found = loaded()
    try:
        chosen = roles_of(roles, shared=found.configuration.store.postgres is not None)
    except Permanent as error:
        raise click.UsageError(str(error)) from error
    return run(found, click.get_current_context().find_root().obj, chosen)
