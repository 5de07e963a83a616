"""What happens, by the seed: mails, answers, alerts, acts, and everything that goes wrong meanwhile."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Protocol

import msgspec

from prove.simulation import letters
from prove.simulation.life import POISON
from prove.simulation.relay import Copy, ScriptedRelay

SENDERS = ("ana@x.example", "bo@x.example", "cy@x.example", "dee@y.example", "eve@y.example", "flo@z.example")
TEAMS = ("team@corp.example", "net-team@corp.example")
SERIES = ("disk", "cpu", "link", "fan")
VERBS: tuple[tuple[str, dict[str, str], str], ...] = (
    ("start", {}, ""), ("resolve", {}, "done"), ("resolve", {}, ""), ("reopen", {}, "again"), ("close", {}, ""), ("reply", {}, "hello"),
    ("note", {}, "hm"), ("pend", {"reason": "customer"}, ""), ("resume", {}, ""), ("prioritise", {"impact": "1", "urgency": "2"}, ""),
    ("assign", {"assignee": "ben"}, ""), ("assign", {"team": "net"}, ""), ("cancel", {}, ""), ("classify", {"tags": "a b"}, ""),
)  # fmt: skip
STEPS = (
    "accept.before_commit", "accept.after_commit", "triage.claimed", "triage.parsed", "triage.before_commit", "triage.after_commit",
    "outbox.claimed", "outbox.rendered", "outbox.sending", "outbox.submitted", "outbox.recorded",
)  # fmt: skip


class Item(msgspec.Struct, kw_only=True):
    """Something a client sends until somebody says yes or never. `effects` is how many it may have in all."""

    name: str
    kind: str  # mail, alert, act
    body: bytes
    sender: str = ""
    recipients: tuple[str, ...] = (letters.DESK,)
    answers: Copy | None = None
    number: int = 0
    poison: bool = False
    alerts: tuple[tuple[str, bool, datetime, datetime | None], ...] = ()
    tries: int = 0


class Stage(Protocol):
    """What a scenario does things to."""

    relay: ScriptedRelay
    calm: bool

    def send(self, item: Item, later_seconds: float = 0.0) -> None:
        """Hand an item to a client."""

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later."""

    def wall(self) -> datetime:
        """The daemon's wall clock."""

    def numbers(self) -> list[int]:
        """The ticket numbers there are."""

    def crash_at(self, step: str, times: int) -> None:
        """Die when a named step is passed."""

    def crash_after(self, callbacks: int) -> None:
        """Die between two awaits."""

    def restart(self) -> None:
        """SIGTERM and a new life."""

    def step_clock(self, seconds: float) -> None:
        """Set the wall clock."""

    def disk_full(self, *, full: bool) -> None:
        """The disk takes nothing more, or does again."""

    def child_trouble(self, chance: float) -> None:
        """How often a child process dies."""


