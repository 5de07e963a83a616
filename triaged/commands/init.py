"""`triaged init`: a first configuration, a data directory, an administrator's token."""

import os
from pathlib import Path

import click

from itsm.errors import Conflict, Permanent
from store.store import Store
from triaged import clock
from triaged.documents import example
from triaged.first_start import ensure_admin_token
from triaged.loading import load
from triaged.options import config_option
from triaged.output import data, talk

FILE_MODE = 0o640


@click.command("init", short_help="Write a first configuration.")
@config_option
def command() -> int:
    """Write a commented triaged.toml (or the file of --config), make the data directory and the administrator's token.

    Nothing is ever overwritten: exit code 5 when the file is there.
    """
    file = Path(click.get_current_context().find_root().obj or "triaged.toml")
    _write(file, example())
    configuration = load(str(file)).configuration
    store = Store(configuration.store, clock=clock.now, description="command")
    try:
        token = ensure_admin_token(store)
    finally:
        store.close()
    data(str(file))
    talk(f"Wrote {file}: every key there is, commented out; with none of them changed triaged works as it is.")
    talk(f"The data is in {store.directory}" + (f", the administrator's token in {token}." if token else "; it has tokens already."))
    talk("Next: edit it, `triaged check`, `triaged doctor`, `triaged run`.")
    return 0


def _write(file: Path, text: str) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    except FileExistsError as error:
        raise Conflict(f"{file} is there already and is not overwritten; `triaged config example` prints a fresh one") from error
    except OSError as error:
        raise Permanent(f"cannot write {file}: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
