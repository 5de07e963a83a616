"""What is generated from the settings: the commented example, the reference page and the JSON schema."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from triaged.configuration import Configuration
from triaged.shape import Field, StructType, fields_of, metas, type_text

EXAMPLE_HEAD = """\
# triaged.toml: every key there is, with its default. Nothing here is needed: without a configuration file triaged keeps its data in
# ./var, takes mail on 127.0.0.1:2525 and alerts on 127.0.0.1:8025, and writes outgoing mail to ./var/outbox.
#
# Take the "#" from the tables and keys you want to change; words have a blank after it, keys have none. `triaged check` tells what is
# wrong, with file and line. Files named by a key that ends in `_file` are looked for beside this file, then in $CREDENTIALS_DIRECTORY.
# TRIAGED__SECTION__KEY in the environment wins over this file.
"""
REFERENCE_HEAD = """\
# Configuration

One TOML file: `--config FILE`, else `./triaged.toml`, else `/etc/triaged/triaged.toml`, else none. Without a file everything has the
default written here. `triaged check` tells what is wrong, with file and line; `triaged config show` prints what is in force.

- Unknown keys are refused, with the nearest name.
- `TRIAGED__SECTION__KEY` in the environment wins over the file: `TRIAGED__STORE__PATH=/var/lib/triaged`. Values of strings are taken as
  they are, all others as TOML; items of an array of tables have their number: `TRIAGED__TEAM__0__NAME`.
- Secrets stand in files of their own. A key that ends in `_file` names one: beside the configuration file, or in
  `$CREDENTIALS_DIRECTORY`.
- Units stand at the end of a key's name.
- SIGHUP reads the file again. People, rules, sources, mailboxes and tokens follow at once; what is bound at start (listeners, limits,
  the relay, the store, the process) waits for a restart, and the log names its table. When the new file is not valid the old one stays
  in force, the log says why, and `triaged_config_reload_success` is 0.

This page is generated from the program: `python -m triaged.reference`.
"""
EXAMPLES: dict[str, dict[str, Any]] = {
    "team": {"key": "network", "name": "Network", "addresses": ["network@example.org"], "notify": "network-team@example.org"},
    "agent": {"key": "ana", "name": "Ana Silva", "address": "ana@example.org", "teams": ["network"]},
    "service": {"key": "vpn", "name": "Remote access", "team": "network", "tier": 2},
    "intake.smtp.login": {"name": "scanner", "password_file": "secrets/scanner", "senders": ["scanner@example.org"]},
    "oauth": {
        "name": "m365",
        "provider": "microsoft",
        "tenant": "example.onmicrosoft.com",
        "client_id": "00000000-0000-0000-0000-000000000000",
        "client_secret_file": "secrets/m365",
    },
    "intake.mailbox": {
        "name": "helpdesk",
        "host": "imap.example.org",
        "login": "help@example.org",
        "password_file": "secrets/mailbox",
        "after": "move",
        "move_to": "Done",
    },
    "intake.source": {"name": "zabbix", "format": "generic", "token_file": "secrets/zabbix", "team": "network", "service": "vpn"},
    "intake.source.mapping": {"severities": {"Disaster": "critical", "Average": "warning"}},
    "rules.extraction": {
        "key": "nagios services",
        "when": {"from": "nagios@mon.example.org"},
        "source": "nagios",
        "subject": "** {kind} Service Alert: {host}/{service} is {status} **",
        "body": ("Additional Info: {info}",),
        "series": "{host}/{service}",
        "title": "{service} on {host} is {status}",
        "severity": "{status}",
        "severities": {"critical": "critical", "warning": "warning"},
    },
    "rules.rule": {
        "key": "vpn-words",
        "when": {"subject": {"contains": "vpn"}},
        "type": "incident",
        "service": "vpn",
        "team": "network",
        "tags": ["remote"],
        "suppress": False,
    },
    "store.postgres": {"url": "postgresql://triaged@db.example.org/triaged?sslmode=verify-full", "password_file": "secrets/database"},
    "notifier.relay": {"host": "relay.example.org", "login": "triaged", "password_file": "secrets/relay"},
}


def example() -> str:
    """`config.example.toml`: every table and key, commented out, with description, default and unit."""
    lines = [EXAMPLE_HEAD.rstrip()]
    for path, table, many in tables(Configuration):
        if not path:
            continue
        lines.append("")
        lines += _commented(_about(table))
        lines.append(f"#[[{path}]]" if many else f"#[{path}]")
        for field in fields_of(table):
            if field.table is None:
                lines += _commented(field.description)
                lines.append(f"#{field.name} = {_example_value(path, field)}")
    return "\n".join(lines) + "\n"


def tables(table: StructType, path: str = "", *, many: bool = False) -> Iterator[tuple[str, StructType, bool]]:
    """Every table with its dotted path, in the order of the structs; `many` for an array of tables."""
    yield path, table, many
    for field in fields_of(table):
        if field.table is not None:
            yield from tables(field.table, f"{path}.{field.name}" if path else field.name, many=field.many)


def _about(table: StructType) -> str:
    text = " ".join((table.__doc__ or "").split())
    if text.startswith("`"):
        text = text.partition(": ")[2]
    return text[:1].upper() + text[1:]


def _commented(text: str) -> list[str]:
    lines, line = [], "#"
    for word in text.split():
        if len(line) + len(word) > 138:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line] if line != "#" else lines


def _example_value(path: str, field: Field) -> str:
    given = EXAMPLES.get(path, {})
    if field.name in given:
        return toml(given[field.name])
    return toml(field.default) if field.default is not None else _empty(field)


def _empty(field: Field) -> str:
    """A value for a key that has no default: the least there is of its type."""
    return {"string": '""', "integer": "1", "number": "1.0", "true or false": "true", "table": "{}"}.get(type_text(field.type), "[]")


def toml(value: Any) -> str:
    """A value as TOML, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple, frozenset)):
        return "[" + ", ".join(toml(each) for each in value) + "]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{name if name.replace('_', '').isalnum() else json.dumps(name)} = {toml(each)}" for name, each in value.items())
        return "{ " + pairs + " }" if pairs else "{}"
    return json.dumps(getattr(value, "value", value), ensure_ascii=False)


def reference() -> str:
    """`docs/reference/configuration.md`: a section a table, a row a key."""
    lines = [REFERENCE_HEAD]
    for path, table, many in tables(Configuration):
        plain = [field for field in fields_of(table) if field.table is None]
        if not path or not plain:
            continue
        lines += [
            f"## `[[{path}]]`" if many else f"## `[{path}]`",
            "",
            _about(table),
            "",
            "| key | type | default | |",
            "|---|---|---|---|",
        ]
        lines += [f"| `{field.name}` | {_type(field)} | {_default(field)} | {_cell(field.description)} |" for field in plain]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _type(field: Field) -> str:
    bounds = []
    for meta in metas(field.type):
        bounds += [f"≥ {meta.ge}"] if meta.ge is not None else []
        bounds += [f"> {meta.gt}"] if meta.gt is not None else []
        bounds += [f"≤ {meta.le}"] if meta.le is not None else []
    return ", ".join([type_text(field.type), *bounds])


def _default(field: Field) -> str:
    if field.required:
        return "needed"
    if field.default is None:
        return "not set"
    text = toml(field.default)
    return f"`{_cell(text)}`" if len(text) <= 100 else "see the example"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the configuration, for editors."""
    return msgspec.json.schema(Configuration) | {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "triaged.toml"}
