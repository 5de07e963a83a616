"""Writes the generated documents, or with `--check` says which are out of date: `python -m triaged.reference`."""

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import click
from prometheus_client import REGISTRY

import casework
import intake
import notifier
import store
import triaged
import webportal
from triaged.api_reference import api
from triaged.documents import example, reference
from triaged.main import VERBS, cli

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (store, casework, intake, notifier, webportal, triaged)
PREFIX = "triaged_"
CLI_HEAD = """\
# Command line

`triaged [--config FILE] VERB ...`. The configuration is `--config FILE` (before or after the verb) or `$TRIAGED_CONFIG`, else
`./triaged.toml`, else `/etc/triaged/triaged.toml`, else none. Data goes to stdout, talk to stderr; `--json` prints one object a line.
An ID is a ticket number (`INC-1042`; any prefix finds it), an inbox id (`in-123`) or a Message-ID.

| exit code | |
|---|---|
| 0 | ok |
| 1 | a finding: something is not as it should be, or is not there |
| 2 | usage |
| 3 | the configuration is not valid |
| 4 | a dependency cannot be reached: database, port, daemon |
| 5 | a conflict: somebody else was faster, a lock is held, a file is there already |
| 130 | interrupted |

`TRIAGED_DEBUG=1` shows the traceback behind an error.

This page is generated from the program: `python -m triaged.reference`.
"""
METRICS_HEAD = """\
# Metrics

`GET /metrics`, on the HTTP door or on `[process] metrics_listen`. Labels are bounded: they come from the configuration or from fixed
lists, never from what strangers write. Gauges of state are refreshed by timers, not at a scrape. The usual `process_*` and `python_*`
metrics are there too.

This page is generated from the program: `python -m triaged.reference`.

| metric | type | labels | |
|---|---|---|---|
"""


def documents() -> dict[str, str]:
    """Every generated document: its path from the root and its text."""
    return {
        "config.example.toml": example(),
        "docs/reference/configuration.md": reference(),
        "docs/reference/cli.md": command_line(),
        "docs/reference/metrics.md": metrics(),
        "docs/reference/api.md": api(),
    }


def command_line() -> str:
    """The reference of every verb, from click."""
    context = click.Context(cli, info_name="triaged")
    sections = [CLI_HEAD]
    for name in VERBS:
        command = cli.get_command(context, name)
        assert command is not None
        sections += _command(command, f"triaged {name}")
    return "\n".join(sections).rstrip() + "\n"


def _command(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    arguments = " ".join(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]")
    text = "\n".join(line.strip() for line in (command.help or "").splitlines()).strip()
    yield f"## `{f'{path} {arguments}'.strip()}`"
    yield ""
    yield text
    yield ""
    options = [each for each in command.params if isinstance(each, click.Option) and each.name != "config"]
    if options:
        yield "| option | |"
        yield "|---|---|"
        yield from (f"| {_option(each, context)} | {_told(each)} |" for each in options)
        yield ""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _command(below, f"{path} {name}")


def _option(option: click.Option, context: click.Context) -> str:
    value = "" if option.is_flag else f" {option.make_metavar(context)}"
    return f"`{'`, `'.join(option.opts)}{value}`".replace("|", "\\|")


def _told(option: click.Option) -> str:
    default = f" Default: {option.default}." if option.show_default and option.default is not None else ""
    return (option.help or "") + default


def metrics() -> str:
    """Every metric of ours, from the registry, once every module that may define one is imported."""
    for package in PACKAGES:
        _import_all(package)
    rows = []
    for collector in sorted(set(REGISTRY._collector_to_names), key=lambda each: str(getattr(each, "_name", ""))):
        for metric in collector.collect() if str(getattr(collector, "_name", "")).startswith(PREFIX) else ():
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            labels = ", ".join(f"`{each}`" for each in getattr(collector, "_labelnames", ()))
            rows.append(f"| `{name}` | {metric.type} | {labels} | {metric.documentation} |")
    return METRICS_HEAD + "\n".join(rows) + "\n"


def _import_all(package: ModuleType) -> None:
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)


def main(arguments: Sequence[str]) -> int:
    """Write, or check; returns 1 when `--check` finds a document out of date."""
    checking = "--check" in arguments
    stale = []
    for name, text in documents().items():
        file = ROOT / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not checking:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
    for name in stale:
        click.echo(f"{name} {'is out of date: run `python -m triaged.reference`' if checking else 'written'}", err=checking)
    return 1 if stale and checking else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
