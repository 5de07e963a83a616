"""The command line: finds the verb, loads only what it needs, and turns every error into one sentence and an exit code."""

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NamedTuple

import click

from itsm.errors import Conflict, Refused, Transient, TriagedError
from triaged import __version__
from triaged.findings import ConfigurationInvalid

OK, FINDING, USAGE, INVALID, UNREACHABLE, CONFLICT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
DEBUG_VARIABLE = "TRIAGED_DEBUG"


class Verb(NamedTuple):
    """A command: the module under `triaged.commands` and the line that `--help` shows of it."""

    module: str
    help: str


VERBS = {
    "run": Verb("run", "Run the daemon."),
    "demo": Verb("demo", "Show the main job on sample mail and alerts."),
    "check": Verb("check", "Check a configuration file."),
    "init": Verb("init", "Write a first configuration."),
    "doctor": Verb("doctor", "Look over the whole installation."),
    "healthcheck": Verb("healthcheck", "Ask a running daemon whether it is ready."),
    "parse": Verb("parse", "Show what triaged reads in mail or alert files."),
    "preview": Verb("preview", "Show a mail as triaged would send it."),
    "explain": Verb("explain", "Tell why something was decided."),
    "replay": Verb("replay", "Judge something again, without changing anything."),
    "ticket": Verb("ticket", "List, show and act on tickets."),
    "people": Verb("people", "Import, list and show requesters and organisations."),
    "queue": Verb("queue", "Look after inbox, outbox, quarantine and refused bodies."),
    "verify": Verb("verify", "Check the conservation laws and the history."),
    "backup": Verb("backup", "Write a backup."),
    "restore": Verb("restore", "Restore a backup."),
    "db": Verb("db", "Upgrade the database, tell its version, index it anew, or move it to PostgreSQL."),
    "deliver": Verb("deliver", "Take a mail on stdin, from an MTA."),
    "oauth": Verb("oauth", "Log in for mailboxes and relays that take tokens."),
    "token": Verb("token", "Make, list and revoke API tokens; rotate signing keys."),
    "config": Verb("config", "Show the example, the schema or the settings in force."),
}


class Verbs(click.Group):
    """A group that imports a command's module only when it is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order a newcomer meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module."""
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        command = importlib.import_module(f"triaged.commands.{verb.module}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest verb when there is none of that name."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], VERBS, n=1)
            ctx.fail(f"there is no verb {args[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in VERBS.items()])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="triaged")
@click.option("--config", "config_file", metavar="FILE", envvar="TRIAGED_CONFIG", help="Configuration file, before all others.")
@click.pass_context
def cli(context: click.Context, config_file: str | None) -> None:
    """Mail and alerts, triaged.

    The configuration is --config FILE, else ./triaged.toml, else /etc/triaged/triaged.toml, else none: triaged works without.
    Data goes to stdout, talk to stderr. Exit codes: 0 ok, 1 finding, 2 usage, 3 configuration invalid, 4 dependency unreachable,
    5 conflict.
    """
    context.obj = config_file


def exit_code_of(error: BaseException) -> int:
    """The exit code of design 8 for an error."""
    if isinstance(error, ConfigurationInvalid):
        return INVALID
    if isinstance(error, Conflict):
        return CONFLICT
    if isinstance(error, Transient):
        return UNREACHABLE
    return FINDING


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; whatever goes wrong is told in words on stderr."""
    try:
        outcome = cli.main(args=list(arguments) if arguments is not None else None, prog_name="triaged", standalone_mode=False)
        return outcome if isinstance(outcome, int) else OK
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return USAGE if isinstance(error, click.UsageError) else FINDING
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of stdout has gone: nobody to tell
        return OK
    except TriagedError as error:
        _debug()
        legal = f"; you may: {', '.join(error.legal)}" if isinstance(error, Refused) and error.legal else ""
        click.echo(f"triaged: {error}{legal}", err=True)
        return exit_code_of(error)
    except UnicodeEncodeError as error:  # what the shell gave us holds octets that are no text; nothing of ours does
        _debug()
        click.echo(f"triaged: {error.object!r} is not UTF-8, as every name and text here is", err=True)
        return USAGE
    except Exception as error:  # a bug of ours: said in a sentence, with the way to its traceback
        _debug()
        click.echo(f"triaged: this should not happen: {type(error).__name__}: {error}", err=True)
        click.echo(f"Set {DEBUG_VARIABLE}=1 for the traceback, and please report it.", err=True)
        return FINDING


def _debug() -> None:
    if os.environ.get(DEBUG_VARIABLE) == "1":
        traceback.print_exc()


def main() -> None:
    """The console script."""
    _open_standard_streams()
    sys.exit(run())


def _open_standard_streams() -> None:
    """Give a process that was started with a standard stream closed one that leads nowhere, before the database gets its number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number, which is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
