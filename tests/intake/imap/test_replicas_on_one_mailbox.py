"""Two replicas on one PostgreSQL and one mailbox: one fetches, the other stands by and takes over (faults F14, F34)."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from intake.imap import mailbox as worker
from intake.imap.settings import Mailbox
from store import leases
from store.settings import StoreSettings
from store.transaction import Tx
from tests.conftest import Place
from tests.intake.imap.doors import FetchingDesk, mail
from tests.intake.imap.fake import FakeImap

pytestmark = pytest.mark.postgres_only("replicas share a PostgreSQL")
NAMES = [f"m{number}" for number in range(20)]
MakeMailbox = Callable[..., Mailbox]


@pytest.fixture
def replicas(make_place: Place, tmp_path: Path) -> Iterator[tuple[FetchingDesk, FetchingDesk]]:
    """Two of them, each with a store, an acceptor and pollers of its own, on one database."""
    place = make_place()
    other = StoreSettings(path=str(tmp_path / "other"), postgres=place.postgres)
    made = [FetchingDesk(tmp_path, each) for each in (place, other)]
    try:
        yield made[0], made[1]
    finally:
        for each in made:
            each.close()


@pytest.mark.parametrize("leased", [True, False], ids=["with the lease", "by the keys alone"])
def test_what_two_replicas_fetch_is_stored_once(
    replicas: tuple[FetchingDesk, FetchingDesk], server: FakeImap, mailbox: MakeMailbox, monkeypatch: pytest.MonkeyPatch, leased: bool
) -> None:
    """The lease lets one of them log in; should it fail, the key of the mail still lets one of them store."""
    if not leased:
        monkeypatch.setattr(leases, "take", lambda *_args, **_named: 0)
    one, two = replicas
    pollers = [each.poll(mailbox(poll_seconds=0.1)) for each in replicas]
    one.until(one.cursor)
    if leased:
        one.until(lambda: sum(each._stands_by for each in pollers) == 1)
    else:
        one.until(lambda: server.logins == 2)
    for name in NAMES:
        server.put(mail(name))
    one.until(lambda: len(one.stored()) >= len(NAMES))
    assert (server.logins == 1) is leased
    two.stop()
    one.stop()
    one.triage()
    assert sorted(str(each) for each in one.message_ids()) == sorted(f"{name}@corp.example" for name in NAMES)
    assert len(one.tickets()) == len(NAMES)


def test_who_stands_by_is_not_silent_shows_no_gauges_and_takes_over_when_the_other_ends(
    replicas: tuple[FetchingDesk, FetchingDesk], server: FakeImap, mailbox: MakeMailbox
) -> None:
    one, two = replicas
    one.poll(mailbox(poll_seconds=0.1))
    one.until(one.cursor)
    second = two.poll(mailbox(poll_seconds=0.1))
    two.until(lambda: second._stands_by)
    second.last_success -= 10_000
    assert second.silent_seconds == 0
    one.stop()
    server.put(mail("one"))
    two.until(two.stored)
    assert second.silent_seconds < 10_000
    assert REGISTRY.get_sample_value("triaged_mailbox_last_success_timestamp_seconds", {"mailbox": "desk"}) is not None


def test_who_took_over_and_cannot_reach_the_server_is_silent_from_then_on(
    replicas: tuple[FetchingDesk, FetchingDesk], server: FakeImap, mailbox: MakeMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the alarm of a deaf mailbox would have no gauge to look at."""
    monkeypatch.setattr(worker, "FIRST_WAIT_SECONDS", 0.05)
    one, two = replicas
    one.poll(mailbox(poll_seconds=0.1))
    one.until(one.cursor)
    second = two.poll(mailbox(poll_seconds=0.1, port=1))
    two.until(lambda: second._stands_by)
    one.stop()
    two.until(lambda: second._failures >= 2)
    assert not second._stands_by
    assert REGISTRY.get_sample_value("triaged_mailbox_last_success_timestamp_seconds", {"mailbox": "desk"}) is not None


def test_the_mailbox_of_a_replica_that_died_is_taken_over_when_its_lease_ends(
    replicas: tuple[FetchingDesk, FetchingDesk], server: FakeImap, mailbox: MakeMailbox
) -> None:
    one, _ = replicas

    def dead(tx: Tx) -> object:
        return leases.take(tx, "mailbox/desk", holder=1, duration=timedelta(seconds=2))

    assert one.store.write(dead).result() is not None
    server.put(mail("old"))
    poller = one.poll(mailbox(poll_seconds=0.1))
    one.until(lambda: poller._stands_by)
    one.until(one.cursor)
    assert one.store.write(dead).result() is None
