"""A model of the whole way: inbox to ticket to outbox, with crashes at any step and two workers racing, on a real store: many
examples on SQLite, some on PostgreSQL.

Hypothesis chooses the steps; after each the conservation laws and the chain are verified, and at the end, once everything
has drained, every accepted mail has exactly one ticket, one acknowledgement row, and copies that are the same to the byte.
"""

import hashlib
import tempfile
from collections import Counter, defaultdict
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from casework.handle import handle
from intake.batch import parts_of
from intake.child import ParseRequest, ParseResult, parse_one
from itsm.errors import Transient
from store import inbox, outbox, verify
from store.settings import StoreSettings
from tests.casework.desks import TestDesk

RAM = next((each for each in ["/dev/shm"] if Path(each).is_dir()), None)  # crashes are of the process here, not of the power
WORKERS = st.sampled_from(["a", "b"])
NAMES = st.sampled_from(["one", "two", "three", "four"])
LEASE = timedelta(minutes=5)
PROCESS = {"a": 1, "b": 2}


class CrashNow(Exception):
    """The process ends in the middle of a transaction."""


def mail(name, answer_to=None):
    lines = [f"From: {name}@x.example", "To: help@corp.example", f"Subject: {name}", f"Message-ID: <{name}@x.example>"]
    lines += [f"In-Reply-To: <{answer_to}>"] if answer_to else []
    return "\r\n".join([*lines, "", "It is broken.", ""]).encode()