class Scenario:
    """Chooses. Every choice comes from `chance`; names are counted, so that a trace reads well."""

    def __init__(self, chance: Random, stage: Stage, *, faults: float | None = None) -> None:
        """Pace and weights differ from seed to seed, so that some seeds are calm and some are not; `faults` decides how calm."""
        self._chance, self._stage = chance, stage
        self._count = 0
        self._mails: list[Item] = []
        self._alerts: list[Item] = []
        self._started: dict[str, datetime] = {}
        self.pace = chance.choice((0.05, 1.0, 1.0, 20.0))
        drawn = chance.choice((0.0, 0.5, 1.0, 2.0, 4.0))
        faults = drawn if faults is None else faults
        self._kinds: list[tuple[Callable[[], None], float]] = [
            (self._new_mail, 5), (self._reply, 4), (self._again, 1.5), (self._same_id, 1), (self._away, 1), (self._bounce, 1.5),
            (self._poison, 0.5), (self._flood, 0.4), (self._alert, 4), (self._flap, 0.5), (self._act, 5), (self._too_soon, 2),
            (self._crash_at, 0.6 * faults), (self._crash_after, 0.6 * faults), (self._restart, 0.3 * faults),
            (self._relay_trouble, 0.6 * faults), (self._relay_down, 0.2 * faults), (self._disk, 0.3 * faults),
            (self._clock, 0.3 * faults), (self._children, 0.3 * faults),
        ]  # fmt: skip

    def next(self) -> float:
        """Do one thing; the seconds until the next."""
        act = self._chance.choices([each for each, _ in self._kinds], [weight for _, weight in self._kinds])[0]
        act()
        scale = self._chance.choices((0.01, 1.0, 60.0, 3600.0, 86_400.0), (3, 6, 3, 1, 0.3))[0]
        return self._chance.expovariate(1 / (scale * self.pace))

    def repeat(self) -> None:
        """A few of the mails that are long done come once more."""
        for each in self._mails[:3]:
            self._stage.send(each)

    def _name(self) -> str:
        self._count += 1
        return f"item-{self._count}"

    def _mail(self, sender: str, name: str, body: bytes, **more: Any) -> None:
        marked = body.replace(b"\r\n\r\n", f"\r\nX-Item: {name}\r\n\r\n".encode(), 1)
        item = Item(name=name, kind="mail", body=marked, sender=sender, **more)
        self._mails.append(item)
        self._stage.send(item)

    def _new_mail(self) -> None:
        name, sender = self._name(), self._chance.choice(SENDERS)
        to = self._chance.choice(((letters.DESK,), ("net@corp.example",), (letters.DESK, "net@corp.example")))
        self._mail(sender, name, letters.mail(name, sender), recipients=to)

    def _copies(self, readers: tuple[str, ...]) -> list[Copy]:
        return [copies[0] for copies in self._stage.relay.copies.values() if copies[0].recipient in readers]

    def _reply(self) -> None:
        """A person answers a mail of ours, or, before we answered, their own last mail."""
        name, sender = self._name(), self._chance.choice(SENDERS)
        known = self._copies((sender,))
        if known and self._chance.random() < 0.8:
            copy = self._chance.choice(known[-5:])
            body = letters.mail(name, sender, text=f"More: {name}", subject="Re: it", In_Reply_To=f"<{copy.message_id}>")
            self._mail(sender, name, body, answers=copy)
        elif self._mails:
            earlier = self._mails[-1]
            self._mail(sender, name, letters.mail(name, sender, subject=name, In_Reply_To=f"<{earlier.name}@client.example>"))

    def _again(self) -> None:
        """The very same mail or alert comes once more."""
        every = self._mails[-8:] + self._alerts[-8:]
        if every:
            self._stage.send(self._chance.choice(every), self._chance.expovariate(1 / 60))

    def _same_id(self) -> None:
        """The same Message-ID with other content, from the same person or another."""
        if self._mails:
            earlier = self._chance.choice(self._mails[-8:])
            name, sender = self._name(), self._chance.choice((earlier.sender, *SENDERS[:2]))
            if sender:
                self._mail(sender, name, letters.mail(earlier.name, sender, text=f"Other words {name}.", subject=name))

    def _away(self) -> None:
        known = self._copies(SENDERS + TEAMS)
        if known:
            copy, name = self._chance.choice(known), self._name()
            self._mail(copy.recipient, name, letters.out_of_office(name, copy.recipient, copy.message_id))

    def _bounce(self) -> None:
        known = [each for each in self._copies(SENDERS + TEAMS) if each.reverse_path]
        if known:
            copy, name = self._chance.choice(known), self._name()
            self._mail("", name, letters.bounce(name, copy.recipient), recipients=(copy.reverse_path,))

    def _poison(self) -> None:
        name, sender = self._name(), self._chance.choice(SENDERS)
        self._mail(sender, name, letters.mail(name, sender, text=POISON.decode()), poison=True)

    def _flood(self) -> None:
        """One sender, many mails at once: groups of commits, budgets used up."""
        sender = self._chance.choice(SENDERS)
        for _ in range(self._chance.randrange(5, 15)):
            name = self._name()
            self._mail(sender, name, letters.mail(name, sender))

    def _post(self, alerts: list[tuple[str, bool, datetime, datetime | None]], later_seconds: float = 0.0) -> None:
        name = self._name()
        bodies = [letters.alert(key, firing=firing, started_at=begun, ended_at=ended) for key, firing, begun, ended in alerts]
        body = letters.alertmanager(bodies).replace(b"{", f'{{"item": "{name}", '.encode(), 1)
        item = Item(name=name, kind="alert", body=body, alerts=tuple(alerts))
        self._alerts.append(item)
        self._stage.send(item, later_seconds)

    def _alert(self) -> None:
        """A series fires or ends; what ends may overtake what began it."""
        alerts = []
        for key in self._chance.sample(SERIES, self._chance.randrange(1, 3)):
            begun = self._started.get(key)
            if begun is None:
                self._started[key] = begun = self._stage.wall() - timedelta(seconds=self._chance.uniform(1, 100))
                alerts.append((key, True, begun, None))
            elif self._chance.random() < 0.5:
                alerts.append((key, True, begun, None))
            else:
                del self._started[key]
                alerts.append((key, False, begun, max(self._stage.wall(), begun + timedelta(seconds=1))))
        late = self._chance.choice((0.0, 0.0, self._chance.expovariate(1 / 120)))
        self._post(alerts, late)

    def _flap(self) -> None:
        """Six times up and down within minutes, delivered in any order."""
        key, now = "flap", self._stage.wall()
        alerts: list[tuple[str, bool, datetime, datetime | None]] = []
        for at in range(6):
            begun = now + timedelta(seconds=at * 20)
            alerts += [(key, True, begun, None), (key, False, begun, begun + timedelta(seconds=10))]
        self._chance.shuffle(alerts)
        for each in alerts:
            self._post([each], self._chance.uniform(0, 120))

    def _act(self) -> None:
        numbers = self._stage.numbers()
        if numbers:
            self._perform(self._chance.choice(numbers[-12:]), self._chance.choice(VERBS))

    def _too_soon(self) -> None:
        """A ticket is resolved, and a little later that was wrong: its timer must be stopped."""
        numbers = self._stage.numbers()
        if numbers:
            number = self._chance.choice(numbers[-12:])
            self._perform(number, ("resolve", {}, "done"))
            self._perform(number, ("reopen", {}, "it is not"), self._chance.expovariate(1 / 30))

    def _perform(self, number: int, act: tuple[str, dict[str, str], str], later_seconds: float = 0.0) -> None:
        verb, arguments, text = act
        body = msgspec.json.encode({"verb": verb, "arguments": arguments, "text": text})
        self._stage.send(Item(name=self._name(), kind="act", body=body, number=number), later_seconds)

    # ------------------------------------------------------------ faults

    def _crash_at(self) -> None:
        self._stage.crash_at(self._chance.choice(STEPS), self._chance.randrange(1, 4))

    def _crash_after(self) -> None:
        self._stage.crash_after(self._chance.randrange(1, 60))

    def _restart(self) -> None:
        self._stage.restart()

    def _relay_trouble(self) -> None:
        self._stage.relay.trouble = self._chance.choice((0.1, 0.3, 0.8))
        self._stage.after(self._chance.expovariate(1 / 7_200), self._relay_well)
        self._some()

    def _some(self) -> None:
        """A few things to go wrong with."""
        for _ in range(self._chance.randrange(2, 6)):
            self._chance.choice((self._new_mail, self._reply, self._alert, self._act, self._again))()

    def _relay_well(self) -> None:
        self._stage.relay.trouble = 0.0

    def _relay_down(self) -> None:
        self._stage.relay.down = True
        self._stage.after(self._chance.choice((60.0, 1_800.0, 43_200.0)), self._relay_up)
        self._some()

    def _relay_up(self) -> None:
        self._stage.relay.down = self._stage.relay.turned_away = False

    def _disk(self) -> None:
        self._stage.disk_full(full=True)
        self._stage.after(self._chance.choice((0.5, 20.0, 120.0)), lambda: self._stage.disk_full(full=False))
        self._flood()
        self._some()

    def _clock(self) -> None:
        seconds = self._chance.choice((3_600.0, -3_600.0, 864_000.0, -0.5, 30.0))
        self._stage.step_clock(seconds)
        if seconds == 864_000.0:  # set wrongly, and set right again
            self._stage.after(self._chance.uniform(1, 600), lambda: self._stage.step_clock(-seconds))

    def _children(self) -> None:
        self._stage.child_trouble(self._chance.choice((0.05, 0.5)))
        self._stage.after(self._chance.uniform(1, 30), lambda: self._stage.child_trouble(0.0))
        self._some()


EPOCH = datetime(2026, 3, 23, 10, 0, tzinfo=UTC)
