"""A real Dovecot: push to ticket, cuts at every step, UIDVALIDITY, quota, two pollers, TLS (faults F06, F14, F55 to F60)."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from intake.imap import mailbox as worker
from intake.imap.settings import Mailbox
from prove.chaos import ChaosProxy, Fault, cuts
from store import leases
from tests.intake.imap.conftest import desk
from tests.intake.imap.doors import FetchingDesk, mail
from tests.intake.imap.tables import mailbox_table
from tests.interop.conftest import Site
from tests.interop.dovecot import CERTIFICATE, Dovecot, dovecot

__all__ = ["desk", "dovecot"]
SEED, RANDOM_CUTS = 20261125, 50
STEPS = [b"* OK", b"CAPABILITY", b"Logged in", b"UIDVALIDITY", b"* SEARCH", b"RFC822.SIZE", b"BODY[]<0>", b"broken", b"+ idling", b"EXISTS"]


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    """A user for each test alone."""
    return f"u{abs(hash(request.node.nodeid)) % 10**9}"


@pytest.fixture
def mailbox(tmp_path: Path, dovecot: Dovecot, user: str) -> Callable[..., Mailbox]:
    password = tmp_path / "password"
    password.write_text(dovecot.password)

    def make(**settings: Any) -> Mailbox:
        given: dict[str, Any] = {
            "name": "desk", "host": "127.0.0.1", "port": dovecot.port, "tls": "none", "login": user, "address": "help@corp.example",
            "password_file": str(password), "poll_seconds": 30.0,
        }  # fmt: skip
        return Mailbox(**(given | settings))

    return make


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(worker, "LONGEST_WAIT_SECONDS", 0.1)


def test_a_mail_that_is_pushed_becomes_a_ticket(dovecot: Dovecot, site: Site, user: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The figure is printed; on an idle machine it is far below 2 s. The poll alone would take 600 s."""
    (site.daemon.folder / "password").write_text(dovecot.password)
    with site.daemon.configuration.open("a") as file:
        file.write(mailbox_table(dovecot.port, login=user, address="help@localhost"))
    assert site.daemon.stop() == 0
    site.daemon.start()
    assert site.daemon.wait_ready(), site.daemon.last_words()
    site.until(lambda: 'triaged_mailbox_idle_up{mailbox="help"} 1.0' in site.metrics())
    began = time.monotonic()
    dovecot.append(user, mail("pushed", subject="Pushed"))
    (ticket,) = site.until(lambda: site.objects("ticket", "list"))
    with capsys.disabled():
        sys.stdout.write(f"push to ticket, as the command line sees it: {time.monotonic() - began:.2f} s\n")
    assert ticket["subject"] == "Pushed"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("step", STEPS, ids=[step.decode() for step in STEPS])
def test_a_connection_cut_at_any_step_loses_and_doubles_nothing(
    dovecot: Dovecot, desk: FetchingDesk, mailbox: Callable[..., Mailbox], user: str, step: bytes
) -> None:
    proxy = ChaosProxy(dovecot.port, lambda _: None)
    try:
        desk.poll(mailbox(port=proxy.port, poll_seconds=0.3))
        desk.until(desk.cursor)
        first = proxy.connections
        proxy.plan = lambda number: Fault(cut_at=step) if number <= first + 1 else None
        with dovecot.login(user) as other:  # cut the one that is there, so that the next ones meet the fault
            other.noop()
        dovecot.append(user, mail("one"), mail("two"))
        for running, _ in desk.running:
            desk.until(lambda poller=running: poller._session is not None)
            running._session.abort()
        desk.until(lambda: proxy.connections > first + 1 and len(desk.stored()) >= 2)
        desk.triage()
        assert sorted(str(each) for each in desk.message_ids()) == ["one@corp.example", "two@corp.example"]
        assert len(desk.tickets()) == 2
    finally:
        proxy.close()


@pytest.mark.usefixtures("impatient")
def test_a_connection_cut_at_fifty_random_octets_loses_and_doubles_nothing(
    dovecot: Dovecot, desk: FetchingDesk, mailbox: Callable[..., Mailbox], user: str
) -> None:
    faults = cuts(SEED, RANDOM_CUTS, 6_000)
    proxy = ChaosProxy(dovecot.port, lambda _: None)
    try:
        desk.poll(mailbox(port=proxy.port, poll_seconds=0.2))
        desk.until(desk.cursor)
        first = proxy.connections
        proxy.plan = lambda number: faults[number - first] if number - first < len(faults) else None
        desk.running[0][0]._session.abort()
        names = [f"m{number}" for number in range(60)]
        for at in range(0, 60, 6):
            dovecot.append(user, *(mail(name, text="It is broken. " * 20) for name in names[at : at + 6]))
            desk.until(lambda wanted=at + 6: len(desk.stored()) >= wanted)
        desk.until(lambda: proxy.connections >= first + 20)
        assert sorted(str(each) for each in desk.message_ids()) == sorted(f"{name}@corp.example" for name in names)
    finally:
        proxy.close()


def test_a_changed_uidvalidity_makes_no_ticket_twice(
    dovecot: Dovecot, desk: FetchingDesk, mailbox: Callable[..., Mailbox], user: str
) -> None:
    desk.poll(mailbox())
    desk.until(desk.cursor)
    dovecot.append(user, mail("one"), mail("two"))
    desk.until(lambda: len(desk.stored()) == 2)
    before = desk.cursor()
    desk.stop()
    dovecot.change_uid_validity(user)
    desk.poll(mailbox())
    desk.until(lambda: desk.cursor().uid_validity != before.uid_validity)
    dovecot.append(user, mail("three"))
    desk.until(lambda: len(desk.stored()) == 5)  # stored again: raw first; sameness is decided under the lock
    desk.triage()
    assert len(desk.tickets()) == 3


