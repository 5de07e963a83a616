"""Plays the demonstration and tells it: what was sent, what became of it, what people got, why, and that nothing was lost."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from itsm.envelope import OUTCOME_OF_CODE
from itsm.errors import Transient
from itsm.identifier import inbox_text
from itsm.notification import DeliveryState, Event
from itsm.ticket import Ticket, number_text
from store import inbox, outbox, parts, tickets, totals, verify
from store.store import Store
from store.totals import Balance
from store.transaction import Tx
from triaged import clock
from triaged.demo.daemon import DemoDaemon
from triaged.demo.samples import ACKNOWLEDGEMENT_MARK, ALERTS, ENDED_MARK, MAILS, STARTED_MARK, Sample, content
from triaged.explanation import as_text
from triaged.letter import readable
from triaged.output import table
from triaged.tables import laws, ticket_table
from triaged.trace import Trace, traces

SETTLE_SECONDS = 15.0
WAITING = (DeliveryState.QUEUED.value, DeliveryState.SENDING.value)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A sample that was sent and what became of it."""

    sample: Sample
    inbox_id: int
    outcome: str
    ticket: str

    @property
    def as_expected(self) -> bool:
        """Whether it came out as the sample says."""
        return self.outcome == self.sample.expected.value


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What the store holds at the end."""

    told: tuple[Told, ...]
    tickets: tuple[Ticket, ...]
    acknowledgements: tuple[bytes, ...]
    notices: tuple[bytes, ...]
    explained: str
    balance: Balance
    findings: tuple[str, ...]


def play(daemon: DemoDaemon, store: Store) -> World:
    """Send everything, wait until it is settled, and read what became of it; raises Transient when it does not settle."""
    sent: list[tuple[Sample, int]] = []
    marks: dict[str, str] = {}
    for sample in MAILS:
        sent.append((sample, daemon.send_mail(sample.sender or "", content(sample, marks))))
        _settle(store)
        if not marks:
            marks[ACKNOWLEDGEMENT_MARK] = store.read(_first_acknowledgement)
    now = clock.now()
    marks |= {STARTED_MARK: _instant(now - timedelta(minutes=9)), ENDED_MARK: _instant(now - timedelta(minutes=1))}
    for sample in ALERTS:
        sent.append((sample, daemon.send_alert(content(sample, marks))))
        _settle(store)
    [why, *_] = traces(store, inbox_text(sent[0][1]), {}, deadline_seconds=SETTLE_SECONDS)
    return store.read(lambda tx: _world(tx, sent, why))


def _instant(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _settle(store: Store) -> None:
    """Wait until nothing waits for triage and no mail waits to be sent."""
    deadline = clock.monotonic() + SETTLE_SECONDS
    while clock.monotonic() < deadline:
        if store.read(_settled):
            return
        time.sleep(0.03)
    raise Transient("the daemon did not come to rest")


def _settled(tx: Tx) -> bool:
    counts = outbox.counts(tx)
    return inbox.depth(tx, inbox.PENDING).count == 0 and not any(counts.get(state, 0) for state in WAITING)


def _first_acknowledgement(tx: Tx) -> str:
    rows = [row for row in outbox.listed(tx) if row.notification.event is Event.ACKNOWLEDGED]
    if not rows:
        raise Transient("nobody was acknowledged")
    return rows[-1].notification.message_id


def _world(tx: Tx, sent: list[tuple[Sample, int]], why: Trace) -> World:
    found = tuple(reversed(tickets.listed(tx)))
    numbers = {each.id: number_text(each.type, each.number) for each in found}
    sent_rows = sorted((row.notification.id, row.notification.event) for row in outbox.listed(tx, limit=500) if row.sent_at is not None)
    bodies = outbox.rendered_bytes(tx, [each for each, _ in sent_rows])
    return World(
        told=tuple(_told(tx, sample, inbox_id, numbers) for sample, inbox_id in sent),
        tickets=found,
        acknowledgements=tuple(bodies[each] for each, event in sent_rows if event is Event.ACKNOWLEDGED),
        notices=tuple(bodies[each] for each, event in sent_rows if event is not Event.ACKNOWLEDGED),
        explained=as_text(why),
        balance=totals.balance(tx),
        findings=tuple(verify.findings(tx)),
    )


def _told(tx: Tx, sample: Sample, inbox_id: int, numbers: dict[int, str]) -> Told:
    row = inbox.find(tx, inbox_id)
    code = row.outcomes if row else ""
    outcome = OUTCOME_OF_CODE[code].value if code in OUTCOME_OF_CODE else "nothing"
    ids = [each.ticket_id for each in parts.of_inbox(tx, inbox_id) if each.ticket_id is not None]
    return Told(sample=sample, inbox_id=inbox_id, outcome=outcome, ticket=numbers.get(ids[0], "") if ids else "")


def chapters(world: World) -> Iterator[tuple[str, str]]:
    """The story: a heading and its text, in order."""
    rows = [(each.sample.told, each.outcome, each.ticket, each.sample.note or " ") for each in world.told]
    yield "What people wrote and what the monitoring said", table(("sent", "became", "ticket", " "), rows)
    yield "The tickets it made", ticket_table(list(world.tickets))
    yield "What people got: one acknowledgement each", _letters(world.acknowledgements)
    yield "What the teams got", _letters(tuple(reversed(world.notices)))
    yield "Why? Any decision can be asked: `triaged explain`", world.explained
    yield "Nothing was lost: `triaged verify`", "\n".join([laws(world.balance), *world.findings])


def _letters(raws: tuple[bytes, ...]) -> str:
    """The first whole, the others by their heads."""
    first, *others = [readable(raw) for raw in raws]
    heads = [_framed("\n".join(text.splitlines()[1:3])) for text in others]
    return "\n\n".join([_framed(first), *heads])


def _framed(text: str) -> str:
    return "\n".join(f"  | {line}".rstrip() for line in text.splitlines())


def surprises(world: World) -> list[str]:
    """What did not come out as told."""
    found = [f"{each.sample.told}: {each.outcome}, not {each.sample.expected.value}" for each in world.told if not each.as_expected]
    found += [f"verify: {sentence}" for sentence in world.findings]
    if not (world.balance.envelopes_hold and world.balance.parts_hold):
        found.append("the conservation laws do not add up")
    made = sum(each.sample.expected.value == "created" for each in world.told)
    if len(world.tickets) != made:
        found.append(f"{len(world.tickets)} tickets, not {made}")
    senders = {sample.sender for sample in MAILS if sample.sender}
    if len(world.acknowledgements) != len(senders):
        found.append(f"{len(world.acknowledgements)} acknowledgements, not {len(senders)}")
    disk = [each for each in world.tickets if each.source == "alertmanager"]
    if [each.state.value for each in disk] != ["resolved"]:
        found.append("the monitoring incident is not one that is resolved")
    return found


def new_mails(folder: Path, known: set[str]) -> Iterator[bytes]:
    """Mails that were written to the outbox folder since the last look."""
    for file in sorted(folder.glob("*.eml")):
        if file.name not in known:
            known.add(file.name)
            yield file.read_bytes()
