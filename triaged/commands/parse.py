"""`triaged parse`: what triaged reads in files, without a daemon and without a store."""

import sys
from pathlib import Path

import click

from intake.context import ParseContext
from intake.parse import FORMATS, parse
from intake.present import present
from itsm.envelope import MAIL_FORMAT
from triaged import clock
from triaged.options import config_option, json_option
from triaged.output import data, data_json

MAX_FILE_BYTES = 64 * 1024 * 1024


@click.command("parse", short_help="Show what triaged reads in mail or alert files.")
@config_option
@json_option
@click.option(
    "--as", "format_", metavar="FORMAT", default=MAIL_FORMAT, show_default=True, type=click.Choice(FORMATS), help="The format of the files."
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def command(files: tuple[str, ...], format_: str, as_json: bool) -> int:
    """Parse files ("-" is stdin) and print one object a file, in the order given. Exit code 1 when one cannot be read."""
    broken = False
    for name in files:
        found = _parse(name, format_)
        broken = broken or "error" in found
        if as_json:
            data_json(found)
        else:
            data(f"== {name}\n{_as_text(found)}\n")
    return 1 if broken else 0


def _parse(name: str, format_: str) -> dict[str, object]:
    try:
        raw = sys.stdin.buffer.read(MAX_FILE_BYTES + 1) if name == "-" else _read(Path(name))
    except OSError as error:
        return {"error": f"{name}: {error.strerror}"}
    if len(raw) > MAX_FILE_BYTES:
        return {"error": f"{name}: larger than {MAX_FILE_BYTES} bytes"}
    return present(parse(format_, raw, ParseContext(source=format_, received_at=clock.now())))


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_FILE_BYTES + 1)


def _as_text(found: dict[str, object], indent: str = "") -> str:
    """`name: value` lines; what is empty is left out, longer texts stand indented below their name."""
    lines: list[str] = []
    for name, value in found.items():
        if value in (None, "", [], {}, ()):
            continue
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", _as_text(value, indent + "  ")]
        elif isinstance(value, list) and isinstance(value[0], dict):
            lines += [f"{indent}{name}:", *(f"{_as_text(each, indent + '  ')}\n" for each in value)]
        elif isinstance(value, list):
            lines.append(f"{indent}{name}: {', '.join(str(each) for each in value)}")
        elif "\n" in str(value):
            lines += [f"{indent}{name}:", *(f"{indent}  {line}" for line in str(value).splitlines())]
        else:
            lines.append(f"{indent}{name}: {value}")
    return "\n".join(lines)
