"""`triaged explain`: why something was decided, stage by stage; nothing is judged again."""

import click

from intake.settings import sources_of
from triaged.access import opened
from triaged.explanation import as_text
from triaged.options import config_option, json_option
from triaged.output import data, data_json
from triaged.trace import traces


@click.command("explain", short_help="Tell why something was decided.")
@config_option
@json_option
@click.argument("id_", metavar="ID")
def command(id_: str, as_json: bool) -> int:
    """Tell why, stage by stage: the door, what is read in it, how its ticket was found, rules, budgets, what was done, mails, timers.

    ID is a ticket number (INC-1042), an inbox id (in-123) or the Message-ID of a mail that came in. Only the bytes are read
    again, by a child process and within the time that the daemon gives its own.
    """
    with opened() as (store, found):
        intake = found.configuration.intake
        sources = sources_of(intake)
        mappings = {each.name: each.mapping for each in sources if each.mapping is not None}
        told = traces(store, id_, mappings, deadline_seconds=intake.parse_timeout_seconds)
    for each in told:
        if as_json:
            data_json(each)
        else:
            data(as_text(each))
    return 0
