"""A body of alerts that came before as a whole is accepted and ended in one commit, unless something may be new (ADR-0016)."""

import asyncio
import threading
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import func, select

from casework.resends import MAX_AT_THE_DOOR, MAX_WAITING, STORED_AGAIN, Resends
from intake.batch import SLICE
from intake.parse import digest_of
from itsm.ticket import State
from rules.extraction import Extraction, compile_extractions
from rules.monitoring import EventPolicy
from store import inbox as inbox_store
from store import verify
from store.schema import inbox, raw
from tests.casework.test_resends_of_alerts import body, many, no_parser, outcomes

BY_MAIL = Extraction(key="nagios", when={"from": "nagios@x.example"}, source="am", subject="{status}: {name}", series="{name}")


@pytest.fixture
def cache():
    return Resends()


@pytest.fixture
def known(desk, cache):
    """A desk that knows a body of three alerts whole, and has nothing to do."""
    for _ in range(2):
        desk.deliver(many(3), cache)
        desk.triage(resends=cache)
        desk.time += timedelta(seconds=1)
    assert outcomes(desk) == ["CCC", "DDD"]
    return desk


def bodies_stored(desk):
    return desk.store.read(lambda tx: tx.connection.execute(select(func.count()).select_from(raw)).scalar_one())


def test_a_known_body_is_ended_by_the_door_and_its_bytes_are_not_stored_again(known, cache):
    inbox_id = known.deliver(many(3), cache)
    row = known.inbox(inbox_id)
    assert (row.state, row.outcomes, row.part_count, row.envelope.size_bytes) == ("done", "DDD", 3, len(many(3)))
    assert bodies_stored(known) == 1
    assert known.store.read(lambda tx: inbox_store.raw_bytes(tx, [inbox_id])) == {inbox_id: many(3)}
    assert not known.store.read(lambda tx: list(verify.findings(tx)))


def test_a_body_is_known_from_its_first_triage_on(desk, cache):
    first = desk.deliver(many(3), cache)
    desk.triage(resends=cache)
    again = desk.inbox(desk.deliver(many(3), cache))
    assert (again.state, again.outcomes, bodies_stored(desk)) == ("done", "DDD", 1)
    repeated = desk.store.read(lambda tx: tx.connection.execute(select(inbox.c.raw_of).where(inbox.c.id == again.envelope.id)).scalar_one())
    assert repeated == first


def test_a_body_of_which_a_part_is_no_mere_count_is_not_known(desk, cache):
    """Two deliveries of one series in one body: the stored state speaks of the second alone."""
    desk.deliver(body(("a1", "warning", True), ("a1", "critical", False)), cache)
    desk.triage(resends=cache)
    again = desk.inbox(desk.deliver(body(("a1", "warning", True), ("a1", "critical", False)), cache))
    assert again.state == "pending"


def test_a_body_in_several_transactions_is_known_after_the_last(desk, cache):
    large = many(SLICE + 1)
    desk.deliver(large, cache)
    desk.triage(resends=cache)
    assert desk.inbox(desk.deliver(large, cache)).state == "done"


def test_bodies_that_come_together_are_ended_in_one_call(known, cache, monkeypatch):
    calls, accept = [], Resends.accept

    def noting(self, tx, arrived):
        calls.append(len(arrived))
        return accept(self, tx, arrived)

    monkeypatch.setattr(Resends, "accept", noting)
    acceptor = known.acceptor(cache)
    held = threading.Event()

    async def together():
        blocking = known.store.write(lambda tx: held.wait(30))  # the writer is busy until all of them wait
        waiting = [asyncio.ensure_future(acceptor.accept(known.arrival(many(3)))) for _ in range(8)]
        await asyncio.sleep(0)
        held.set()
        await asyncio.gather(*waiting)
        blocking.result(30)

    asyncio.run(together())
    assert calls == [8]
    assert outcomes(known)[2:] == ["DDD"] * 8


def test_a_repeat_of_another_size_is_found_by_verify(known, cache):
    inbox_id = known.deliver(many(3), cache)
    known.store.write(lambda tx: tx.connection.execute(inbox.update().where(inbox.c.id == inbox_id).values(size_bytes=1))).result()
    (finding,) = known.store.read(lambda tx: list(verify.findings(tx)))
    assert "which has another size" in finding


def test_counts_of_a_body_that_was_learned_anew_meanwhile_are_kept(known, cache):
    """What the door counted for the body of before waits beside what it counts for that of now."""
    before = cache._bodies[digest_of("alertmanager", "am", many(3))]
    known.deliver(many(3), cache)
    now = cache.find(before.digest, tuple(cache._known), known.inbox(known.deliver(many(3), cache)).envelope)
    assert now is not None and now is not before
    known.deliver(many(3), cache)
    known.triage(parse=no_parser, resends=cache)
    assert [each.event_count for each in known.tickets()] == [5, 5, 5]


