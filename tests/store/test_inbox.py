"""The durable inbox: accepted, claimed, done part by part, tried alone, quarantined, retried, dropped."""

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from itsm.decision import Reasons
from itsm.envelope import Channel, Envelope, Outcome
from itsm.errors import Conflict
from store import inbox, outcomes, parts, step, totals, verify
from store.inbox import DONE, MAX_ATTEMPTS, PENDING, QUARANTINED, Claimed, InboxRow
from store.schema import CHUNK_BYTES
from store.settings import StoreSettings
from store.store import Store

Arrive = Callable[..., int]
PROCESS = 77


def claim(store: Store, limit: int = 10, max_bytes: int = 10**9) -> list[Claimed]:
    return store.write(lambda tx: inbox.claim(tx, process_id=PROCESS, limit=limit, max_bytes=max_bytes)).result(10)


def ids(claimed: list[Claimed]) -> list[int]:
    return [each.envelope.id for each in claimed]


def record(store: Store, *named: tuple[int, int, Outcome]) -> None:
    store.write(lambda tx: outcomes.record(tx, named)).result(10)


def fail(store: Store, claimed: list[Claimed]) -> None:
    store.write(lambda tx: inbox.fail(tx, claimed, "it fell over")).result(10)


def row(store: Store, inbox_id: int) -> InboxRow:
    found = store.read(lambda tx: inbox.find(tx, inbox_id))
    assert found is not None
    return found


def well(store: Store) -> bool:
    return not list(store.read(lambda tx: list(verify.findings(tx))))


def test_what_was_accepted_is_read_back_whole(store: Store, arrive: Arrive) -> None:
    body = bytes(range(256)) * 3000
    assert len(body) > 2 * CHUNK_BYTES
    fields = {"reverse_path": "", "forward_paths": ("desk@example.org", "it@example.org"), "peer": "192.0.2.1", "login": "copier"}
    inbox_id = arrive(body, message_id="m1@example.org", edited_from=5, **fields)
    found = row(store, inbox_id)
    assert (found.state, found.attempts, found.part_count, found.outcomes) == (PENDING, 0, 0, "")
    assert found.envelope == Envelope(
        id=inbox_id,
        channel=Channel.SMTP,
        source="smtp",
        received_at=store.clock(),
        size_bytes=len(body),
        message_id="m1@example.org",
        edited_from=5,
        **fields,
    )
    assert store.read(lambda tx: inbox.raw_bytes(tx, [inbox_id, 404])) == {inbox_id: body}
    assert store.read(lambda tx: inbox.find(tx, 404)) is None
    assert well(store)


def test_an_empty_body_is_kept_too(store: Store, arrive: Arrive) -> None:
    inbox_id = arrive(b"")
    assert store.read(lambda tx: inbox.raw_bytes(tx, [inbox_id])) == {inbox_id: b""}


def test_text_that_no_database_takes_is_cleaned_and_still_found(store: Store, arrive: Arrive) -> None:
    inbox_id = arrive(message_id="a\udcff\0b@x", peer="\ud800", forward_paths=("b\udce4r@x", "ü@x"), login="n\0l")
    envelope = row(store, inbox_id).envelope
    assert (envelope.message_id, envelope.peer, envelope.login) == ("a?\N{REPLACEMENT CHARACTER}b@x", "?", "n\N{REPLACEMENT CHARACTER}l")
    assert envelope.forward_paths == ("b?r@x", "ü@x")
    assert [each.envelope.id for each in store.read(lambda tx: inbox.find_by_message_id(tx, "a\udcff\0b@x"))] == [inbox_id]


def test_claims_take_the_oldest_first_and_nobody_takes_them_twice(store: Store, arrive: Arrive) -> None:
    first, second, third = arrive(), arrive(), arrive()
    assert ids(claim(store, limit=2)) == [first, second]
    assert ids(claim(store)) == [third]
    assert claim(store) == []


def test_a_claim_ends_at_its_bytes_but_takes_at_least_one(store: Store, arrive: Arrive) -> None:
    big, small, other = arrive(b"x" * 1000), arrive(b"x"), arrive(b"x" * 1000)
    assert ids(claim(store, max_bytes=10)) == [big]
    assert ids(claim(store, max_bytes=10)) == [small]
    assert ids(claim(store, max_bytes=10)) == [other]


