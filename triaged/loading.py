"""Finds, reads, overrides and checks the configuration: file, then environment, then defaults (design 8)."""

import math
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from triaged.configuration import Configuration
from triaged.crosscheck import crosscheck
from triaged.environment import override
from triaged.findings import ConfigurationInvalid, Finding
from triaged.locate import line_of_syntax_error, lines_of
from triaged.reading import Document, check
from triaged.shape import StructType, fields_of

FILES = (Path("triaged.toml"), Path("/etc/triaged/triaged.toml"))
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 40  # of tables and arrays; conditions of rules are the deepest


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A valid configuration and where it came from; `file` is None when there was none."""

    configuration: Configuration
    file: Path | None
    document: Document


def find_file(given: str | None) -> Path | None:
    """The file to read: the one given, else the first that exists of the usual places, else None."""
    if given:
        return Path(given)
    return next((file for file in FILES if file.is_file()), None)


def load(given: str | None = None, environment: Mapping[str, str] | None = None) -> Loaded:
    """Read, override, check; raises ConfigurationInvalid with every finding."""
    environment = os.environ if environment is None else environment
    file = find_file(given)
    document = read(file) if file else Document()
    data, findings = override(document.data, Configuration, environment)
    findings += check(msgspec.structs.replace(document, data=data), Configuration)
    if findings:
        raise ConfigurationInvalid(findings)
    resolved = _with_files(data, Configuration, _directories(file, environment))
    configuration = msgspec.convert(resolved, Configuration, strict=True)
    findings = list(crosscheck(document, configuration))
    if findings:
        raise ConfigurationInvalid(findings)
    return Loaded(configuration=configuration, file=file, document=document)


def read(file: Path) -> Document:
    """A TOML file with the line of each key; raises ConfigurationInvalid when it cannot be read."""
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_FILE_BYTES + 1).decode("utf-8")
    except OSError as error:
        raise ConfigurationInvalid([Finding(file=str(file), message=f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationInvalid([Finding(file=str(file), message="is not UTF-8", hint=f"at byte {error.start}")]) from error
    if len(text) > MAX_FILE_BYTES:
        raise ConfigurationInvalid([Finding(file=str(file), message=f"is larger than {MAX_FILE_BYTES} bytes")])
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = line_of_syntax_error(str(error)) or text.count("\n") + 1
        raise ConfigurationInvalid([Finding(file=str(file), line=line, message=f"is not TOML: {error}")]) from error
    except (RecursionError, ValueError) as error:  # brackets by the thousand, or a number of thousands of digits (A45)
        raise ConfigurationInvalid([Finding(file=str(file), message="holds something too deep or too long to be read")]) from error
    odd = _odd(data)
    if odd:
        raise ConfigurationInvalid([Finding(file=str(file), message=odd)])
    return Document(file=str(file), data=data, lines=lines_of(text))


def _odd(data: dict[str, Any]) -> str:
    """What no table of ours can hold; "" when there is nothing of it."""
    waiting: list[tuple[Any, int]] = [(data, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            return f"nests deeper than {MAX_DEPTH} tables"
        if isinstance(value, float) and not math.isfinite(value):
            return f"holds {value}, which is no number of anything"
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting += [(each, depth + 1) for each in inner]
    return ""


def _directories(file: Path | None, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where a relative `*_file` may lie: beside the configuration, then in $CREDENTIALS_DIRECTORY."""
    beside = ((file.resolve().parent if file else Path.cwd()),)
    credentials = environment.get(CREDENTIALS_VARIABLE)
    return (*beside, Path(credentials)) if credentials else beside


def _with_files(value: Any, table: StructType, directories: tuple[Path, ...]) -> Any:
    """The data with every `*_file` made absolute."""
    found = dict(value)
    for field in fields_of(table):
        given = value.get(field.name)
        if field.table is not None and field.many and given is not None:
            found[field.name] = [_with_files(item, field.table, directories) for item in given]
        elif field.table is not None and given is not None:
            found[field.name] = _with_files(given, field.table, directories)
        elif field.name.endswith("_file") and isinstance(given, str) and given:
            places = [directory / given for directory in directories]  # an absolute path stays as it is
            found[field.name] = str(next((place for place in places if place.exists()), places[0]))
    return found
