"""Two replicas on one PostgreSQL judge at the same moment: each guard holds, and without it the fault comes back (F35, F36)."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import msgspec
import pytest

from casework import handle as casework_handle
from casework.handle import handle, tick
from casework.part import Part
from intake.child import ParseRequest, ParseResult, parse_one
from intake.worker import parts_of
from itsm.errors import Conflict
from store import claims, inbox, outbox, process, series_rows, stripes, threads, tickets
from store.store import Store

pytestmark = pytest.mark.postgres_only("SQLite has one writer")
FOREVER = 10**9


def claimed_parts(desk, process_id: int) -> list[Part]:
    """Claim what waits as a process, and parse it."""
    claimed = desk.store.write(lambda tx: inbox.claim(tx, process_id=process_id, limit=100, max_bytes=FOREVER)).result(60)
    bodies = desk.store.read(lambda tx: inbox.raw_bytes(tx, [each.envelope.id for each in claimed]))
    parts: list[Part] = []
    for each in claimed:
        envelope = each.envelope
        request = ParseRequest(
            format=envelope.format, source=envelope.source, received_at=envelope.received_at, return_path=None, body=bodies[envelope.id]
        )
        parts += parts_of(each, msgspec.msgpack.decode(parse_one(msgspec.msgpack.encode(request)), type=ParseResult))
    return parts


def at_once(desk, works: list[Callable]) -> list:
    """Hand the works to writers of their own; their results or errors."""
    futures = [desk.store.write(work) for work in works]
    return [future.exception(60) or future.result() for future in futures]


@pytest.fixture
def both_load_first(monkeypatch):
    """Makes both transactions load before either goes on, unless a lock keeps one of them from loading at all."""

    def arrange(module, name):
        meet, original = threading.Barrier(2), getattr(module, name)

        def slow(*arguments, **named):
            found = original(*arguments, **named)
            with suppress(threading.BrokenBarrierError):
                meet.wait(3)
            return found

        monkeypatch.setattr(module, name, slow)

    return arrange


@pytest.mark.parametrize("guarded", [True, False])
def test_one_mail_by_two_doors_makes_one_ticket(desk, mail, both_load_first, monkeypatch, guarded):
    desk.put(mail())
    desk.put(mail(), to=("help@corp.example",))
    one, other = claimed_parts(desk, 1)
    if not guarded:
        monkeypatch.setattr(stripes, "lock", lambda tx, keys: None)
    both_load_first(threads, "seen_before")
    at_once(desk, [lambda tx, part=part: handle(tx, [part], desk.casework) for part in (one, other)])
    assert len(desk.tickets()) == (1 if guarded else 2)


def test_one_new_series_twice_makes_one_incident_by_its_stripe_or_by_its_index(desk, both_load_first, monkeypatch):
    body = (
        b'{"version":"4","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"Down"},"startsAt":"2026-03-23T10:00:00Z"}]}'
    )
    desk.post(body)
    desk.post(body)
    one, other = claimed_parts(desk, 1)
    monkeypatch.setattr(stripes, "lock", lambda tx, keys: None)
    both_load_first(series_rows, "by_keys")
    at_once(desk, [lambda tx, part=part: handle(tx, [part], desk.casework) for part in (one, other)])
    assert len(desk.tickets()) == 1


def test_two_acts_on_one_ticket_are_done_one_after_the_other(desk, mail):
    desk.put(mail())
    desk.triage()
    number = desk.tickets()[0].number
    futures = [threading.Thread(target=desk.act, args=("note", number, f"note {each}")) for each in range(6)]
    for each in futures:
        each.start()
    for each in futures:
        each.join(60)
    assert sum(each.text.startswith("note ") for each in desk.entries(desk.tickets()[0])) == 6


def test_a_timer_is_handled_by_one_replica(desk, mail):
    desk.put(mail())
    desk.triage()
    desk.act("resolve", desk.tickets()[0].number, "done")
    desk.time += timedelta(days=60)
    handled = at_once(desk, [lambda tx: tick(tx, desk.casework, limit=100)] * 4)
    assert sum(handled) == 1
    assert desk.tickets()[0].state.value == "closed"


def lost_claim(desk, mail) -> tuple[list[Part], Store]:
    """A process claims and stands still past its lease, and another takes over what it had."""
    desk.put(mail())
    stalled = Store(desk.store.settings, clock=desk.store.clock, lease_clock=desk.store.clock)
    parts = claimed_parts(desk, stalled.process_id)
    desk.time += timedelta(minutes=2)
    desk.store.write(lambda tx: process.heartbeat(tx, desk.store.lease)).result(60)
    assert desk.store.write(lambda tx: claims.release_dead(tx, silent=timedelta(seconds=60))).result(60) == 1
    return parts, stalled


def test_a_process_that_slept_past_its_claim_decides_nothing_a_second_time(desk, mail):
    parts, stalled = lost_claim(desk, mail)
    desk.triage()
    assert stalled.write(lambda tx: handle(tx, parts, desk.casework)).result(60) == []
    stalled.close()
    assert (len(desk.tickets()), len(desk.outbox("acknowledged"))) == (1, 1)


def test_awake_at_the_same_moment_as_its_successor_it_waits_and_finds_the_work_done(desk, mail):
    parts, stalled = lost_claim(desk, mail)
    again = claimed_parts(desk, desk.store.process_id)
    assert [part.envelope.id for part in again] == [part.envelope.id for part in parts]
    future = stalled.write(lambda tx: handle(tx, parts, desk.casework))
    mine = desk.store.write(lambda tx: handle(tx, again, desk.casework))
    assert sorted([len(future.result(60)), len(mine.result(60))]) == [0, 1]
    stalled.close()
    assert (len(desk.tickets()), len(desk.outbox("acknowledged"))) == (1, 1)


def test_without_looking_again_it_would_never_get_out_of_the_conflict(desk, mail, monkeypatch):
    parts, stalled = lost_claim(desk, mail)
    desk.triage()
    monkeypatch.setattr(casework_handle.outcomes, "decided_meanwhile", lambda tx, keys: set())
    with pytest.raises(Conflict):
        stalled.write(lambda tx: handle(tx, parts, desk.casework)).result(60)
    stalled.close()


def test_a_process_that_slept_sets_nothing_aside_that_was_finished_meanwhile(desk, mail):
    parts, stalled = lost_claim(desk, mail)
    desk.triage()
    stalled.write(lambda tx: inbox.quarantine(tx, parts[0].envelope.id, "too late")).result(60)
    stalled.close()
    assert desk.inbox(parts[0].envelope.id).state == "done"


def test_a_row_that_a_sleeper_still_holds_locked_keeps_nobody_waiting(desk, mail):
    desk.put(mail())
    desk.put(mail("m2"))
    claimed_parts(desk, 404)  # no process of that number beats
    held, go = threading.Event(), threading.Event()

    def hold(tx):
        tx.connection.exec_driver_sql("SELECT id FROM inbox WHERE desk_id = 1 ORDER BY id LIMIT 1 FOR UPDATE")
        held.set()
        go.wait(60)

    sleeper = desk.store.write(hold)
    held.wait(60)
    assert desk.store.write(lambda tx: claims.release_dead(tx, silent=timedelta(seconds=60))).result(60) == 1
    go.set()
    sleeper.result(60)
    assert desk.store.write(lambda tx: claims.release_dead(tx, silent=timedelta(seconds=60))).result(60) == 1


def test_a_claim_of_a_process_that_beats_is_left_alone(desk, mail):
    desk.put(mail())
    claimed_parts(desk, desk.store.process_id)
    desk.time += timedelta(minutes=2)
    desk.store.write(lambda tx: process.heartbeat(tx, desk.store.lease)).result(60)
    assert desk.store.write(lambda tx: claims.release_dead(tx, silent=timedelta(seconds=60))).result(60) == 0


@pytest.mark.parametrize(("by_database", "taken"), [(True, 0), (False, 1)])
def test_a_machine_whose_clock_is_wrong_takes_nobodys_claims(desk, mail, by_database, taken):
    other = Store(desk.store.settings, clock=desk.store.clock, lease_clock=None if by_database else desk.store.clock)
    desk.put(mail())
    claimed_parts(desk, other.process_id)
    ahead = lambda: desk.time + timedelta(days=365)  # noqa: E731
    wrong = Store(desk.store.settings, clock=ahead, lease_clock=None if by_database else ahead)
    assert wrong.write(lambda tx: claims.release_dead(tx, silent=timedelta(seconds=60))).result(60) == taken
    wrong.close()
    other.close()


def test_two_senders_never_hold_the_same_mail(desk, mail):
    for number in range(20):
        desk.put(mail(f"m{number}", sender=f"p{number}@corp.example"))
    desk.triage()
    meet = threading.Barrier(2)

    def take(tx):
        meet.wait(30)
        return {each.notification.id for each in outbox.claim(tx, process_id=1, limit=15)}

    one, other = at_once(desk, [take, take])
    assert not one & other
    assert len(one | other) >= 20


def test_numbers_are_drawn_once_by_all_and_go_back_to_the_block(desk):
    other = Store(desk.store.settings, clock=desk.store.clock)
    futures = [store.write(lambda tx: list(tickets.draw_numbers(tx, 3))) for store in (desk.store, other) * 20]
    drawn = [number for future in futures for number in future.result(60)]
    assert len(set(drawn)) == len(drawn)

    def unused(tx):
        found = tickets.draw_numbers(tx, 4)
        tickets.give_back_numbers(tx, found[1:])
        return found[1]

    first = other.write(unused).result(60)
    assert other.write(lambda tx: tickets.draw_numbers(tx, 1)).result(60)[0] == first
    other.close()
