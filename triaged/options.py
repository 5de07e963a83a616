"""The options every command has, and what they give."""

from collections.abc import Callable
from typing import Any

import click

from triaged.loading import Loaded, load

Function = Callable[..., Any]


def _keep(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    """`--config` after the verb wins over `--config` before it."""
    if value is not None:
        context.find_root().obj = value


def config_option(function: Function) -> Function:
    """Let `--config FILE` stand after the verb too."""
    return click.option(
        "--config", metavar="FILE", expose_value=False, is_eager=True, callback=_keep, help="Configuration file, before all others."
    )(function)


def json_option(function: Function) -> Function:
    """`--json`: one JSON object a line on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")(function)


def loaded() -> Loaded:
    """The configuration of the command that runs; raises ConfigurationInvalid."""
    return load(click.get_current_context().find_root().obj)
