"""`triaged config`: the example, the schema, and what is in force."""

import click
import msgspec

from triaged.documents import example, schema, toml
from triaged.options import config_option, json_option, loaded
from triaged.output import data, data_json, talk
from triaged.shape import fields_of


@click.group("config", short_help="Show the example, the schema or the settings in force.")
@config_option
def command() -> None:
    """Show the example, the schema, or the settings in force."""


@command.command("example")
@config_option
def example_() -> None:
    """Print a file with every key, its description and its default."""
    click.echo(example(), nl=False)


@command.command("schema")
@config_option
def schema_() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    click.echo(msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode())


@command.command("show")
@config_option
@json_option
def show(as_json: bool) -> None:
    """Print what is in force: file, environment and defaults together. Secrets are in files, so there are none to hide."""
    found = loaded()
    if as_json:
        data_json(found.configuration)
        return
    talk(f"# from {found.file or 'the defaults: there is no configuration file'}")
    data("\n".join(in_force(found.configuration)).strip())


def in_force(value: msgspec.Struct, path: str = "", *, many: bool = False) -> list[str]:
    """A table as TOML, keys before the tables in it."""
    lines = ["", f"[[{path}]]" if many else f"[{path}]"] if path else []
    later: list[str] = []
    for field in fields_of(type(value)):
        given, name = getattr(value, field.name), f"{path}.{field.name}" if path else field.name
        if field.table is None:
            lines += [f"{field.name} = {toml(given)}"] if given is not None else []
        elif field.many:
            later += [line for item in given for line in in_force(item, name, many=True)]
        elif given is not None:
            later += in_force(given, name)
    return [*lines, *later]
