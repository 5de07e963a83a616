"""F12: a process that stood still past its lease has no word any more about what it had taken."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from itsm.notification import DeliveryState, Event, Notification
from store import outbox
from store.settings import StoreSettings
from store.store import Store
from tests.store.conftest import SetClock
from tests.triaged.conftest import ROOT

LEASE = timedelta(minutes=20)
HOLDER = """
import sys
from datetime import datetime, timedelta
from store import outbox
from store.settings import StoreSettings
from store.store import Store

if sys.argv[3] == "unfenced":
    outbox._fenced = lambda tx, row, fence: outbox.update(outbox.outbox).where(outbox.outbox.c.id == row)
now = datetime.fromisoformat(sys.argv[2])
store = Store(StoreSettings(path=sys.argv[1]), clock=lambda: now)
(claimed,) = store.write(lambda tx: outbox.claim(tx, process_id=1, limit=1)).result(30)
row = claimed.notification.id
store.write(lambda tx: outbox.mark_sending(tx, [(row, claimed.fence)], lease=timedelta(minutes=20))).result(30)
print("sending", flush=True)
sys.stdin.readline()  # here it is stopped, and here it goes on
print(store.write(lambda tx: outbox.record_dead(tx, row, claimed.fence, "late word")).result(30), flush=True)
store.close()
"""


@pytest.mark.parametrize("defended", [True, False])
def test_a_process_that_stood_still_past_its_lease_cannot_overrule_the_one_that_took_over(tmp_path: Path, defended: bool) -> None:
    clock = SetClock()
    store = Store(StoreSettings(path=str(tmp_path / "var")), clock=clock)
    note = Notification(
        id=store.new_id(), ticket_id=7, ticket_number=1007, event=Event.RESOLVED, recipient="ana@example.com", message_id="m@desk.example",
        facts={}, created_at=clock.now, due_at=clock.now, state=DeliveryState.QUEUED,
    )  # fmt: skip
    store.write(lambda tx: outbox.enqueue(tx, [note])).result(10)
    command = [sys.executable, "-c", HOLDER, str(store.directory), clock.now.isoformat(), "fenced" if defended else "unfenced"]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder, holder.stdin, holder.stdout:
        assert holder.stdout.readline() == "sending\n"
        os.kill(holder.pid, signal.SIGSTOP)
        clock.now += LEASE + timedelta(seconds=1)
        assert store.write(outbox.release_expired).result(10) == 1
        (taken,) = store.write(lambda tx: outbox.claim(tx, process_id=2, limit=1)).result(10)
        store.write(lambda tx: outbox.mark_sending(tx, [(note.id, taken.fence)], lease=LEASE)).result(10)
        assert store.write(lambda tx: outbox.record_sent(tx, note.id, taken.fence, "250 taken")).result(10)
        os.kill(holder.pid, signal.SIGCONT)
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == f"{not defended}\n"
    row = store.read(lambda tx: outbox.find(tx, note.id))
    assert row is not None
    assert (row.notification.state is DeliveryState.SENT) is defended
    store.close()