def test_an_envelope_is_done_when_every_part_has_an_outcome(store: Store, arrive: Arrive) -> None:
    inbox_id = arrive()
    claim(store)
    store.write(lambda tx: outcomes.begin(tx, [(inbox_id, 3)])).result(10)
    store.write(lambda tx: outcomes.begin(tx, [])).result(10)
    record(store, (inbox_id, 0, Outcome.CREATED), (inbox_id, 2, Outcome.DUPLICATE))
    half = row(store, inbox_id)
    assert (half.state, half.outcomes, half.part_count, half.done_at) == (PENDING, "C.D", 3, None)
    assert claim(store) == []
    record(store, (inbox_id, 1, Outcome.RECORDED))
    done = row(store, inbox_id)
    assert (done.state, done.outcomes, done.done_at) == (DONE, "CRD", store.clock())
    assert well(store)


def test_a_part_without_beginning_has_its_outcome_at_once(store: Store, arrive: Arrive) -> None:
    inbox_id = arrive()
    record(store, (inbox_id, 0, Outcome.APPENDED))
    record(store)
    assert (row(store, inbox_id).state, row(store, inbox_id).outcomes) == (DONE, "A")


def test_a_part_ends_once(store: Store, arrive: Arrive) -> None:
    inbox_id = arrive()
    record(store, (inbox_id, 0, Outcome.CREATED))
    with pytest.raises(Conflict, match="has an outcome already"):
        record(store, (inbox_id, 0, Outcome.DUPLICATE))
    assert row(store, inbox_id).outcomes == "C"


def test_begun_parts_are_not_begun_again(store: Store, arrive: Arrive) -> None:
    inbox_id = arrive()
    store.write(lambda tx: outcomes.begin(tx, [(inbox_id, 2)])).result(10)
    record(store, (inbox_id, 1, Outcome.CREATED))
    store.write(lambda tx: outcomes.begin(tx, [(inbox_id, 2)])).result(10)
    assert row(store, inbox_id).outcomes == ".C"


def test_only_attempts_made_alone_count_and_the_third_quarantines(store: Store, arrive: Arrive, clock: Callable[..., object]) -> None:
    bad, good = arrive(), arrive()
    fail(store, claim(store))
    assert row(store, bad).attempts == 0
    for attempt in range(1, MAX_ATTEMPTS + 1):
        taken = claim(store)
        assert ids(taken) == [bad]
        assert (taken[0].alone, taken[0].attempts) == (True, attempt - 1)
        fail(store, taken)
        clock.advance(seconds=attempt)  # type: ignore[attr-defined]
    assert (row(store, bad).state, row(store, bad).reason) == (QUARANTINED, "it fell over")
    assert ids(claim(store)) == [good]
    assert well(store)


def test_a_failed_attempt_waits_before_the_next(store: Store, arrive: Arrive, clock: Callable[..., object]) -> None:
    inbox_id = arrive()
    fail(store, claim(store))
    fail(store, claim(store))
    assert claim(store) == []
    clock.advance(seconds=1)  # type: ignore[attr-defined]
    assert ids(claim(store)) == [inbox_id]


def test_one_that_is_marked_alone_comes_alone(store: Store, arrive: Arrive) -> None:
    first, second = arrive(), arrive()
    fail(store, claim(store))
    third = arrive()
    assert ids(claim(store)) == [first]
    assert ids(claim(store)) == [second]
    assert ids(claim(store)) == [third]
    fail(store, claim(store))


def test_a_batch_ends_before_one_that_is_marked_alone(store: Store, arrive: Arrive) -> None:
    first, second = arrive(), arrive()
    taken = claim(store)
    fail(store, [each for each in taken if each.envelope.id == second])
    store.write(lambda tx: inbox.release(tx, [first])).result(10)
    assert ids(claim(store)) == [first]


