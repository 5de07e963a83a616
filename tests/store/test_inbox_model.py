"""The inbox against a model of itself: whatever is done to it in whatever order, both conservation laws hold."""

import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings as examples
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule, run_state_machine_as_test

from itsm.envelope import Channel, Envelope, Outcome
from store import inbox, outcomes, retention, totals, verify
from store.inbox import Arrived, Claimed
from store.settings import Retention, StoreSettings
from store.store import Store
from tests.conftest import Place
from tests.store.conftest import SetClock

OUTCOMES = [each for each in Outcome if each is not Outcome.QUARANTINED]


class InboxMachine(RuleBasedStateMachine):
    """Doors, triage workers that die, operators and retention, all at one inbox."""

    claims = Bundle("claims")

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.clock = SetClock()
        self.store = Store(self.place(), clock=self.clock, lease_clock=self.clock)
        self.accepted: set[int] = set()
        self.ended: dict[int, str] = {}  # what an envelope ended as; it never changes but by retry
        self.held: set[int] = set()

    def place(self) -> StoreSettings:
        """Where a store of its own is for each example."""
        return StoreSettings(path=str(Path(self.directory.name) / "var"))

    @rule(count=st.integers(1, 3))
    def accept(self, count: int) -> None:
        for _ in range(count):
            envelope = Envelope(id=self.store.new_id(), channel=Channel.HTTP, source="am", received_at=self.clock(), size_bytes=2)
            self.accepted.add(self.store.write_many(inbox.add_many, Arrived(envelope=envelope, body=b"{}")).result(10))

    @rule(target=claims, limit=st.integers(1, 4))
    def claim(self, limit: int) -> list[Claimed]:
        taken = self.store.write(lambda tx: inbox.claim(tx, process_id=1, limit=limit, max_bytes=10**6)).result(10)
        fresh = {each.envelope.id for each in taken}
        assert not fresh & self.held, "claimed twice"
        assert not fresh & self.ended.keys(), "claimed after its end"
        assert not any(each.alone for each in taken) or len(taken) == 1
        self.held |= fresh
        return taken

    def _mine(self, claimed: list[Claimed]) -> list[Claimed]:
        return [each for each in claimed if each.envelope.id in self.held]

    def _give_up(self, claimed: list[Claimed]) -> None:
        self.held -= {each.envelope.id for each in claimed}

    @rule(claimed=consumes(claims), outcome=st.sampled_from(OUTCOMES), count=st.integers(1, 3))
    def decide(self, claimed: list[Claimed], outcome: Outcome, count: int) -> None:
        for each in self._mine(claimed):
            inbox_id = each.envelope.id
            known = each.outcomes or "." * count
            begun = [(inbox_id, len(known))]
            self.store.write(lambda tx, b=begun: outcomes.begin(tx, b)).result(10)
            waiting = [seq for seq, letter in enumerate(known) if letter == "."]
            done = [(inbox_id, seq, outcome) for seq in waiting]
            self.store.write(lambda tx, o=done: outcomes.record(tx, o)).result(10)
            self.ended[inbox_id] = inbox.DONE
        self._give_up(claimed)

    @rule(claimed=consumes(claims))
    def decide_half(self, claimed: list[Claimed]) -> None:
        for each in self._mine(claimed):
            if not each.outcomes:
                inbox_id = each.envelope.id
                self.store.write(lambda tx, i=inbox_id: outcomes.begin(tx, [(i, 2)])).result(10)
                self.store.write(lambda tx, i=inbox_id: outcomes.record(tx, [(i, 0, Outcome.LINKED)])).result(10)
            self.store.write(lambda tx, i=each.envelope.id: inbox.release(tx, [i])).result(10)
        self._give_up(claimed)

    @rule(claimed=consumes(claims))
    def fail(self, claimed: list[Claimed]) -> None:
        mine = self._mine(claimed)
        self.store.write(lambda tx: inbox.fail(tx, mine, "failed")).result(10)
        for each in mine:
            if each.alone and each.attempts + 1 >= inbox.MAX_ATTEMPTS:
                self.ended[each.envelope.id] = inbox.QUARANTINED
        self._give_up(claimed)

    @rule(claimed=consumes(claims))
    def quarantine(self, claimed: list[Claimed]) -> None:
        for each in self._mine(claimed):
            self.store.write(lambda tx, i=each.envelope.id: inbox.quarantine(tx, i, "no parts")).result(10)
            self.ended[each.envelope.id] = inbox.QUARANTINED
        self._give_up(claimed)

    @rule()
    def crash(self) -> None:
        self.store.write(inbox.release_all).result(10)
        self.held.clear()

    @rule(drop=st.booleans())
    def judge_the_oldest_in_quarantine(self, drop: bool) -> None:
        inside = sorted(inbox_id for inbox_id, end in self.ended.items() if end == inbox.QUARANTINED)
        if not inside:
            return
        if drop:
            assert self.store.write(lambda tx: inbox.drop(tx, inside[0], "spam")).result(10)
            self.ended[inside[0]] = inbox.DONE
        else:
            assert self.store.write(lambda tx: inbox.retry(tx, inside[0])).result(10)
            del self.ended[inside[0]]

    @rule(days=st.sampled_from([0.0001, 1, 200, 400]))
    def time_passes(self, days: float) -> None:
        self.clock.advance(days=days)
        while self.store.write(lambda tx: retention.sweep(tx, Retention(), limit=2)).result(10).total:
            continue

    @invariant()
    def every_envelope_is_accounted_for(self) -> None:
        balance = self.store.read(totals.balance)
        assert balance.accepted == len(self.accepted)
        assert balance.done == list(self.ended.values()).count(inbox.DONE)
        assert balance.quarantined == list(self.ended.values()).count(inbox.QUARANTINED)
        assert balance.envelopes_hold
        assert balance.parts_hold

    def teardown(self) -> None:
        if hasattr(self, "store"):
            assert self.store.read(lambda tx: list(verify.findings(tx))) == []
            self.store.close()
            self.directory.cleanup()


InboxMachine.TestCase.settings = examples(max_examples=40, stateful_step_count=30, deadline=None)
TestTheInboxAgainstItsModel = InboxMachine.TestCase


@pytest.mark.postgres_only("SQLite has the test above")
@pytest.mark.timeout(900)
def test_the_inbox_against_its_model_on_postgresql(make_place: Place) -> None:
    class OnPostgres(InboxMachine):
        def place(self) -> StoreSettings:
            return make_place()

    run_state_machine_as_test(OnPostgres, settings=examples(max_examples=10, stateful_step_count=20, deadline=None))
