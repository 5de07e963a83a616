"""One seed's world: lives of the daemon one after another, clients and a relay that outlive them, and the checker."""

import asyncio
import hashlib
import heapq
import json
import re
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from itsm.identifier import parse_inbox
from prove.simulation import verdict
from prove.simulation.checks import Broken, Checker, demand
from prove.simulation.clients import Gone, request, send_mail
from prove.simulation.life import BUDGETS, Life
from prove.simulation.loop import Crash, VirtualLoop
from prove.simulation.machine import bury, machine, microseconds, still_open
from prove.simulation.mirror import Changed, Mirror, watch
from prove.simulation.operation import Operation
from prove.simulation.relay import Copy, ScriptedRelay
from prove.simulation.scenario import EPOCH, Item, Scenario
from store import step

ACCEPTED = re.compile(r"accepted as in-(\d+)")
DRAIN_DAYS, DRAIN_STEPS = 60, 60_000  # an honest drain needs a fraction of either
LAST_EVENTS = 40
LONGEST_LEASE_SECONDS = 3 * 3_600
SEEN_SECONDS = 90.0  # after a step of the clock every worker has looked at it: none pauses longer
SHORTEST_LEAP_SECONDS = 0.3
AGE_SECONDS = 6 * 86_400.0  # longer than everything that is done is kept here


