"""The servers that are measured, each a process of its own: `python -m bench.servers KIND FOLDER` prints its port."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import uvloop
from aiosmtpd.smtp import SMTP

from intake.accept import Acceptor
from intake.http import HttpDoor
from intake.settings import DEFAULT_SOURCES, HttpSettings, SmtpSettings
from intake.smtp.door import SmtpDoor
from intake.smtp.policy import policy_of
from itsm.service import Desk
from store.settings import StoreSettings
from store.store import Store
from triaged import clock
from triaged.garbage import look_seldom
from triaged.web import WebServer, application


class Discard:
    """What stock aiosmtpd does when it stores nothing."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ARG002, N802 -- aiosmtpd calls it so
        """Say yes."""
        return "250 OK"


def acceptor(folder: Path) -> tuple[Store, Acceptor]:
    """A store on the same disk as everything else, and its acceptor, in a process that looks for garbage as the daemon does."""
    look_seldom()
    store = Store(StoreSettings(path=str(folder / "var")), clock=clock.now)
    return store, Acceptor(store, wake=lambda: None, pending_limit=10**9, minimum_free_bytes=0)


async def stock(_folder: Path) -> None:
    """Aiosmtpd as it comes, on the same event loop as ours."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Discard(), loop=loop, hostname="bench"), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def smtp(folder: Path) -> None:
    """Our SMTP door with every limit on, durable."""
    _, accept = acceptor(folder)
    settings, desk = SmtpSettings(listen="127.0.0.1:0", connection_limit_per_address=200), Desk()
    policy = policy_of(settings, desk, {})
    door = SmtpDoor(settings, accept, policy=lambda: policy, domain="bench", clock=clock.now)
    await door.start()
    print(door.port, flush=True)
    await asyncio.Event().wait()


async def http(folder: Path) -> None:
    """Our HTTP door, durable."""
    store, accept = acceptor(folder)
    sources = {source.name: source for source in DEFAULT_SOURCES}
    door = HttpDoor(HttpSettings(), store, accept, sources=lambda: sources, secrets=dict)
    app = application(door.routes(), listen="127.0.0.1:0", hook=door.hook)
    server = WebServer(app, "127.0.0.1:0")  # as the daemon runs it, with its bounds
    server.start()
    print(server.port, flush=True)
    await server.run()


if __name__ == "__main__":
    uvloop.run({"stock": stock, "smtp": smtp, "http": http}[sys.argv[1]](Path(sys.argv[2])))