def test_what_is_released_counts_nothing_and_may_have_to_wait(store: Store, arrive: Arrive, clock: Callable[..., object]) -> None:
    inbox_id = arrive()
    claim(store)
    store.write(lambda tx: inbox.release(tx, [inbox_id], not_before=tx.now + timedelta(seconds=5))).result(10)
    assert claim(store) == []
    clock.advance(seconds=5)  # type: ignore[attr-defined]
    again = claim(store)
    assert (again[0].attempts, again[0].alone) == (0, False)


@pytest.mark.parametrize("defended", [True, False])
def test_what_waits_by_a_clock_that_was_set_back_is_due_at_once(
    store: Store, arrive: Arrive, clock: Callable[..., object], monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    if not defended:
        monkeypatch.setattr(inbox, "LONGEST_PAUSE", timedelta(days=10_000))
    inbox_id = arrive()
    fail(store, claim(store))
    clock.advance(days=10)  # type: ignore[attr-defined]
    fail(store, claim(store))
    assert claim(store) == []
    clock.advance(days=-10)  # type: ignore[attr-defined]
    assert ids(claim(store)) == ([inbox_id] if defended else [])


def test_claims_of_a_process_that_died_are_released_and_tried_alone(store: Store, arrive: Arrive) -> None:
    first, second = arrive(), arrive()
    claim(store)
    assert store.write(inbox.release_all).result(10) == 2
    assert ids(claim(store)) == [first]
    assert ids(claim(store)) == [second]


def quarantined(store: Store, inbox_id: int) -> None:
    store.write(lambda tx: inbox.quarantine(tx, inbox_id, "no parts")).result(10)


def test_a_quarantined_envelope_is_seen_and_can_be_retried(store: Store, arrive: Arrive, clock: Callable[..., object]) -> None:
    inbox_id = arrive()
    quarantined(store, inbox_id)
    clock.advance(minutes=3)  # type: ignore[attr-defined]
    assert [each.envelope.id for each in store.read(lambda tx: inbox.listed(tx, QUARANTINED))] == [inbox_id]
    depth = store.read(lambda tx: inbox.depth(tx, QUARANTINED))
    assert (depth.count, depth.oldest_at) == (1, row(store, inbox_id).envelope.received_at)
    assert store.write(lambda tx: inbox.retry(tx, inbox_id)).result(10)
    assert ids(claim(store)) == [inbox_id]
    assert not store.write(lambda tx: inbox.retry(tx, inbox_id)).result(10)
    assert store.read(lambda tx: inbox.depth(tx, QUARANTINED)).oldest_at is None


def test_a_quarantined_envelope_can_be_dropped(store: Store, arrive: Arrive) -> None:
    inbox_id = arrive()
    assert not store.write(lambda tx: inbox.drop(tx, inbox_id, "spam")).result(10)
    quarantined(store, inbox_id)
    assert store.write(lambda tx: inbox.drop(tx, inbox_id, "spam")).result(10)
    assert (row(store, inbox_id).state, row(store, inbox_id).outcomes, row(store, inbox_id).reason) == (DONE, "X", "spam")
    assert not store.write(lambda tx: inbox.drop(tx, 404, "never was")).result(10)
    assert well(store)


def test_parts_that_waited_when_an_envelope_was_quarantined_are_dropped_with_it(store: Store, arrive: Arrive) -> None:
    inbox_id = arrive()
    store.write(lambda tx: outcomes.begin(tx, [(inbox_id, 3)])).result(10)
    record(store, (inbox_id, 0, Outcome.CREATED))
    quarantined(store, inbox_id)
    assert well(store)
    store.write(lambda tx: inbox.drop(tx, inbox_id, "enough")).result(10)
    assert row(store, inbox_id).outcomes == "CXX"
    assert well(store)


def quarantined_part(store: Store, inbox_id: int) -> None:
    reasons = Reasons(code="malformed", sentence="not a date")
    record(store, (inbox_id, 0, Outcome.CREATED), (inbox_id, 1, Outcome.QUARANTINED))
    rows = [(inbox_id, 1, "malformed", Outcome.QUARANTINED, None, reasons)]
    store.write(lambda tx: parts.insert_many(tx, rows)).result(10)


def test_a_quarantined_part_is_seen_and_can_be_retried_alone(store: Store, arrive: Arrive) -> None:
    inbox_id = arrive()
    arrive()
    quarantined_part(store, inbox_id)
    assert [each.envelope.id for each in store.read(lambda tx: inbox.listed(tx, QUARANTINED))] == [inbox_id]
    assert store.read(lambda tx: inbox.depth(tx, QUARANTINED)).count == 1
    assert store.write(lambda tx: inbox.retry(tx, inbox_id)).result(10)
    assert not store.write(lambda tx: inbox.drop(tx, inbox_id, "too late")).result(10)
    assert (row(store, inbox_id).outcomes, row(store, inbox_id).state) == ("C.", PENDING)
    assert store.read(lambda tx: parts.of_inbox(tx, inbox_id)) == []
    assert well(store)


def test_a_quarantined_part_can_be_dropped(store: Store, arrive: Arrive) -> None:
    inbox_id = arrive()
    quarantined_part(store, inbox_id)
    store.write(lambda tx: inbox.drop(tx, inbox_id, "we know")).result(10)
    assert row(store, inbox_id).outcomes == "CX"
    assert [each.outcome for each in store.read(lambda tx: parts.of_inbox(tx, inbox_id))] == [Outcome.DROPPED]
    assert well(store)


def test_pending_envelopes_are_listed_newest_first(store: Store, arrive: Arrive) -> None:
    first, second = arrive(), arrive()
    assert [each.envelope.id for each in store.read(lambda tx: inbox.listed(tx, PENDING))] == [second, first]
    assert [each.envelope.id for each in store.read(lambda tx: inbox.listed(tx, PENDING, limit=1))] == [second]
    assert store.read(lambda tx: inbox.depth(tx, PENDING)).count == 2


ACCEPT = """
import sys
from datetime import UTC, datetime
from itsm.envelope import Channel, Envelope
from store.inbox import Arrived, add_many
from store.settings import StoreSettings
from store.store import Store
import msgspec

clock = lambda: datetime(2026, 1, 1, tzinfo=UTC)
store = Store(msgspec.json.decode(sys.argv[1], type=StoreSettings), clock=clock, exclusive=True)
envelope = Envelope(id=store.new_id(), channel=Channel.SMTP, source="smtp", received_at=clock(), size_bytes=4)
print(store.write_many(add_many, Arrived(envelope=envelope, body=b"mail"), step="accept").result(), flush=True)
"""


@pytest.mark.parametrize(("point", "stored"), [("accept.before_commit", 0), ("accept.after_commit", 1)])
def test_a_crash_around_the_commit_acknowledges_nothing_and_keeps_what_was_committed(
    settings: StoreSettings,
    clock: Callable[..., object],
    run_python: Callable[..., subprocess.CompletedProcess[str]],
    point: str,
    stored: int,
) -> None:
    ran = run_python(ACCEPT, msgspec.json.encode(settings).decode(), crash_at=point)
    assert (ran.returncode, ran.stdout) == (-9, "")
    store = Store(settings, clock=clock, exclusive=True)
    assert store.read(totals.balance).accepted == stored
    assert well(store)
    store.close()


def test_a_step_that_is_not_the_named_one_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "_trigger", step._Trigger("triage.claimed:2"))
    for name in step.STEPS:
        step.step(name)
    with pytest.raises(AssertionError, match="not a named step"):
        step.step("no.such.step")


def test_the_second_passing_of_a_step_can_be_named(tmp_path: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    program = "from store.step import step\nstep('triage.claimed')\nprint('once', flush=True)\nstep('outbox.sending')\nstep('triage.claimed')\nprint('twice')"
    ran = run_python(program, crash_at="triage.claimed:2")
    assert (ran.returncode, ran.stdout) == (-9, "once\n")
    wrong = run_python("from store.step import step\nstep('no.such.step')", crash_at="triage.claimed")
    assert "no.such.step is not a named step" in wrong.stderr
    assert run_python("from store.step import step\nstep('no.such.step')").returncode == 0


def test_to_accept_nothing_is_nothing(store: Store) -> None:
    assert store.write(lambda tx: inbox.add_many(tx, [])).result(10) == []
