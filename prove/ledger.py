"""Compares the client's ledger with the store and the relay's log: nothing lost, nothing doubled (invariants I1 to I3)."""

import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from prove.clients import Ledger
from prove.relay import RecordingRelay
from store import verify
from store.settings import StoreSettings
from store.store import Store
from triaged import clock

DRAIN_SECONDS = 300.0
NOTICES_AN_ITEM = 4  # more than any item makes: to triage one is progress, though its notices then wait
Ask = Callable[[str], list[tuple[Any, ...]]]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was found wrong, a line each, and the figures."""

    findings: tuple[str, ...]
    acknowledged: int
    tickets: int
    extra_copies: int
    repeats: int = 0


def database(folder: Path) -> Path:
    """The database file of a data directory."""
    return folder / "var" / "triaged.sqlite"


def end_leases(folder: Path) -> None:
    """Time passes while no daemon lives: leases of rows that were being sent run out."""
    with sqlite3.connect(database(folder), timeout=10) as connection:
        connection.execute("UPDATE outbox SET lease_until = 0 WHERE lease_until IS NOT NULL")
    connection.close()


def pending(folder: Path) -> int:
    """Envelopes that wait for triage."""
    connection = sqlite3.connect(f"file:{database(folder)}?mode=ro", uri=True, timeout=10)
    try:
        return int(connection.execute("SELECT count(*) FROM inbox WHERE state = 'pending'").fetchone()[0])
    finally:
        connection.close()


def drained(folder: Path) -> bool:
    """Wait until nothing is pending and nothing is queued; False when nothing has moved for too long."""

    def left() -> int:
        with closing(sqlite3.connect(f"file:{database(folder)}?mode=ro", uri=True, timeout=10)) as connection:
            queued = connection.execute("SELECT count(*) FROM outbox WHERE state IN ('queued', 'sending')").fetchone()[0]
        return int(queued) + NOTICES_AN_ITEM * pending(folder)

    return comes_to_nothing(left)


def comes_to_nothing(left: Callable[[], int], *, pause_seconds: float = 0.1) -> bool:
    """Ask what is left until that is nothing; False once it has not shrunk for DRAIN_SECONDS: a slow machine is no fault."""
    least, deadline = left(), time.monotonic() + DRAIN_SECONDS
    while least and time.monotonic() < deadline:
        time.sleep(pause_seconds)
        now = left()
        if now < least:
            least, deadline = now, time.monotonic() + DRAIN_SECONDS
    return not least


def judge(folder: Path, ledger: Ledger, relay: RecordingRelay, *, kills: int) -> Verdict:
    """Everything that must hold after the last life has drained and stopped, on SQLite."""
    with closing(sqlite3.connect(database(folder))) as connection:

        def ask(query: str) -> list[tuple[Any, ...]]:
            return connection.execute(query).fetchall()

        damaged = ask("PRAGMA integrity_check") != [("ok",)]
        verdict = compare(ask, StoreSettings(path=str(folder / "var")), ledger, relay, kills=kills)
    return msgspec.structs.replace(verdict, findings=(*verdict.findings, "the database is corrupt")) if damaged else verdict


def compare(ask: Ask, settings: StoreSettings, ledger: Ledger, relay: RecordingRelay, *, kills: int) -> Verdict:
    """The same on any engine; `ask` runs a query in words that both know."""
    findings = [*_mails(ask, ledger), *_alerts(ask, ledger), *_sent(ask, relay)]
    tickets = int(ask("SELECT count(*) FROM ticket")[0][0])
    extra = sum(len(copies) - 1 for copies in relay.copies.values())
    if extra > kills * 8:  # at most what was in flight at each kill: one a connection, and their records
        findings.append(f"{extra} extra copies for {kills} kills")
    findings += _verified(settings)
    acknowledged = len(ledger.mails) + len(ledger.alerts) + len(ledger.resolved)
    return Verdict(findings=tuple(findings), acknowledged=acknowledged, tickets=tickets, extra_copies=extra, repeats=ledger.repeats)


def _mails(ask: Ask, ledger: Ledger) -> list[str]:
    """Each acknowledged mail made one entry; a reply's is on the ticket of what it answers; a key has one answer."""
    statement = "SELECT message_id, ticket_id FROM entry WHERE message_id IS NOT NULL AND direction = 'inbound'"
    rows = [(name.removesuffix("@x.example"), ticket) for name, ticket in ask(statement)]
    ticket_of = dict(rows)
    findings = _compare("mail", ledger.mails, ledger.tried_mails, Counter(name for name, _ in rows))
    findings += [
        f"reply {reply} is not on the ticket of {first}"
        for reply, first in ledger.replies.items()
        if reply in ticket_of and ticket_of[reply] != ticket_of.get(first)
    ]
    findings += [f"the key {key} was answered by {sorted(ids)}" for key, ids in ledger.answers.items() if len(ids) > 1]
    asked = {name for name in ticket_of if name not in ledger.replies}
    opened = ask("SELECT count(*) FROM ticket WHERE requester <> ''")[0][0]
    if opened != len(asked):
        findings.append(f"{len(asked)} mails made {opened} tickets")
    return findings


def _alerts(ask: Ask, ledger: Ledger) -> list[str]:
    """Each alert made one ticket however often it came, and that is resolved exactly where its resolve came."""
    rows = ask("SELECT subject, state FROM ticket WHERE requester = ''")
    findings = _compare("alert", ledger.alerts, ledger.tried_alerts, Counter(name for name, _ in rows))
    over = {name for name, state in rows if state in ("resolved", "closed")}
    findings += [f"alert {name} was resolved and its ticket is open" for name in ledger.resolved - over]
    return findings + [f"alert {name} was never resolved by anybody and its ticket is" for name in over - ledger.tried_resolves]


def _sent(ask: Ask, relay: RecordingRelay) -> list[str]:
    """Each ticket was acknowledged once; what was sent, the relay has; its copies are the same."""
    acknowledgements = Counter(row[0] for row in ask("SELECT ticket_id FROM outbox WHERE event = 'acknowledged'"))
    sent = {row[0] for row in ask("SELECT message_id FROM outbox WHERE state = 'sent'")}
    unsent = ask("SELECT count(*) FROM outbox WHERE state NOT IN ('sent', 'suppressed')")[0][0]
    findings = [f"ticket {ticket} has {count} acknowledgements" for ticket, count in acknowledgements.items() if count != 1]
    findings += [f"{message_id} is recorded as sent, the relay never took it" for message_id in sent if message_id not in relay.copies]
    findings += [f"copies of {message_id} differ" for message_id, copies in relay.copies.items() if len(set(copies)) > 1]
    findings += [f"{message_id} went to {len(to)} recipients" for message_id, to in relay.recipients.items() if len(to) > 1]
    return findings + ([f"{unsent} notifications were not sent"] if unsent else [])


def _compare(kind: str, acknowledged: set[str], tried: set[str], found: Counter[str]) -> list[str]:
    findings = [f"{kind} {name} was acknowledged and is lost" for name in acknowledged if not found[name]]
    findings += [f"{kind} {name} made {count} entries" for name, count in found.items() if count > 1]
    return findings + [f"{kind} {name} was never sent by anybody" for name in found if name not in tried]


def _verified(settings: StoreSettings) -> list[str]:
    store = Store(settings, clock=clock.now)
    try:
        return [str(finding) for finding in store.read(lambda tx: list(verify.findings(tx)))]
    finally:
        store.close()
