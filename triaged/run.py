"""`run`: guards, logging, the loop, and the exit code."""

import asyncio
import importlib

import structlog

from itsm.errors import Permanent, Transient, TriagedError
from triaged import __version__
from triaged.garbage import look_seldom
from triaged.loading import Loaded
from triaged.logs import Logging
from triaged.output import talk
from triaged.ownership import strangers
from triaged.roles import DOORS, EVERY, ROLES
from triaged.wiring import Daemon

BUG_EXIT = 1

log = structlog.get_logger("daemon")


def run(loaded: Loaded, given: str | None, roles: frozenset[str] = EVERY) -> int:
    """Run the daemon until it is told to end; raises our errors before it listens, returns 1 when a worker died of a bug."""
    owners = strangers()
    if owners:
        told = ", ".join(f"{package} (by {name})" for package, name in owners.items())
        raise Permanent(f"another distribution owns our package names: {told}; install triaged in a virtual environment of its own")
    settings = loaded.configuration.log
    logging = Logging(level=settings.level, style=settings.format)
    try:
        return _run(loaded, given, roles)
    finally:
        logging.stop()


def _run(loaded: Loaded, given: str | None, roles: frozenset[str]) -> int:
    daemon = Daemon(loaded, given, roles)
    try:
        _greet(daemon, loaded)
        look_seldom()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(daemon.run())
    except ExceptionGroup as group:
        return _died(group)
    finally:
        daemon.close()
    log.info("ended")
    return 0


def _died(group: ExceptionGroup) -> int:
    """A worker failed by a bug: log it whole and end, so that a service manager starts us anew; nothing acknowledged is lost."""
    for error in group.exceptions:
        if isinstance(error, TriagedError):
            log.error("ended by an error", error=str(error))
        else:
            log.critical("ended by a bug", error=repr(error), exc_info=error)
    if len(group.exceptions) == 1 and isinstance(group.exceptions[0], Transient):
        raise group.exceptions[0]
    return BUG_EXIT


def _greet(daemon: Daemon, loaded: Loaded) -> None:
    configuration = loaded.configuration
    if daemon.admin_token is not None:
        talk(f"First start: the administrator's token is in {daemon.admin_token} (readable by its owner only).")
    log.info(
        "starting",
        version=__version__,
        configuration=str(loaded.file) if loaded.file else "none",
        data=str(daemon.store.directory),
        database=daemon.store.place,
        roles=",".join(each for each in ROLES if each in daemon.roles),
        smtp=configuration.intake.smtp.listen if daemon.smtp is not None else "off",
        http=configuration.intake.http.listen if configuration.intake.http.enabled and DOORS in daemon.roles else "off",
        outgoing="relay" if configuration.notifier.relay else "folder",
    )


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    """The loop of uvloop where it is installed, asyncio's own else."""
    try:
        factory = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return None
    found: type[asyncio.AbstractEventLoop] = factory
    return found