def test_a_full_folder_for_what_is_done_stops_nothing_and_makes_no_copies(
    dovecot: Dovecot, desk: FetchingDesk, mailbox: Callable[..., Mailbox], user: str
) -> None:
    before = REGISTRY.get_sample_value("triaged_mailbox_after_errors_total", {"mailbox": "desk"}) or 0
    dovecot.create(user, "Archive/Full")
    desk.poll(mailbox(after="move", move_to="Archive/Full", poll_seconds=0.2))
    desk.until(desk.cursor)
    dovecot.append(user, mail("one"))
    desk.until(lambda: len(desk.stored()) == 1)
    dovecot.append(user, mail("two"))
    desk.until(lambda: len(desk.stored()) == 2)
    assert (dovecot.count(user), dovecot.count(user, "Archive/Full")) == (2, 0)
    assert (REGISTRY.get_sample_value("triaged_mailbox_after_errors_total", {"mailbox": "desk"}) or 0) >= before + 2


def test_a_missing_folder_for_what_is_done_stops_nothing(
    dovecot: Dovecot, desk: FetchingDesk, mailbox: Callable[..., Mailbox], user: str
) -> None:
    desk.poll(mailbox(after="move", move_to="Nowhere", poll_seconds=0.2))
    desk.until(desk.cursor)
    dovecot.append(user, mail("one"))
    desk.until(lambda: len(desk.stored()) == 1)
    assert dovecot.count(user) == 1


def test_what_is_stored_is_moved_or_flagged(dovecot: Dovecot, desk: FetchingDesk, mailbox: Callable[..., Mailbox], user: str) -> None:
    dovecot.create(user, "Done")
    desk.poll(mailbox(after="move", move_to="Done"))
    desk.until(desk.cursor)
    dovecot.append(user, mail("one"))
    desk.until(lambda: dovecot.count(user, "Done") == 1)
    desk.stop()
    desk.poll(mailbox(after="flag", flag="$Triaged"))
    dovecot.append(user, mail("two"))

    def flagged() -> bool:
        with dovecot.login(user) as client:
            client.select("INBOX", readonly=True)
            return client.uid("SEARCH", "KEYWORD $Triaged UNSEEN")[1] not in ([b""], [None])

    desk.until(flagged)
    assert len(desk.stored()) == 2


def test_seen_mail_is_taken_like_any_other(dovecot: Dovecot, desk: FetchingDesk, mailbox: Callable[..., Mailbox], user: str) -> None:
    desk.poll(mailbox())
    desk.until(desk.cursor)
    with dovecot.login(user) as client:
        assert client.append("INBOX", "(\\Seen)", None, mail("read elsewhere"))[0] == "OK"  # type: ignore[arg-type]  # the server's date
    desk.until(desk.stored)


@pytest.mark.parametrize("leased", [True, False], ids=["with the lease", "by the keys alone"])
def test_two_pollers_on_one_mailbox_make_one_ticket_a_mail(
    dovecot: Dovecot,
    desk: FetchingDesk,
    mailbox: Callable[..., Mailbox],
    user: str,
    monkeypatch: pytest.MonkeyPatch,
    leased: bool,
) -> None:
    """The lease lets one of them work; should it fail, the key of the mail still lets one of them store."""
    if not leased:
        monkeypatch.setattr(leases, "take", lambda *_args, **_named: 0)
    for holder in (1, 2):
        desk.poll(mailbox(poll_seconds=0.2), holder=holder)
    desk.until(desk.cursor)
    names = [f"m{number}" for number in range(20)]
    dovecot.append(user, *(mail(name) for name in names))
    desk.until(lambda: len(desk.stored()) >= 20)
    working = [worker._session is not None for worker, _ in desk.running]
    if leased:
        assert sum(working) == 1
    desk.stop()
    desk.triage()
    assert sorted(str(each) for each in desk.message_ids()) == sorted(f"{name}@corp.example" for name in names)
    assert len(desk.tickets()) == 20


def test_the_second_poller_takes_over_when_the_first_has_ended(
    dovecot: Dovecot, desk: FetchingDesk, mailbox: Callable[..., Mailbox], user: str
) -> None:
    first = desk.poll(mailbox(poll_seconds=0.2), holder=1)
    desk.until(desk.cursor)
    desk.poll(mailbox(poll_seconds=0.2), holder=2)
    first.stop()
    desk.running.pop(0)[1].result(30)
    dovecot.append(user, mail("one"))
    desk.until(desk.stored)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_tls_is_verified_and_never_falls_back(
    dovecot: Dovecot, desk: FetchingDesk, mailbox: Callable[..., Mailbox], user: str, tls: str
) -> None:
    port = dovecot.tls_port if tls == "implicit" else dovecot.port
    unknown = desk.poll(mailbox(tls=tls, port=port, host="localhost"))  # its certificate is signed by nobody we know
    desk.until(lambda: unknown._failures)
    assert desk.cursor() is None
    desk.stop()
    desk.poll(mailbox(tls=tls, port=port, host="localhost", ca_file=str(CERTIFICATE)))
    desk.until(desk.cursor)
    dovecot.append(user, mail("one"))
    desk.until(desk.stored)


def test_import_since_takes_old_mail_and_history_threads(
    dovecot: Dovecot, desk: FetchingDesk, mailbox: Callable[..., Mailbox], user: str
) -> None:
    dovecot.append(user, mail("older"), date='"01-Mar-2026 10:00:00 +0000"')
    dovecot.append(user, mail("newer"))
    desk.poll(mailbox(import_since="2026-11-01"))
    desk.until(desk.stored)
    desk.triage()
    assert desk.message_ids() == ["newer@corp.example"]
