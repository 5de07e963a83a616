"""`triaged demo`: the main job on real input, on this machine, in a few seconds."""

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from store.settings import StoreSettings
from store.store import Store
from triaged import clock
from triaged.demo.daemon import DemoDaemon
from triaged.demo.samples import DESK
from triaged.demo.story import chapters, new_mails, play, surprises
from triaged.letter import readable
from triaged.options import config_option
from triaged.output import data, talk

LOOK_SECONDS = 0.3


@click.command("demo", short_help="Show the main job on sample mail and alerts.")
@config_option
@click.option("--once", is_flag=True, help="End after the story; exit code 0 only when everything came out as told.")
def command(once: bool) -> int:
    """Start a daemon of its own on free loopback ports, send it mails by SMTP and alerts by HTTP, and tell what became of them.

    Nothing leaves this machine: outgoing mail becomes files. The data is in a temporary directory that is removed at the end.
    """
    began = clock.monotonic()
    with tempfile.TemporaryDirectory(prefix="triaged-demo-") as name, _running(Path(name)) as daemon:
        talk(f"A daemon runs in {name}; it got ready in {clock.monotonic() - began:.1f} s.\n")
        store = Store(StoreSettings(path=name), clock=clock.now, description="demo")
        try:
            world = play(daemon, store)
        finally:
            store.close()
        for number, (heading, text) in enumerate(chapters(world), start=1):
            data(f"{number}. {heading}\n{'-' * (len(heading) + 3)}\n{text}\n")
        wrong = surprises(world)
        for sentence in wrong:
            talk(f"Not as told: {sentence}")
        talk(f"The story took {clock.monotonic() - began:.1f} s.")
        if not once:
            _stay(daemon)
    return 1 if wrong else 0


@contextmanager
def _running(directory: Path) -> Iterator[DemoDaemon]:
    daemon = DemoDaemon(directory)
    try:
        yield daemon
    finally:
        daemon.stop()


def _stay(daemon: DemoDaemon) -> None:
    """Say what to try, show each new mail, until Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us by `kill` leaves no daemon behind either
    folder = daemon.directory / "outbox"
    known = {file.name for file in folder.glob("*.eml")}  # before we invite: whoever is quick sees their mail too
    data(invitation(daemon))
    try:
        while True:
            for raw in new_mails(folder, known):
                data(f"\na mail went out:\n{readable(raw)}")
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        talk("\nThe daemon drains and ends; its data is removed.")


def invitation(daemon: DemoDaemon) -> str:
    """What to try while it runs."""
    return f"""\
Try it while it runs (Ctrl-C ends it)
-------------------------------------
write a mail     swaks --server 127.0.0.1:{daemon.smtp_port} --from you@example.org --to {DESK} --header "Subject: My screen is black"
post an alert    curl -d '{{"title": "disk full", "status": "firing", "id": "d1"}}' http://127.0.0.1:{daemon.http_port}/hooks/generic
is it ready      curl http://127.0.0.1:{daemon.http_port}/readyz
its metrics      curl http://127.0.0.1:{daemon.http_port}/metrics
look at it       triaged --config {daemon.configuration} ticket list
why              triaged --config {daemon.configuration} explain INC-1001
the mails        ls {daemon.directory}/outbox
the API's token  cat {daemon.directory}/admin.token
"""
