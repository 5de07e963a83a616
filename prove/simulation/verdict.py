"""What must hold at the end, once everything has drained: nothing lost, nothing doubled, every chain whole."""

import re
from datetime import datetime
from typing import TYPE_CHECKING

from intake.mail.parse import parse_mail
from itsm.signal import DeliveryReport, UserMessage
from prove.simulation.checks import demand
from store import verify
from store.settings import StoreSettings
from store.store import Store

if TYPE_CHECKING:
    from prove.simulation.world import World

X_ITEM = re.compile(rb"^X-Item: (\S+)", re.MULTILINE)
ALERT_ITEM = re.compile(rb'^\{"item": "([^"]+)"')
EFFECTS = frozenset("CALRSF")
MAX_REMEMBERED = 40  # instances and resolves a series is sure to keep


def subjects_of(body: bytes) -> set[str]:
    """What a ticket opened by this mail may be called."""
    message = parse_mail(body, return_path=None)
    found = message.message if isinstance(message, DeliveryReport) else message
    return {(found.subject.strip() or "(no subject)")[:250]} if isinstance(found, UserMessage) else set()


def item_of(body: bytes) -> str:
    """Which item an envelope's bytes are."""
    found = X_ITEM.search(body) or ALERT_ITEM.search(body)
    return found.group(1).decode() if found else ""


def judge(world: "World") -> None:
    """Everything at once."""
    checker = world.checker
    demand(not checker.waiting(), "I12 something still waits", checker.waiting())
    envelopes: dict[str, list[int]] = {}
    for inbox_id in checker.envelopes:
        envelopes.setdefault(checker.item_of[inbox_id], []).append(inbox_id)
    _mails(world, envelopes)
    _alerts(world, envelopes)
    _notices(world)
    store = Store(StoreSettings(path=str(world.folder)), clock=world.wall, description="verify")
    try:
        found = store.read(lambda tx: list(verify.findings(tx)))
    finally:
        store.close()
    demand(not found, "I5 verify finds", found[:3])


def _mails(world: "World", envelopes: dict[str, list[int]]) -> None:
    """I1: each mail that was taken has exactly one effect, however often it came; poison is quarantined each time."""
    outcomes = world.checker.outcomes
    for name, item in world.items.items():
        if item.kind != "mail":
            continue
        for inbox_id in world.yes.get(name, ()):
            demand(inbox_id in envelopes.get(name, ()), "I1 lost: yes was said and nothing is there", name)
        ends = [outcomes[each] for each in envelopes.get(name, ())]
        demand(all(each and "." not in each for each in ends), "I1 a mail without outcome", name, ends)
        effects = sum(1 for each in ends if set(each) & EFFECTS)
        if item.poison:
            demand(all(each == "Q" for each in ends), "F09 poison was not quarantined", name, ends)
        elif ends and "Q" not in "".join(ends):
            demand(effects <= 1, "I1 a mail had two effects", name, ends)
            demand(effects == 1 or _second_form(world, name), "I1 a mail had no effect", name, ends)


def _second_form(world: "World", name: str) -> bool:
    """Whether another item has the same Message-ID, so that this one may be its second form."""
    marker = re.search(rb"^Message-ID: (\S+)", world.items[name].body, re.MULTILINE)
    assert marker is not None
    return any(other.kind == "mail" and other.name != name and marker.group(0) in other.body for other in world.items.values())


def took_effect(outcomes: str, at: int) -> bool:
    """Whether the alert at this place of its envelope was handled; what is quarantined, whole or in this part, was not."""
    return outcomes != "Q" and outcomes[at : at + 1] != "Q"


def _alerts(world: "World", envelopes: dict[str, list[int]]) -> None:
    """Open or closed by our own reckoning over all deliveries that were taken, in whatever order they came."""
    fired: dict[str, set[datetime]] = {}
    ends: dict[str, set[datetime]] = {}
    for name, deliveries in envelopes.items():
        item = world.items.get(name)
        for at, (key, firing, begun, ended) in enumerate(item.alerts if item else ()):
            if not any(took_effect(world.checker.outcomes[each], at) for each in deliveries):
                continue  # it waits for a person, and has done nothing yet
            if firing:
                fired.setdefault(key, set()).add(begun)
            elif ended is not None:
                ends.setdefault(key, set()).add(ended)
                fired.setdefault(key, set())
    rows = {row["series_key"]: row for row in world.mirror.tables["series"].values()}
    for key, starts in fired.items():
        if max(len(starts), len(ends.get(key, ()))) > MAX_REMEMBERED:
            continue
        demand(key in rows, "I1 lost: a series that was taken is not there", key)
        open_now = any(all(end < start or end > world.wall() for end in ends.get(key, ())) for start in starts)
        demand(bool(rows[key]["open"]) == open_now, "a series is open or closed wrongly", key, rows[key]["open"], open_now)


def _notices(world: "World") -> None:
    """I2: every notice ended; what was sent the relay has; what it has more than once was excused when it was taken."""
    for row in world.checker.rows.values():
        demand(row["state"] in ("sent", "dead", "suppressed"), "I2 a notice did not end", row["id"], row["state"])
        if row["state"] == "sent":
            copies = world.relay.copies.get(row["message_id"], [])
            demand(copies, "I2 sent and never taken", row["id"])
            demand(len({each.sha256 for each in copies}) == 1, "I3 copies differ", row["id"])
