"""`triaged run`: the daemon."""

import click

from triaged.options import config_option, loaded
from triaged.run import run


@click.command("run", short_help="Run the daemon.")
@config_option
def command() -> int:
    """Run the daemon in the foreground. SIGTERM and SIGINT drain it in seconds, SIGHUP reads the configuration again.

    Without a configuration it keeps its data in ./var, takes mail on 127.0.0.1:2525 and alerts on 127.0.0.1:8025, and writes outgoing
    mail to ./var/outbox.
    """
    return run(loaded(), click.get_current_context().find_root().obj)
