"""`triaged doctor`: looks over the whole installation and says, line by line, what is well and what to do."""

import click

from triaged.checkup import examine
from triaged.checkup_result import FAIL, Result
from triaged.options import config_option, json_option
from triaged.output import data, data_json, talk


@click.command("doctor", short_help="Look over the whole installation.")
@config_option
@json_option
def command(as_json: bool) -> int:
    """Check configuration, packages, data directory, disk, database, ports, TLS files and relay. Nothing is changed, no mail is sent.

    Exit code 1 when anything fails; a warning is no failure.
    """
    results = examine(click.get_current_context().find_root().obj)
    for result in results:
        if as_json:
            data_json(result)
        else:
            data(_line(result))
    failed = sum(result.state == FAIL for result in results)
    if not as_json:
        talk(f"{failed} of {len(results)} checks failed." if failed else "Nothing fails.")
    return 1 if failed else 0


def _line(result: Result) -> str:
    return f"{result.state:4}  {result.name:14} {result.message}" + (f"  -> {result.advice}" if result.advice else "")
