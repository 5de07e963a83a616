"""A life begins as a process does: it shows nothing of the lives before it, of its own seed or of another."""

from random import Random

from notifier.worker import RELAY_UP
from prove.simulation.checks import Checker
from prove.simulation.life import BUDGETS
from prove.simulation.mirror import Mirror
from prove.simulation.operation import Operation, shown
from prove.simulation.relay import ScriptedRelay
from triaged.gauges import INBOX, OUTBOX


def test_what_an_earlier_life_showed_is_gone():
    relay = ScriptedRelay(Random(1))
    checker = Checker(Mirror(), relay, budgets=BUDGETS, wall=lambda: 0, close_after_days=3, name_of=lambda _body: "")
    RELAY_UP.set(1)
    INBOX.labels("quarantined").set(2)
    OUTBOX.labels("dead").set(3)
    Operation(checker, relay).begin()
    assert not shown("triaged_outbox_relay_up")
    assert not shown("triaged_inbox_pending", stage="quarantined")
    assert not shown("triaged_outbox_pending", state="dead")