def test_its_resends_are_counted(known, cache):
    for _ in range(5):
        known.deliver(many(3), cache)
    known.triage(parse=no_parser, resends=cache)
    assert [each.event_count for each in known.tickets()] == [7, 7, 7]


def test_a_worker_does_not_rest_while_the_door_ends_bodies(known, cache):
    assert [cache.rested(), cache.rested()] == [False, True]
    known.deliver(many(3), cache)
    assert [cache.rested(), cache.rested()] == [False, True]


def test_what_retention_removed_is_missing_for_its_repeats_too(known, cache):
    inbox_id = known.deliver(many(3), cache)
    known.store.write(lambda tx: tx.connection.execute(raw.delete())).result()
    assert known.store.read(lambda tx: inbox_store.raw_bytes(tx, [inbox_id])) == {}


@pytest.mark.parametrize("guarded", [True, False])
def test_a_change_that_waits_is_judged_first(known, cache, monkeypatch, guarded):
    if not guarded:
        monkeypatch.setattr(cache, "_news_waits", lambda tx: False)
    known.deliver(many(3, "critical"), cache)
    known.time += timedelta(seconds=1)
    known.deliver(many(3), cache)
    known.triage(resends=cache)
    assert (outcomes(known)[2:] == ["AAA", "AAA"]) is guarded


def test_a_body_of_a_series_that_moved_on_waits_for_triage(known, cache):
    known.deliver(body(("a1", "warning", True)), cache)
    known.triage(resends=cache)
    inbox_id = known.deliver(many(3), cache)
    assert known.inbox(inbox_id).state == "pending"
    known.triage(resends=cache)
    assert (known.inbox(inbox_id).state, bodies_stored(known)) == ("done", 3)


def test_a_known_body_that_waits_is_no_news_to_another(known, cache):
    for _ in range(2):
        known.deliver(body(("b", "warning", False)), cache)
        known.triage(resends=cache)
    known.deliver(body(("a1", "warning", True)), cache)
    known.triage(resends=cache)
    known.deliver(many(3), cache)  # waits, for a1 has moved on
    assert known.inbox(known.deliver(body(("b", "warning", False)), cache)).state == "done"


@pytest.mark.parametrize(("extractions", "state"), [((), "done"), ((BY_MAIL,), "pending")])
def test_a_mail_that_waits_is_news_only_where_it_may_be_an_event(known, cache, extractions, state):
    ruleset = msgspec.structs.replace(known.casework.ruleset, extractions=compile_extractions(extractions)[0])
    known.casework = msgspec.structs.replace(known.casework, ruleset=ruleset)
    for _ in range(2):  # with other rules everything is learned anew
        known.deliver(many(3), cache)
        known.triage(resends=cache)
    known.put(b"From: ana@corp.example\r\nSubject: help\r\n\r\nwords\r\n")
    assert known.inbox(known.deliver(many(3), cache)).state == state


def test_with_very_much_waiting_everything_waits(known, cache):
    for number in range(MAX_WAITING):
        known.put(b"From: ana@corp.example\r\nSubject: help %d\r\n\r\nwords\r\n" % number)
    assert known.inbox(known.deliver(many(3), cache)).state == "pending"


def test_its_bytes_are_stored_again_after_an_hour(known, cache):
    known.time += STORED_AGAIN
    inbox_id = known.deliver(many(3), cache)
    assert (known.inbox(inbox_id).state, bodies_stored(known)) == ("pending", 2)
    known.triage(parse=no_parser, resends=cache)
    assert known.inbox(known.deliver(many(3), cache)).state == "done"
    assert bodies_stored(known) == 2
    newest = known.store.read(lambda tx: tx.connection.execute(select(func.max(inbox.c.raw_of))).scalar_one())
    assert newest == inbox_id


def test_other_rules_are_asked(known, cache):
    known.casework = msgspec.structs.replace(known.casework, sources={"am": EventPolicy(expire_after_seconds=60)})
    assert known.inbox(known.deliver(many(3), cache)).state == "pending"


def test_a_delivery_with_an_id_of_its_own_goes_the_long_way(known, cache):
    assert known.inbox(known.deliver(many(3), cache, idempotency_key=("hooks/am", "1"))).state == "pending"


def test_a_very_large_body_goes_the_long_way(desk, cache):
    for _ in range(2):
        desk.deliver(many(MAX_AT_THE_DOOR + 1), cache)
        desk.triage(resends=cache)
    assert desk.inbox(desk.deliver(many(MAX_AT_THE_DOOR + 1), cache)).state == "pending"


def test_a_person_who_resolves_is_not_undone_by_a_resend(known, cache):
    number = known.tickets()[0].number
    known.act("resolve", number)
    known.deliver(many(3), cache)
    known.triage(parse=no_parser, resends=cache)
    assert known.tickets()[0].state is State.RESOLVED
