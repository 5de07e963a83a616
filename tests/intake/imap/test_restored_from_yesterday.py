"""A restore of yesterday's backup while the mailbox still holds today's mail (fault F75)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from intake.imap.settings import Mailbox
from itsm.notification import DeliveryState
from store import outbox
from store.backup import backup
from store.restore import restore
from store.settings import StoreSettings
from tests.intake.imap.doors import FetchingDesk, mail
from tests.intake.imap.fake import FakeImap
from triaged import clock


@pytest.mark.parametrize("defended", [True, False], ids=["as after a loss", "as if nothing had happened since"])
def test_todays_mail_makes_one_ticket_each_and_old_notices_do_not_go_again(
    tmp_path: Path, server: FakeImap, mailbox: Callable[..., Mailbox], defended: bool
) -> None:
    """`planned` switches the defence of the outbox off: what waited at the time of the backup would be sent a second time."""
    desk = FetchingDesk(tmp_path / "var")
    try:
        desk.poll(mailbox(poll_seconds=0.1))
        desk.until(desk.cursor)
        server.put(mail("yesterday"))
        desk.until(desk.stored)
        desk.triage()
        backup(desk.store.file, tmp_path / "backup", now=clock.now())
        for name in ("today-1", "today-2"):
            server.put(mail(name))
        desk.until(lambda: len(desk.stored()) == 3)
        desk.triage()
        assert len(desk.tickets()) == 3
    finally:
        desk.close()
    restore(StoreSettings(path=str(tmp_path / "var")), tmp_path / "backup", now=clock.now(), planned=not defended)
    desk = FetchingDesk(tmp_path / "var")
    try:
        assert desk.message_ids() == ["yesterday@corp.example"]
        desk.poll(mailbox(poll_seconds=0.1))
        desk.until(lambda: len(desk.stored()) == 3)
        desk.stop()
        desk.triage()
        assert len(desk.tickets()) == 3
        assert len({ticket.number for ticket in desk.tickets()}) == 3
        rows = desk.store.read(outbox.listed)
        first = min(desk.tickets(), key=lambda ticket: ticket.number)
        old = {row.notification.state for row in rows if row.notification.ticket_number == first.number}
        assert (DeliveryState.QUEUED in old) is not defended
    finally:
        desk.close()
