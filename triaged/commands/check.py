"""`triaged check`: is this configuration valid, and if not, where and why."""

import click

from triaged.findings import ConfigurationInvalid, Finding
from triaged.loading import load
from triaged.options import config_option, json_option
from triaged.output import data_json, talk
from triaged.texts import failing_texts

VALID, INVALID = 0, 3


@click.command("check", short_help="Check a configuration file.")
@config_option
@json_option
@click.argument("file", required=False, metavar="[CONFIG]")
def command(file: str | None, as_json: bool) -> int:
    """Check CONFIG, or the configuration that `run` would take, with everything it refers to.

    Each finding is one line: file, line, key, what is wrong, what was probably meant. Exit code 3 when there is any.
    Texts of your own are tried too, with sample facts; `run` would start with those that fail, and send ours in their place.
    """
    given = file or click.get_current_context().find_root().obj
    try:
        loaded = load(given)
    except ConfigurationInvalid as invalid:
        _tell(invalid.findings, as_json, next((each.file for each in invalid.findings if each.file), None))
        return INVALID
    if failing := tuple(failing_texts(loaded.configuration)):
        _tell(failing, as_json, str(loaded.file) if loaded.file else None)
        return INVALID
    if as_json:
        data_json({"valid": True, "file": str(loaded.file) if loaded.file else None, "findings": []})
    else:
        talk(f"{loaded.file or 'no configuration file: the defaults'}: valid")
    return VALID


def _tell(findings: tuple[Finding, ...], as_json: bool, file: str | None) -> None:
    if as_json:
        data_json({"valid": False, "file": file, "findings": findings})
        return
    for finding in findings:
        click.echo(finding.text)
    talk(f"{len(findings)} finding{'s' if len(findings) > 1 else ''}; nothing was changed")
