"""One life of the daemon, from start to crash or drain: the parts of `triaged.wiring` on a loop whose time is virtual."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import event
from sqlalchemy.pool import Pool

from casework.resends import Resends
from casework.timers import Timers
from intake.accept import Acceptor
from intake.http import HttpDoor
from intake.settings import IntakeSettings, SmtpSettings
from intake.smtp.door import SmtpDoor
from intake.worker import Triage
from notifier.relay import Relay
from notifier.settings import NotifierSettings, RelaySettings
from notifier.worker import Notifier
from prove.simulation.loop import Crash, VirtualLoop
from prove.simulation.machine import still_open
from prove.simulation.relay import ScriptedRelay
from rules.settings import Budgets, RulesSettings
from store import credentials, directory, inbox, outbox, retention
from store.seams import Seams, Turn
from store.settings import Retention, StoreSettings
from store.store import Store
from store.transaction import Tx
from triaged.child import FUNCTIONS, Request, answer, load
from triaged.composition import in_force
from triaged.configuration import Configuration
from triaged.gauges import Gauges
from triaged.readiness import PROOF_EVERY_SECONDS, Readiness
from triaged.settings import AgentSettings, DeskSettings, TeamSettings
from triaged.supervise import Door, Supervisor, Worker, periodic
from triaged.web import application
from triaged.wiring import LOOK_EVERY_SECONDS, SWEEP_EVERY_SECONDS
from webportal.api import Api

BATCH = 6  # mails the notifier holds in memory
GAUGES_EVERY_SECONDS = 30.0
POISON = b"X-Poison: kills the parser"
BUDGETS = Budgets(per_address_hour=3, per_domain_minute=6, total_minute=8, notices_per_sender_hour=6)
_functions = load(FUNCTIONS)


def configuration(folder: Path, connections: int) -> Configuration:
    """A desk of two teams and one agent behind a relay, with budgets small enough to be used up."""
    return Configuration(
        desk=DeskSettings(address="help@corp.example"),
        team=(
            TeamSettings(key="desk", name="Desk", addresses=("help@corp.example",), notify="team@corp.example"),
            TeamSettings(key="net", name="Network", addresses=("net@corp.example",), notify="net-team@corp.example"),
        ),
        agent=(AgentSettings(key="ben", name="Ben", address="ben@corp.example", teams=("desk",)),),
        intake=IntakeSettings(smtp=SmtpSettings(domains=("corp.example",))),
        rules=RulesSettings(budgets=BUDGETS),
        notifier=NotifierSettings(
            relay=RelaySettings(host="127.0.0.1", port=25, tls="none", connections=connections), drain_seconds=5.0, batch=BATCH
        ),
        store=StoreSettings(path=str(folder), retention=Retention(raw_mail_days=2, finished_rows_days=4, sent_bytes_days=2)),
    )


class Life:
    """Opens the store on `folder` and builds everything around it; `run` lives until told to end."""

    def __init__(
        self, folder: Path, *, loop: VirtualLoop, clock: Any, chance: Random, relay: ScriptedRelay, connections: int, workers: int
    ) -> None:
        """`clock` gives wall time, `workers` how many take from the inbox."""
        self.loop, self.chance, self.clock = loop, chance, clock
        self.on_turn: Any = lambda: None
        self.raw: list[sqlite3.Connection] = []
        self.child_trouble = 0.0
        self.fatal: BaseException | None = None
        self.dead = False
        self._running = False
        settings = configuration(folder, connections)

        def collect(connection: sqlite3.Connection, _record: Any) -> None:
            self.raw.append(connection)

        event.listen(Pool, "connect", collect)
        try:
            seams = Seams(random_bytes=chance.randbytes, monotonic=loop.time, drive=self._drive)
            self.store = Store(settings.store, clock=clock, description="run", on_fatal=self._die, seams=seams)
        finally:
            event.remove(Pool, "connect", collect)
        event.listen(self.store.engine, "connect", collect)
        event.listen(self.store._readers, "connect", collect)
        self._build(settings, relay, connections, workers)

    def writing(self) -> list[sqlite3.Connection]:
        """The connections of this life that write."""
        return [each for each in self.raw if not each.execute("PRAGMA query_only").fetchone()[0]]

    def opened(self) -> int:
        """How many connections to the file are open."""
        self.raw = still_open(self.raw)
        return len(self.raw)

    def _drive(self, turn: Turn) -> None:
        def write() -> None:
            if not self.dead:
                turn()
                self.on_turn()

        if self._running:
            self.loop.call_later(self.loop.latency(), write)
        else:
            self.loop.call_soon(write)

    def _now(self, work: Any) -> Any:
        """A write before anything runs."""
        future = self.store.write(work)
        while not future.done():
            self.loop._run_once()
        return future.result()

    def _die(self, error: BaseException) -> None:
        self.fatal = error
        raise Crash("the store failed") from error

    def _build(self, settings: Configuration, relay: ScriptedRelay, connections: int, workers: int) -> None:
        keys = self._now(_begin)
        self.in_force = in_force(settings, keys)
        self._now(lambda tx: directory.sync(tx, self.in_force.casework.desk))
        self.supervisor = Supervisor(drain_seconds=10.0, on_reload=_no_reload, monotonic=self.loop.time)
        resends = [Resends() for _ in range(workers)]
        self.acceptor = Acceptor(
            self.store,
            wake=self._wake,
            pending_limit=settings.intake.pending_limit,
            minimum_free_bytes=0,
            resends=resends[0],
            casework=lambda: self.in_force.casework,
        )
        self.notifier = Notifier(
            self.store,
            settings=settings.notifier,
            run_batch=self._run_batch,
            identity=lambda: self.in_force.identity,
            keys=keys,
            submitters=[
                Relay(settings.notifier.relay, local_hostname="corp.example", connect=relay.connect)  # type: ignore[arg-type]
                for _ in range(connections)
            ],
        )
        self.triage = [
            Triage(
                self.store,
                run_batch=self._run_batch,
                casework=lambda: self.in_force.casework,
                mappings=dict,
                on_outgoing=self.notifier.wake,
                resends=each,
            )
            for each in resends
        ]
        self.gauges = Gauges(self.store)
        self.timers = Timers(self.store, casework=lambda: self.in_force.casework, on_outgoing=self.notifier.wake)
        self.readiness = Readiness(self.store, closed_because=lambda: None, draining=lambda: self.supervisor.draining)
        self.smtp = SmtpDoor(
            settings.intake.smtp, self.acceptor, policy=lambda: self.in_force.policy, domain="corp.example", clock=self.clock
        )
        door = HttpDoor(
            settings.intake.http, self.store, self.acceptor, sources=lambda: self.in_force.sources, secrets=lambda: self.in_force.secrets
        )
        api = Api(self.store, lambda: self.in_force.casework, settings.webportal, self.notifier.wake)
        self.app = application([*door.routes(), *api.routes()], listen="127.0.0.1:8025")

    def token(self) -> str:
        """An agent's token, made once in the life of the data directory."""
        made: str = self._now(lambda tx: credentials.create_token(tx, "sim", scopes=("acts:write", "tickets:read"), acts_as="agent:ben"))
        return made

    def _wake(self) -> None:
        for each in self.triage:
            each.wake()

    async def _run_batch(self, function: str, items: Sequence[bytes]) -> list[bytes | None]:
        """A child process, but here: it may die, and on poison it always does."""
        await asyncio.sleep(self.loop.latency())
        if any(POISON in each for each in items) or self.chance.random() < self.child_trouble:
            return [None] * len(items)
        return list(answer(Request(function=function, items=tuple(items), deadline_seconds=30.0), _functions).results)

    async def run(self) -> None:
        """Work until `supervisor.stop`."""
        self._running = True
        workers = [
            *(Worker(name=f"triage {at}", run=each.run, stop=each.stop) for at, each in enumerate(self.triage)),
            Worker(name="notifier", run=self.notifier.run, stop=self.notifier.stop),
            Worker(name="timers", run=self.timers.run, stop=self.timers.stop),
            periodic("look", LOOK_EVERY_SECONDS * 15, self._look),
            periodic("heartbeat", PROOF_EVERY_SECONDS, self.readiness.prove),
            periodic("gauges", GAUGES_EVERY_SECONDS, self.gauges.refresh),
            periodic("retention", SWEEP_EVERY_SECONDS, self._sweep),
        ]
        await self.smtp.start()
        await self.supervisor.run(workers, [Door(name="smtp", close=self.smtp.stop)])

    async def _look(self) -> None:
        await asyncio.to_thread(self.acceptor.look)

    async def _sweep(self) -> None:
        kept = self.in_force.configuration.store.retention
        while not self.supervisor.draining and (await self.store.awrite(lambda tx: retention.sweep(tx, kept))).total:
            continue

    def disk_is_full(self, *, full: bool) -> None:
        """SQLite itself refuses to grow the file: `database or disk is full`."""
        for each in self.writing():
            pages = each.execute("PRAGMA page_count").fetchone()[0] if full else 1_073_741_823
            each.execute(f"PRAGMA max_page_count = {pages}")

    def abandon(self) -> None:
        """What the kernel does when a process is killed: nothing is finished, open transactions are rolled back."""
        self.dead = True
        for each in self.raw:
            with suppress(sqlite3.Error):
                each.close()

    def close(self) -> None:
        """The end of a drained life."""
        self._running = False
        self.store.close()
        self.dead = True


def _begin(tx: Tx) -> tuple[tuple[int, bytes], ...]:
    """As `triaged.wiring` begins a life."""
    inbox.release_all(tx)
    outbox.release_all(tx)
    return credentials.signing_keys(tx)


async def _no_reload() -> None:
    """Nothing is reloaded here."""
