"""Puts one daemon together: store, keys, doors, workers; and takes it down again."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import structlog
from msgspec.structs import replace
from prometheus_client import Gauge

from casework.resends import Resends
from casework.timers import Timers
from intake.accept import Acceptor
from intake.http import HttpDoor
from intake.settings import IntakeSettings, on_loopback
from intake.signing_keys import signing_keys_of
from intake.smtp.door import SmtpDoor
from intake.worker import Triage
from itsm.errors import Transient, TriagedError
from itsm.service import Desk
from notifier.folder import Folder
from notifier.relay import Relay
from notifier.submit import Submitter
from notifier.worker import Notifier
from store import directory, inbox, leases, outbox, retention
from store.credentials import signing_keys
from store.store import Store
from store.transaction import Tx
from triaged import __version__, clock, descriptors, first_start, logs
from triaged.children import ChildPool
from triaged.composition import InForce, Keys, in_force
from triaged.configuration import Configuration
from triaged.garbage import GIVE_BACK_EVERY_SECONDS, give_back
from triaged.gauges import EVERY_SECONDS, TOTALS_EVERY_SECONDS, Gauges
from triaged.loading import Loaded, load
from triaged.mailboxes import Mailboxes
from triaged.oauth.tokens import Tokens
from triaged.readiness import Readiness
from triaged.roles import DOORS, EVERY, NOTIFY, ROLES, TIMERS, TRIAGE
from triaged.supervise import Door, Supervisor, Worker, periodic
from triaged.web import MAX_CONNECTIONS, WebServer, application, probes
from webportal.api import Api
from webportal.operations import SEND_MESSAGE

RELOADED = Gauge("triaged_config_reload_success", "1 when the configuration was last read without a finding, else 0.")
RELOADED_AT = Gauge("triaged_config_reload_success_timestamp_seconds", "When it was last read without a finding.")
LOOK_EVERY_SECONDS, SWEEP_EVERY_SECONDS, TOKENS_EVERY_SECONDS = 2.0, 3600.0, 60.0
OUTBOX_FOLDER = "outbox"
BOUND = ("intake", "notifier", "store", "process", "webportal")  # tables of which a reload says that they wait for a restart
FATAL_EXIT = 1

log = structlog.get_logger("daemon")


class Daemon:
    """Everything of one process. `given` is the configuration file named on the command line, read again at SIGHUP."""

    def __init__(self, loaded: Loaded, given: str | None, roles: frozenset[str] = EVERY) -> None:
        """Open the store under its lock (raises Conflict when it is held) and build the parts; nothing listens yet."""
        self.roles = roles
        self._given, configuration = given, loaded.configuration
        self.store = Store(configuration.store, clock=clock.now, description="run", exclusive=True, on_fatal=_die)
        try:
            self._build(configuration)
        except BaseException:
            self.store.close()
            raise

    def _build(self, configuration: Configuration) -> None:
        self._keys: Keys = self.store.write(signing_keys if self.store.shared else _begin).result()
        self.in_force: InForce = in_force(configuration, self._keys)
        self._sync(self.in_force.casework.desk)
        self.admin_token = first_start.ensure_admin_token(self.store)
        self.supervisor = Supervisor(drain_seconds=configuration.process.drain_seconds, on_reload=self.reload)
        intake = configuration.intake
        self._children = ChildPool(intake.parsers, deadline_seconds=intake.parse_timeout_seconds)
        resends = Resends()
        self.acceptor = Acceptor(
            self.store,
            wake=self._accepted,
            pending_limit=intake.pending_limit,
            minimum_free_bytes=configuration.store.minimum_free_bytes,
            resends=resends if TRIAGE in self.roles else None,
            casework=lambda: self.in_force.casework,
        )
        self.tokens = Tokens(self.store, configuration.oauth)
        self.notifier = self._notifier(configuration)
        self.triage = Triage(
            self.store,
            run_batch=self._children.run_batch,
            casework=lambda: self.in_force.casework,
            mappings=lambda: self.in_force.mappings,
            on_outgoing=self.notifier.wake,
            resends=resends,
            signing_keys=signing_keys_of(intake.smtp),
        )
        self._timers = Timers(self.store, casework=lambda: self.in_force.casework, on_outgoing=self.notifier.wake)
        self.mailboxes = Mailboxes(self.store, self.acceptor, self.tokens, intake.mailbox)
        self.readiness = Readiness(
            self.store,
            closed_because=lambda: self.acceptor.closed_because,
            draining=lambda: self.supervisor.draining,
            silent_seconds=self.mailboxes.silent_seconds,
        )
        self._gauges = Gauges(self.store)
        self._caps = self._fitted_caps(configuration)
        self.smtp = self._smtp(configuration)
        self.web = self._web_servers(configuration)

    def _fitted_caps(self, configuration: Configuration) -> descriptors.Caps:
        """How many connections the doors may hold beside everything else that is open."""
        relay, postgres = configuration.notifier.relay, configuration.store.postgres
        others = (
            (relay.connections if relay else 0) + (postgres.writers + postgres.readers if postgres else 0) + configuration.intake.parsers
        )
        reserved = descriptors.OWN + descriptors.PER_MAILBOX * len(configuration.intake.mailbox) + descriptors.PER_CONNECTION * others
        return descriptors.fit(descriptors.Caps(smtp=configuration.intake.smtp.connection_limit, http=MAX_CONNECTIONS), reserved=reserved)

    def _accepted(self) -> None:
        self.triage.wake()

    def _notifier(self, configuration: Configuration) -> Notifier:
        settings, domain = configuration.notifier, self.in_force.casework.desk.domain
        submitters: list[Submitter]
        if settings.relay is not None:
            bearer = self.tokens.bearer(settings.relay.oauth)
            submitters = [Relay(settings.relay, local_hostname=domain, bearer=bearer) for _ in range(settings.relay.connections)]
        else:
            submitters = [Folder(Path(settings.folder) if settings.folder else self.store.directory / OUTBOX_FOLDER)]
        return Notifier(
            self.store,
            settings=settings,
            run_batch=self._children.run_batch,
            identity=lambda: self.in_force.identity,
            keys=self._keys,
            submitters=submitters,
        )

    def _smtp(self, configuration: Configuration) -> SmtpDoor | None:
        settings, domain = replace(configuration.intake.smtp, connection_limit=self._caps.smtp), self.in_force.casework.desk.domain
        if not settings.enabled or DOORS not in self.roles:
            return None
        return SmtpDoor(settings, self.acceptor, policy=lambda: self.in_force.policy, domain=domain, clock=clock.now)

    def _web_servers(self, configuration: Configuration) -> list[WebServer]:
        """One listener for everything, or the probes apart; a process without doors has the probes apart or none."""
        http, apart = configuration.intake.http, configuration.process.metrics_listen
        listens = http.enabled and DOORS in self.roles
        routes, hook = [], None
        if listens:
            door = HttpDoor(http, self.store, self.acceptor, sources=lambda: self.in_force.sources, secrets=lambda: self.in_force.secrets)
            api = Api(
                self.store,
                lambda: self.in_force.casework,
                configuration.webportal,
                self.notifier.wake,
                on_incoming=self.triage.wake,
                ports={SEND_MESSAGE.name: door.message},
                open_ports=on_loopback(http.listen),
                version=__version__,
            )
            hook = door.hook
            routes = [*door.routes(), *api.routes()]
        servers = [WebServer(application(probes(self.readiness), listen=apart), apart)] if apart else []
        if listens:
            routes += [] if apart else probes(self.readiness)
            servers.append(
                WebServer(application(routes, listen=http.listen, hosts=http.hosts, hook=hook), http.listen, connections=self._caps.http)
            )
        return servers

    async def run(self) -> None:
        """Listen and work until told to end; raises Transient when a door cannot be opened."""
        self.supervisor.handle_signals()
        try:
            await self._open_doors()
            await self.supervisor.run(self._workers(), self._doors())
        finally:
            await self._children.close()

    async def _open_doors(self) -> None:
        for server in self.web:
            server.start()
        if self.smtp is not None:
            try:
                await self.smtp.start()
            except OSError as error:
                raise Transient(f"cannot listen for SMTP: {error.strerror or error}; is something else listening there?") from error
        await self._children.start()
        _reloaded(success=True)

    def _doors(self) -> list[Door]:
        return [Door(name="smtp", close=self.smtp.stop)] if self.smtp is not None else []

    def _workers(self) -> Sequence[Worker]:
        """What the roles of this process need; every process beats and shows the gauges."""
        of_role = {
            DOORS: [
                periodic("look", LOOK_EVERY_SECONDS, self._look),
                Worker(name="mailboxes", run=self.mailboxes.run, stop=self.mailboxes.stop),
            ],
            TRIAGE: [Worker(name="triage", run=self.triage.run, stop=self.triage.stop)],
            NOTIFY: [Worker(name="notifier", run=self.notifier.run, stop=self.notifier.stop)],
            TIMERS: [
                Worker(name="timers", run=self._timers.run, stop=self._timers.stop),
                periodic("totals", TOTALS_EVERY_SECONDS, self._gauges.refresh_totals),
                periodic("retention", SWEEP_EVERY_SECONDS, self._sweep),
            ],
        }
        return [
            *(Worker(name="http", run=server.run, stop=server.stop) for server in self.web),
            *(worker for role in ROLES if role in self.roles for worker in of_role[role]),
            periodic("oauth", TOKENS_EVERY_SECONDS, self.tokens.refresh_early),
            periodic("heartbeat", self.readiness.every_seconds, self.readiness.prove),
            periodic("gauges", EVERY_SECONDS, self._gauges.refresh),
            periodic("memory", GIVE_BACK_EVERY_SECONDS, give_back),
        ]

    async def _look(self) -> None:
        """The doors look at disk and backlog."""
        await asyncio.to_thread(self.acceptor.look)

    async def _sweep(self) -> None:
        """Retention, a batch a transaction."""
        kept = self.in_force.configuration.store.retention
        while not self.supervisor.draining and (await self.store.awrite(lambda tx: retention.sweep(tx, kept))).total:
            continue

    async def reload(self) -> None:
        """Read the configuration again; one with findings changes nothing."""
        try:
            loaded = load(self._given)
            fresh = in_force(loaded.configuration, self._keys)
            await self.store.awrite(lambda tx: directory.sync(tx, fresh.casework.desk))
        except TriagedError as error:
            _reloaded(success=False)
            log.error("configuration not reloaded, the old one stays in force", error=str(error))
            return
        restart = [name for name in BOUND if _bound(fresh, name) != _bound(self.in_force, name)]
        self.in_force = fresh
        self.mailboxes.want(loaded.configuration.intake.mailbox, tokens_changed=self.tokens.replace(loaded.configuration.oauth))
        logs.set_level(loaded.configuration.log.level)
        _reloaded(success=True)
        log.info("configuration reloaded", ruleset=fresh.casework.ruleset.sha256[:12], wait_for_restart=restart)

    def _sync(self, desk: Desk) -> None:
        self.store.write(lambda tx: directory.sync(tx, desk)).result()

    def close(self) -> None:
        """Give everything back; called when nothing runs any more."""
        self.store.close()


def _bound(found: InForce, name: str) -> object:
    """A table without what a reload does replace."""
    table = getattr(found.configuration, name)
    return replace(table, mailbox=(), source=()) if isinstance(table, IntakeSettings) else table


def _begin(tx: Tx) -> Keys:
    """What a start does once: give back the claims of a run that died, and read or make the signing keys."""
    inbox.release_all(tx)
    outbox.release_all(tx)
    leases.release_all(tx)
    return signing_keys(tx)


def _reloaded(*, success: bool) -> None:
    RELOADED.set(1 if success else 0)
    if success:
        RELOADED_AT.set(clock.now().timestamp())


def _die(error: BaseException) -> None:
    """No retry can mend the store: nobody knows what is durable, so the process must end before it says yes to anyone."""
    logs.last_words(f"triaged: the store failed and cannot go on: {error}\n")
    os._exit(FATAL_EXIT)
