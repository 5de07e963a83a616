"""Checks a TOML document against the structs and tells everything that is wrong with it at once, each with its line."""

import difflib
from collections.abc import Iterator
from typing import Any

import msgspec

from triaged.findings import Finding
from triaged.locate import Path, line_of
from triaged.shape import Field, StructType, fields_of, type_text

ENVIRONMENT_PREFIX = "TRIAGED__"


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed file: its name, its data, and where each key stands."""

    file: str = ""
    data: dict[str, Any] = {}
    lines: dict[Path, int] = {}

    def finding(self, path: Path, message: str, hint: str = "") -> Finding:
        """A finding about a path of this document."""
        return Finding(file=self.file, line=line_of(self.lines, path), path=path_text(path), message=message, hint=hint)


def path_text(path: Path) -> str:
    """A path as people write it: `intake.source[0].format`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(name: str, names: list[str]) -> str:
    """A hint that names what was probably meant, or every name there is when they are few."""
    found = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if found:
        return f"did you mean {found[0]!r}?"
    return f"known: {', '.join(sorted(names))}" if names and len(names) <= 12 else ""


def check(document: Document, table: StructType) -> Iterator[Finding]:
    """Everything that keeps the document from being a `table`."""
    yield from _check_table(document, document.data, table, ())


def _check_table(document: Document, value: Any, table: StructType, path: Path) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield document.finding(path, f"expected a table, got {_kind(value)}", f"write [{path_text(path)}]")
        return
    fields = {field.name: field for field in fields_of(table)}
    for name in value:
        if name not in fields:
            yield document.finding((*path, name), "unknown key", nearest(name, list(fields)))
    for name, field in fields.items():
        if name in value:
            yield from _check_field(document, value[name], field, (*path, name))
        elif field.required:
            yield document.finding(path, f"{name} is missing", field.description)


def _check_field(document: Document, value: Any, field: Field, path: Path) -> Iterator[Finding]:
    if field.table is None:
        yield from _convert(document, value, field.type, path)
    elif not field.many:
        yield from _check_table(document, value, field.table, path)
    elif not isinstance(value, list):
        yield document.finding(path, f"expected an array of tables, got {_kind(value)}", f"write [[{path_text(path)}]]")
    else:
        for index, item in enumerate(value):
            yield from _check_table(document, item, field.table, (*path, index))


def _convert(document: Document, value: Any, type_: Any, path: Path) -> Iterator[Finding]:
    try:
        msgspec.convert(value, type_, strict=True)
    except msgspec.ValidationError as error:
        message = str(error).partition(" - at `")[0]
        expected = type_text(type_)
        message = (
            message.replace("`str`", "a string")
            .replace("`int`", "an integer")
            .replace("`array`", "an array")
            .replace("`bool`", "true or false")
        )
        yield document.finding(path, message[:1].lower() + message[1:], "" if expected == "table" else f"wants: {expected}")


def _kind(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "a string", list: "an array", dict: "a table"}
    return names.get(type(value), "a date or time")
