"""How commands speak: data on stdout, talk on stderr, plain aligned text or JSON, and never a control character of a stranger."""

import contextlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click
import msgspec

from triaged.logs import escape

MAX_CELL_CHARACTERS = 60


def data(text: str) -> None:
    """Print one text to stdout; its control characters are escaped, its own line breaks kept."""
    click.echo(_lines(text))


def data_json(value: Any) -> None:
    """Print one JSON object on one line."""
    click.echo(msgspec.json.encode(value, enc_hook=str).decode())


def talk(text: str) -> None:
    """Say something to the person, on stderr; when that leads nowhere, nobody is told."""
    with contextlib.suppress(OSError):  # its disk is full, or its reader has gone
        click.echo(_lines(text), err=True)


def _lines(text: str) -> str:
    return "\n".join(escape(line.expandtabs(4)) for line in text.split("\n"))


def instant(value: datetime | None) -> str:
    """An instant to the second, as people read it; "-" for none."""
    return value.strftime("%Y-%m-%d %H:%M:%S") if value else "-"


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows in aligned columns under their headers; a long cell is cut, the last column never."""
    cells = [[_cell(value, last=index == len(headers) - 1) for index, value in enumerate(row)] for row in rows]
    if not cells:
        return ""
    widths = [max(len(row[index]) for row in [list(headers), *cells]) for index in range(len(headers))]
    lines = [headers, *cells]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _cell(value: object, *, last: bool) -> str:
    text = instant(value) if isinstance(value, datetime) else "-" if value in (None, "") else escape(str(value))
    return text if last or len(text) <= MAX_CELL_CHARACTERS else text[: MAX_CELL_CHARACTERS - 1] + "…"
