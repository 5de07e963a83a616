"""`TRIAGED__SECTION__KEY=value` in the environment overrides the file, key by key."""

import tomllib
from collections.abc import Mapping
from typing import Any

from triaged.findings import Finding
from triaged.reading import ENVIRONMENT_PREFIX, nearest
from triaged.shape import Field, StructType, fields_of, plain


def override(data: dict[str, Any], table: StructType, environment: Mapping[str, str]) -> tuple[dict[str, Any], list[Finding]]:
    """The data with every override put in, and the variables that name no key. The data given is left as it is.

    A value for a string is taken as it is; any other is read as TOML (`2525`, `true`, `["a", "b"]`). The items of an array of tables
    are named by their number: `TRIAGED__TEAM__0__NAME`.
    """
    result = _copy(data)
    findings: list[Finding] = []
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT_PREFIX):
            message, hint = _put(result, table, name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"), environment[name])
            if message:
                findings.append(Finding(path=f"environment variable {name}", message=message, hint=hint))
    return result, findings


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(each) for name, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value


def _put(data: Any, table: StructType, names: list[str], text: str) -> tuple[str, str]:
    """Walk down to the key and set it; what is wrong and a hint, or two empty texts."""
    if not isinstance(data, dict):
        return "", ""  # the file has something else here, and the check of the file says so
    name, rest = names[0], names[1:]
    fields = {field.name: field for field in fields_of(table)}
    field = fields.get(name)
    if field is None:
        return "names no key of the configuration", nearest(name, list(fields))
    if field.table is None:
        if rest:
            return f"{name} is a plain value", ""
        data[name] = _value(field, text)
        return "", ""
    if not rest:
        return f"{name} is a table: name a key in it", nearest("", [each.name for each in fields_of(field.table)])
    if not field.many:
        return _put(data.setdefault(name, {}), field.table, rest, text)
    items = data.setdefault(name, [])
    if not isinstance(items, list):
        return "", ""
    if not rest[0].isdecimal() or int(rest[0]) > len(items) or len(rest) < 2:
        return f"{name} is an array of tables: name an item by its number, at most {len(items)}, and a key in it", ""
    if int(rest[0]) == len(items):
        items.append({})
    return _put(items[int(rest[0])], field.table, rest[1:], text)


def _value(field: Field, text: str) -> Any:
    if plain(field.type) is str:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text