class World:
    """`run` goes on for so many steps of the loop, heals everything, drains, and judges."""

    def __init__(self, seed: int, folder: Path, *, steps: int, faults: float | None = None) -> None:
        """Nothing happens yet. `folder` should be on a tmpfs: a crash is an abandoned connection, not a lost page."""
        self.seed, self.folder, self.limit = seed, folder, steps
        self.chance = Random(f"{seed}: machine")
        self.relay = ScriptedRelay(Random(f"{seed}: relay"))
        self.relay.on_copy = self._copied
        self.mirror = Mirror()
        self.checker = Checker(
            self.mirror, self.relay, budgets=BUDGETS, wall=lambda: microseconds(self.wall()), close_after_days=3, name_of=verdict.item_of
        )
        self.operation = Operation(self.checker, self.relay)
        self.scenario = Scenario(Random(f"{seed}: scenario"), self, faults=faults)
        self.now, self.offset = 0.0, 0.0
        self.steps = self.lives = self.crashes = 0
        self.calm = self._aged = False
        self.events: deque[str] = deque(maxlen=LAST_EVENTS)
        self.trace = hashlib.sha256()
        self.items: dict[str, Item] = {}
        self.yes: dict[str, list[int]] = {}
        self.token = ""
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._flying: dict[int, Item] = {}
        self._step_wanted: tuple[str, int] | None = None
        self._full = False
        self._child_trouble = 0.0
        self._life: Life | None = None
        self._loop: VirtualLoop | None = None
        self._broken: BaseException | None = None
        self._drain_from: tuple[float, int] | None = None
        self._stepped_at = 0.0  # by the loop's clock

    @property
    def total_steps(self) -> int:
        """Callbacks of the loop in all lives."""
        return self.steps + (self._loop.steps if self._loop is not None else 0)

    # ------------------------------------------------------------ the stage of the scenario

    def note(self, *told: object) -> None:
        """One event of the trace."""
        line = f"{self._time():.6f} " + " ".join(str(each) for each in told)
        self.events.append(line)
        self.trace.update(line.encode())

    def _time(self) -> float:
        return self._loop.time() if self._loop is not None else self.now

    def wall(self) -> datetime:
        """What the daemon's clock shows."""
        return EPOCH + timedelta(seconds=self._time() + self.offset)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do it so many seconds later."""
        self._order += 1
        heapq.heappush(self._agenda, (self._time() + seconds, self._order, act))

    def numbers(self) -> list[int]:
        """The ticket numbers there are."""
        return [each["number"] for each in self.checker.tickets.values()]

    def send(self, item: Item, later_seconds: float = 0.0) -> None:
        """A client takes it up."""
        self.items[item.name] = item
        for key, *_ in item.alerts:
            self.checker.subjects.add(key)
        if item.kind == "mail":
            self.checker.subjects |= verdict.subjects_of(item.body)
        self.after(later_seconds, lambda: self._fly(item))

    def crash_at(self, name: str, times: int) -> None:
        """At the so manieth time a step is passed."""
        self._step_wanted = (name, times)

    def crash_after(self, callbacks: int) -> None:
        """After so many callbacks."""
        if self._loop is not None:
            self._loop.crash_after = callbacks

    def restart(self) -> None:
        """Drain, end, begin anew."""
        if self._life is not None:
            self.note("restart")
            self._life.supervisor.stop()

    def step_clock(self, seconds: float) -> None:
        """The wall clock jumps, monotonic time does not; leases in flight may run out by it. Nobody touches it once all is healed."""
        if not self.calm:
            self._step_clock(seconds)

    def _step_clock(self, seconds: float) -> None:
        self.offset += seconds
        self._stepped_at = self._loop.time() if self._loop is not None else 0.0
        self._excuse()
        self.note("clock", seconds)

    def disk_full(self, *, full: bool) -> None:
        """Writes that need a page are refused."""
        self._full = full
        self.note("disk", "full" if full else "free")
        if self._life is not None:
            self._life.disk_is_full(full=full)
        self._excuse()

    def child_trouble(self, chance: float) -> None:
        """How often a child dies."""
        self._child_trouble = chance
        if self._life is not None:
            self._life.child_trouble = chance

    def _excuse(self) -> None:
        """What was heard before this moment may not get written down: a second copy of it is no breach of P3."""
        for row in self.checker.unsettled:
            for copy in self.relay.copies.get(self.checker.rows[row]["message_id"], ()):
                copy.answered = False

    # ------------------------------------------------------------ clients

    def _fly(self, item: Item) -> None:
        assert self._loop is not None
        self._order += 1
        flight = self._order
        self._flying[flight] = item
        self._loop.create_task(self._flight(flight, item))

    async def _flight(self, flight: int, item: Item) -> None:
        try:
            ended = await self._deliver(item)
        except Gone as gone:
            ended = False
            self.note("gone", item.name, gone)
        except Exception as error:  # the driver raises it
            self._broken = error
            return
        del self._flying[flight]
        if not ended:
            item.tries += 1
            self.after(self.chance.expovariate(1 / min(30.0 * item.tries, 1_800.0)), lambda: self._fly(item))

    async def _deliver(self, item: Item) -> bool:
        """One try; whether the client is done with it."""
        life = self._life
        assert life is not None
        if item.kind == "mail":
            leaves = "" if self.calm else self.chance.choices(("", "dot", "data"), (0.94, 0.04, 0.02))[0]
            peer = f"192.0.2.{self.chance.randrange(1, 200)}"
            answer = await send_mail(life.smtp, peer, item.sender, item.recipients, item.body, leaves_at=leaves)
            found = ACCEPTED.search(answer)
            if found:
                self._heard_yes(item, int(found.group(1)))
            self.note(item.name, answer[:12])
            return answer[0] in "25"
        if item.kind == "alert":
            status, body = await request(life.app, "POST", "/hooks/alertmanager", item.body, {"content-type": "application/json"})
            if status in (200, 202):
                self._heard_yes(item, parse_inbox(json.loads(body)["inbox_id"]) or 0)
            self.note(item.name, status)
            return status < 500
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        status, body = await request(life.app, "POST", f"/api/v1/tickets/{item.number}/acts", item.body, headers)
        demand(status in (200, 409, 422, 503) or 400 <= status < 500, "an act ended in an error", status, body)
        self.note(item.name, "act", item.number, status)
        return True  # an agent looks before trying again

    def _heard_yes(self, item: Item, inbox_id: int) -> None:
        self.checker.heard_yes(inbox_id)
        self.yes.setdefault(item.name, []).append(inbox_id)

    def _copied(self, copy: Copy, body: bytes) -> None:
        if self._full:
            copy.answered = False
        self.note("relay", copy.message_id[:12], copy.recipient, copy.sha256[:8])
        try:
            self.checker.copy(copy, body)
        except Broken as broken:  # the notifier takes whatever a submission raises for a failed attempt
            self._broken = broken

    # ------------------------------------------------------------ lives

    def run(self) -> None:
        """The whole story; raises Broken, or what the daemon died of by a bug."""
        with machine(self.seed), step.observing(self._passed):
            while self._live():
                continue
            verdict.judge(self)

    def _live(self) -> bool:
        """One life; whether another follows."""
        self.lives += 1
        self.relay.life = self.lives
        loop = VirtualLoop(self.chance, self.now)
        life = Life(
            self.folder, loop=loop, clock=self.wall, chance=self.chance, relay=self.relay,
            connections=self.chance.randrange(1, 4), workers=self.chance.randrange(1, 3),
        )  # fmt: skip
        loop.set_exception_handler(self._unheard)
        self._loop = self.relay.loop = loop
        self._life = life
        self.token = self.token or life.token()
        writing = life.writing()
        for each in writing:
            watch(each)
        self._judge(self.mirror.first(writing[0]))
        life.on_turn = lambda: self._judge(self.mirror.look(writing))
        life.child_trouble = self._child_trouble
        if self._full:
            life.disk_is_full(full=True)
        self.operation.begin()
        self.note("life", self.lives, len(life.triage))
        try:
            finished = loop.run_until_complete(self._lived(life))
        except Crash as crash:
            finished = False
            self.crashes += 1
            self.note("crash", crash)
            self._judge(self.mirror.look(still_open(writing)))
            life.abandon()
        else:
            self._judge(self.mirror.look(writing))
            life.on_turn = lambda: None
            life.close()
        finally:
            self.steps += loop.steps
            bury(loop)
        self.now = loop.time() + self.chance.uniform(0.05, 2.0)
        self._loop = self.relay.loop = self._life = None
        for item in self._flying.values():  # the clients saw their connections break
            self.after(self.chance.uniform(0.1, 60.0), lambda item=item: self._fly(item))  # type: ignore[misc]
        self._flying.clear()
        self._excuse()
        return not finished

    def _unheard(self, _loop: Any, context: dict[str, Any]) -> None:
        """An error that nobody asked for is a finding, but for those of a life that was killed."""
        error = context.get("exception")
        if isinstance(error, Exception) and self._life is not None and not self._life.dead:
            self._broken = error

    async def _lived(self, life: Life) -> bool:
        """Live until drained; True when the story is over."""
        loop = self._loop
        assert loop is not None
        daemon = loop.create_task(life.run())
        driver = loop.create_task(self._drive(life))
        await asyncio.wait({daemon, driver}, return_when=asyncio.FIRST_COMPLETED)
        if driver.done():
            driver.result()
            life.supervisor.stop()
            await daemon
            return True
        driver.cancel()
        if self._broken is not None:
            raise self._broken
        daemon.result()
        return False

    async def _drive(self, life: Life) -> None:
        """Let the scenario happen until its steps are used up, then until everything has drained."""
        loop = self._loop
        assert loop is not None
        if self.lives == 1:
            self.after(0.0, self._next)
        while True:
            if self._broken is not None:
                raise self._broken
            if not self.calm and self.steps + loop.steps >= self.limit:
                self._heal()
            self.operation.look(life, loop, len(self._flying))
            if self._agenda and self._agenda[0][0] <= loop.time():
                heapq.heappop(self._agenda)[2]()
                await asyncio.sleep(0)
                continue
            until = self._agenda[0][0] - loop.time() if self._agenda else 1e9
            quiet = self._quiet_seconds()
            if self.calm and not self._agenda and quiet > 1e8:
                if self._aged:
                    return
                await self._age(loop)
                continue
            self._demand_progress(loop)
            leap = min(until, quiet) if loop.time() - self._stepped_at > SEEN_SECONDS else 0.0
            if leap > SHORTEST_LEAP_SECONDS:
                self._demand_leases()
                loop.leap(leap - SHORTEST_LEAP_SECONDS / 2)
                self.operation.leapt(loop.time())
                self._excuse()
            await asyncio.sleep(max(0.000001, min(until, 1.0)))

    def _next(self) -> None:
        if not self.calm:
            self.after(self.scenario.next(), self._next)

    def _heal(self) -> None:
        """From here on nothing new happens and nothing is broken."""
        self.calm = True
        self.note("calm")
        self.relay.trouble, self.relay.down, self.relay.turned_away = 0.0, False, False
        self.disk_full(full=False)
        self.child_trouble(0.0)
        self._step_wanted = None
        assert self._loop is not None
        self._loop.crash_after = None
        self._drain_from = (self._loop.time(), self.steps + self._loop.steps)
        if abs(self.offset) > 86_400:  # a clock that was wrong by days is set right, once
            self._step_clock(-self.offset)

    async def _age(self, loop: VirtualLoop) -> None:
        """Days later retention has removed what was done, and old mails that come once more are still known."""
        self._aged = True
        rows = self.mirror.tables["inbox"].values()
        newest = max((row["done_at"] or 0 for row in rows), default=0)  # by a clock that may have been ahead
        loop.leap(AGE_SECONDS + max(0.0, (newest - microseconds(self.wall())) / 1_000_000))
        await asyncio.sleep(5.0)
        left = [row["id"] for row in rows if row["state"] == "done"]
        demand(not left, "retention left what is older than it keeps", left[:5])
        self.scenario.repeat()

    def _demand_progress(self, loop: VirtualLoop) -> None:
        """I12: what waits drains by itself, in bounded time."""
        if self._drain_from is None:
            return
        days, steps = (loop.time() - self._drain_from[0]) / 86_400, self.steps + loop.steps - self._drain_from[1]
        demand(days < DRAIN_DAYS and steps < DRAIN_STEPS, "I12 it does not drain", f"{days:.1f} days", steps, self.checker.waiting())

    def _demand_leases(self) -> None:
        """I12: while nothing is due, nobody waits for a lease that nobody can have been given."""
        for each in self.checker.unsettled:
            row = self.checker.rows[each]
            ahead = ((row["lease_until"] or 0) - microseconds(self.wall())) / 1_000_000
            demand(ahead < LONGEST_LEASE_SECONDS, "I12 a mail waits behind a clock that was set back", each, f"{ahead:.0f} s")

    def _quiet_seconds(self) -> float:
        """How long nothing will be due: 0 while something is under way."""
        checker, now = self.checker, microseconds(self.wall())
        if self._flying or checker.pending_rows:
            return 0.0
        due = [row["due_at"] for row in self.mirror.tables["timer"].values()]
        for each in checker.unsettled:
            row = checker.rows[each]
            if row["state"] == "sending":
                if self.relay.life == checker.sending_life.get(each):
                    return 0.0
                due.append(row["lease_until"] + 1_000_000)
            elif row["due_at"] <= now and not self.relay.down:
                return 0.0
            else:
                due.append(max(row["due_at"], now + 30_000_000))
        return (min(due) - now) / 1_000_000 if due else 1e9

    def _passed(self, name: str) -> None:
        wanted = self._step_wanted
        if wanted is None or wanted[0] != name or self._loop is None or not self._loop.is_running():
            return
        if wanted[1] > 1:
            self._step_wanted = (name, wanted[1] - 1)
            return
        self._step_wanted = None
        raise Crash(name)

    def _judge(self, changes: list[Changed]) -> None:
        for each in changes:
            self.trace.update(repr((each.table, each.new)).encode())
            if each.table in ("ticket", "outbox", "inbox") and each.new is not None and (each.old or {}).get("state") != each.new["state"]:
                self.note(each.table, each.new.get("number") or each.new["id"], each.new["state"])
        self.checker.commit(changes)
