"""Whether the relay takes mail, as the alarm sees it: what a connection heard last is right (F46, F52, I6)."""

import asyncio
import threading

import pytest

from itsm.notification import DeliveryState
from notifier.submit import Deferred
from notifier.worker import RELAY_UP, Notifier
from store import outbox
from tests.notifier.running import metric, run_until

REFUSED = "connection refused"
DEADLINE_SECONDS = 60.0


class RelayThatGoesAway:
    """After the first word two connections are let in, one at once and one slowly, then nobody; a mail on either finds the relay gone."""

    def __init__(self):
        self.lock, self.asked, self.probed = threading.Lock(), 0, threading.Event()

    def ready(self):
        with self.lock:
            self.asked += 1
            at = self.asked
        if at == 2:  # the slow one is let in when the other has found out already
            assert self.probed.wait(DEADLINE_SECONDS)
        if at > 3:
            self.probed.set()
            return REFUSED
        return None

    def submit(self, *_mail):
        return Deferred(error=REFUSED, unreachable=True)

    def close(self):
        """Nothing is held."""

    abort = close


def test_a_connection_that_was_let_in_late_does_not_hide_that_the_relay_is_gone(enqueue, notifier):
    told = [enqueue(ticket_id=1), enqueue(ticket_id=2)]
    gone, template = RelayThatGoesAway(), told[0].event.value
    ended = metric("triaged_outbox_failed_total", template=template, result="deferred")
    seen = []

    def both_found_out():
        if metric("triaged_outbox_failed_total", template=template, result="deferred") < ended + 2:
            return False
        seen.append(metric("triaged_outbox_relay_up"))
        return True

    run_until(notifier([gone, gone]), both_found_out)
    assert seen == [0.0]


REFUSALS = ("530 5.7.0 log in first", "421 4.3.2 closing", "cut")  # to MAIL, so none of them speaks of the mail
MAILS = 9


@pytest.fixture
def pauses(monkeypatch):
    """How long each pause would have been, and what the gauge showed in it; none is waited for."""
    told = []

    async def note(self, seconds):
        told.append((seconds, metric("triaged_outbox_relay_up")))
        await asyncio.sleep(0)

    monkeypatch.setattr(Notifier, "_pause", note)
    return told


def mails(server):
    return sum(each.upper().startswith("MAIL") for each in server.commands)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_relay_that_lets_us_in_and_takes_no_mail_is_asked_at_growing_distances_and_told(refusal, enqueue, relay, to_relay, pauses):
    enqueue()
    server = relay({"mail": refusal})
    run_until(to_relay(server), lambda: mails(server) >= MAILS)
    waited = [seconds for seconds, _ in pauses][: MAILS - 2]  # the second mail may come at once: a connection may just have been idle
    assert len(waited) == MAILS - 2
    limits = [min(60.0, 2.0**at) for at in range(2, MAILS)]
    assert all(limit / 2 <= seconds <= limit for seconds, limit in zip(waited, limits, strict=True))
    assert {shown for _, shown in pauses} == {0.0}
    assert metric("triaged_outbox_relay_up") == 0.0


def test_once_the_relay_takes_a_mail_again_it_is_told_and_the_distances_begin_anew(enqueue, relay, to_relay, pauses, row):
    first, second = enqueue(ticket_id=1), enqueue(ticket_id=2)
    server = relay({"mail": [REFUSALS[0]] * 4})
    worker = to_relay(server, batch=1)
    run_until(worker, lambda: len(server.taken) == 2 and row(second).notification.state is DeliveryState.SENT)
    assert row(first).notification.state is DeliveryState.SENT
    assert metric("triaged_outbox_relay_up") == 1.0
    assert len(pauses) == 3
    assert worker._in_vain == 0


def test_when_the_mails_that_were_not_taken_are_gone_the_relay_is_no_longer_said_to_be_down(enqueue, relay, to_relay, pauses, store):
    made = enqueue()
    server = relay({"mail": REFUSALS[0]})

    def condition():
        if len(pauses) >= 3:
            store.write(lambda tx: outbox.drop(tx, made.id, "told by telephone")).result(10)
        return metric("triaged_outbox_relay_up") == 1.0 and len(pauses) >= 3

    run_until(to_relay(server), condition)
    assert store.read(outbox.counts).get("queued", 0) == 0


@pytest.mark.parametrize("up", [True, False])
def test_it_is_told_from_the_start_though_nothing_is_to_be_sent(up, relay, to_relay, pauses):
    RELAY_UP.set(not up)
    server = relay()
    worker = to_relay(server)
    if not up:
        server.close()
    run_until(worker, lambda: metric("triaged_outbox_relay_up") == up)
    assert server.taken == []