class WholeWay(RuleBasedStateMachine):
    """Doors, two triage workers, two senders and a relay."""

    @initialize()
    def open(self):
        self.folder = tempfile.TemporaryDirectory(dir=RAM)
        self.desk = TestDesk(self.place())
        self.accepted = Counter()
        self.triaging = {}
        self.sending = {}
        self.relay = defaultdict(list)
        self.crashes = 0

    def place(self):
        return StoreSettings(path=self.folder.name)

    def write(self, work):
        return self.desk.store.write(work).result()

    @rule(name=NAMES)
    def a_mail_is_accepted(self, name):
        self.desk.put(mail(name), sender=f"{name}@x.example")
        self.accepted[name] += 1

    @rule(name=NAMES, other=NAMES)
    def a_mail_answers_another(self, name, other):
        self.desk.put(mail(f"re-{name}-{other}", f"{other}@x.example"), sender=f"{name}@x.example")

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds):
        self.desk.time += timedelta(seconds=seconds)

    @rule(worker=WORKERS, limit=st.integers(1, 5))
    def a_worker_claims(self, worker, limit):
        if worker not in self.triaging:
            claimed = self.write(lambda tx: inbox.claim(tx, process_id=PROCESS[worker], limit=limit, max_bytes=10**6))
            if claimed:
                self.triaging[worker] = claimed

    def parts(self, claimed):
        bodies = self.desk.store.read(lambda tx: inbox.raw_bytes(tx, [each.envelope.id for each in claimed]))
        found = []
        for each in claimed:
            envelope = each.envelope
            asked = ParseRequest(
                format="rfc822",
                source="smtp",
                received_at=envelope.received_at,
                return_path=envelope.reverse_path,
                body=bodies[envelope.id],
            )
            found += parts_of(each, msgspec.msgpack.decode(parse_one(msgspec.msgpack.encode(asked)), type=ParseResult))
        return found

    @precondition(lambda self: self.triaging)
    @rule(worker=WORKERS, crash=st.booleans())
    def a_worker_handles_what_it_claimed(self, worker, crash):
        claimed = self.triaging.get(worker)
        if claimed is None:
            return
        parts = self.parts(claimed)

        def work(tx):
            handled = handle(tx, parts, self.desk.casework)
            if crash:
                raise CrashNow
            return handled

        if crash:
            try:
                self.write(work)
            except CrashNow:
                self.the_process_crashes()
            return
        waiting = [each.part.envelope.id for each in self.write(work) if each.outcome is None]
        self.write(lambda tx: inbox.release(tx, waiting, not_before=tx.now + timedelta(seconds=1)))
        del self.triaging[worker]

    @rule()
    def the_process_crashes(self):
        """Every claim is lost with the process; at start those that were not being sent are given back."""
        self.crashes += 1
        self.triaging, self.sending = {}, {}
        self.write(lambda tx: (inbox.release_all(tx), outbox.release_all(tx)))

    @rule(worker=WORKERS, limit=st.integers(1, 4))
    def a_sender_claims_and_renders(self, worker, limit):
        if worker in self.sending:
            return
        claimed = self.write(lambda tx: outbox.claim(tx, process_id=PROCESS[worker], limit=limit))
        fresh = [(each.notification.id, each.fence, "", self.body(each)) for each in claimed if each.reverse_path is None]
        self.write(lambda tx: outbox.store_rendered(tx, fresh))
        if claimed:
            self.sending[worker] = claimed

    def body(self, claimed):
        """Bytes that differ at each rendering: only what was stored may go out."""
        return f"{claimed.notification.message_id} rendered at {self.desk.time} after {self.crashes}".encode()

    @precondition(lambda self: self.sending)
    @rule(worker=WORKERS, ends=st.sampled_from(["recorded", "crash before the dot", "crash after the dot", "late"]))
    def a_sender_sends(self, worker, ends):
        claimed = self.sending.pop(worker, None)
        if claimed is None:
            return
        ours = self.write(lambda tx: outbox.mark_sending(tx, [(each.notification.id, each.fence) for each in claimed], lease=LEASE))
        if ends == "crash before the dot":
            self.the_process_crashes()
            return
        bodies = self.desk.store.read(lambda tx: outbox.rendered_bytes(tx, ours))
        for each in claimed:
            if each.notification.id in ours:
                self.relay[each.notification.message_id].append(hashlib.sha256(bodies[each.notification.id]).hexdigest())
        if ends == "crash after the dot":
            self.the_process_crashes()
            return
        if ends == "late":  # stalled past its lease: its word comes too late to count (fencing)
            self.desk.time += LEASE * 2
            self.write(outbox.release_expired)
            self.crashes += 1
        for each in claimed:
            if each.notification.id in ours:
                self.write(lambda tx, each=each: outbox.record_sent(tx, each.notification.id, each.fence, "250 ok"))

    @invariant()
    def the_laws_and_the_chain_hold(self):
        if hasattr(self, "desk"):
            assert self.desk.store.read(lambda tx: list(verify.findings(tx))) == []

    @invariant()
    def nothing_is_doubled(self):
        if hasattr(self, "desk"):
            tickets = Counter(each.requester + each.subject for each in self.desk.tickets())
            assert all(count == 1 for count in tickets.values()), tickets
            assert all(len(set(copies)) == 1 for copies in self.relay.values())

    def teardown(self):
        if not hasattr(self, "desk"):
            return
        try:
            self.drain()
            rows = self.desk.outbox("acknowledged")
            opened = Counter(each.subject for each in self.desk.tickets())
            assert all(opened[name] == 1 for name in self.accepted), (opened, self.accepted)
            per_ticket = Counter(each.ticket_id for each in rows)
            assert set(per_ticket.values()) <= {1}
            sent = [each for each in self.desk.outbox() if each.state.value == "sent"]
            assert all(1 <= len(self.relay[each.message_id]) <= 1 + self.crashes for each in sent)
            assert {each.state.value for each in self.desk.outbox()} <= {"sent", "suppressed"}
        finally:
            self.desk.store.close()
            self.folder.cleanup()

    def drain(self):
        """The last life: everything that was accepted is triaged, everything that is queued is sent."""
        self.the_process_crashes()
        for _ in range(60):
            self.desk.time += timedelta(seconds=31)
            try:
                self.a_worker_claims("a", 5)
                self.a_worker_handles_what_it_claimed("a", crash=False)
                self.write(outbox.release_expired)
                self.a_sender_claims_and_renders("a", 4)
                self.a_sender_sends("a", "recorded")
            except Transient:
                continue
            waiting = self.desk.store.read(lambda tx: inbox.depth(tx, inbox.PENDING)).count
            if not waiting and not any(each.state.value in ("queued", "sending") for each in self.desk.outbox()):
                return


TestWholeWay = pytest.mark.timeout(900)(WholeWay.TestCase)  # 300 examples, each verified after every step
TestWholeWay.settings = settings(settings.default, max_examples=settings.default.max_examples // 3, stateful_step_count=15)


@pytest.mark.postgres_only("SQLite has the test above")
@pytest.mark.timeout(900)
def test_the_whole_way_against_its_model_on_postgresql(make_place):
    class OnPostgres(WholeWay):
        def place(self):
            return make_place()

    run_state_machine_as_test(OnPostgres, settings=settings(max_examples=10, stateful_step_count=15, deadline=None))
