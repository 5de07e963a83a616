"""F27: whatever the wall clock says, a mail that this process is sending is in good hands."""

from datetime import timedelta

import pytest

from store import outbox
from tests.notifier.conftest import SILENCE
from tests.notifier.running import run_until


@pytest.mark.parametrize("defended", [True, False])
def test_a_mail_that_is_being_sent_is_not_sent_again_when_the_clock_jumps_past_its_lease(
    enqueue, relay, to_relay, clock, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    enqueue()
    enqueue(ticket_id=8)
    server = relay({"dot": [SILENCE, "250 2.0.0 first", "250 2.0.0 second", "250 2.0.0 third"]})
    if not defended:
        release = outbox.release_expired
        monkeypatch.setattr(outbox, "release_expired", lambda tx, **_: release(tx))
    worker = to_relay(server, connections=3, relay_fields={"data_timeout_seconds": 60.0})

    def condition() -> bool:
        if len(server.taken) == 2 and not jumped:
            jumped.append(clock.now)
            clock.now += timedelta(hours=2)
            enqueue(ticket_id=9)
            worker.wake()
        return len(server.taken) >= (3 if defended else 4)

    jumped: list[object] = []
    run_until(worker, condition)
    assert len(server.taken) == 3 if defended else len(server.taken) > 3  # then even one that was taken and not yet recorded may go again
    assert len({each.content for each in server.taken}) == 3
