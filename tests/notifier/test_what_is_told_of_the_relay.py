"""Whether the relay takes mail, as the alarm sees it: what a connection heard last is right (F46, F52, I6)."""

import threading

from notifier.submit import Deferred
from tests.notifier.test_worker import metric, notifier, run_until

__all__ = ["notifier"]

REFUSED = "connection refused"
DEADLINE_SECONDS = 60.0


class RelayThatGoesAway:
    """Two connections are let in, one at once and one slowly, then nobody; a mail on either finds that the relay is gone."""

    def __init__(self):
        self.lock, self.asked, self.probed = threading.Lock(), 0, threading.Event()

    def ready(self):
        with self.lock:
            self.asked += 1
            at = self.asked
        if at == 1:  # the slow one is let in when the other has found out already
            assert self.probed.wait(DEADLINE_SECONDS)
        if at > 2:
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
