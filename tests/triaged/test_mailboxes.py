"""Mailboxes and tokens at a reload: pollers are started, replaced and ended, and those that nothing changed for go on."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client import REGISTRY

from intake.imap.settings import Mailbox
from itsm.errors import Transient
from tests.intake.imap.conftest import mailbox, server
from tests.intake.imap.doors import FetchingDesk, mail
from tests.intake.imap.fake import FakeImap, hang
from tests.intake.imap.tables import mailbox_table
from tests.triaged.conftest import Site
from tests.triaged.oauth.issuer import LocalIssuer
from triaged import mailboxes as module
from triaged.mailboxes import Mailboxes
from triaged.oauth.settings import OauthSettings
from triaged.oauth.tokens import Tokens

__all__ = ["mailbox", "server"]
MakeMailbox = Callable[..., Mailbox]


class Fetching:
    """A desk whose pollers are kept by `Mailboxes`, on the desk's loop."""

    def __init__(self, desk: FetchingDesk) -> None:
        self.desk, self.tokens = desk, Tokens(desk.store)
        self.kept = Mailboxes(desk.store, desk.acceptor, self.tokens)
        stop = SimpleNamespace(stop=lambda: desk.loop.call_soon_threadsafe(self.kept.stop))
        desk.running.append((stop, desk.submit(self.kept.run())))  # type: ignore[arg-type]  # it is stopped like a poller

    def want(self, *wanted: Mailbox, **more: Any) -> None:
        self.desk.submit(self._want(wanted, more)).result(10)

    async def _want(self, wanted: tuple[Mailbox, ...], more: dict[str, Any]) -> None:
        self.kept.want(wanted, **more)


@pytest.fixture
def fetching(tmp_path: Path) -> Iterator[Fetching]:
    desk = FetchingDesk(tmp_path / "var")
    try:
        yield Fetching(desk)
    finally:
        desk.close()


@pytest.fixture
def other() -> Iterator[FakeImap]:
    made = FakeImap()
    try:
        yield made
    finally:
        made.close()


def shown(name: str = "desk") -> bool:
    return REGISTRY.get_sample_value("triaged_mailbox_last_success_timestamp_seconds", {"mailbox": name}) is not None


def test_a_mailbox_is_fetched_from_when_it_is_wanted_until_it_is_not(fetching: Fetching, server: FakeImap, mailbox: MakeMailbox) -> None:
    until = fetching.desk.until
    fetching.want(mailbox())
    until(lambda: server.idling)
    assert shown()
    assert list(fetching.kept.silent_seconds()) == ["desk"]
    server.put(mail("new"))
    server.tell(b"* 1 EXISTS\r\n")
    until(fetching.desk.stored)
    fetching.want()
    until(lambda: not fetching.kept.silent_seconds())
    assert b"LOGOUT" in server.commands
    assert not shown()  # or an alarm would say for ever that nobody looks at it


def test_a_poller_that_nothing_changed_for_keeps_its_connection(
    fetching: Fetching, server: FakeImap, other: FakeImap, mailbox: MakeMailbox
) -> None:
    until = fetching.desk.until
    first, second = mailbox(), mailbox(name="second", port=other.port)
    fetching.want(first, second)
    until(lambda: server.idling and other.idling)
    fetching.want(first, replace(second, login="others@corp.example"))
    until(lambda: other.logins == 2 and other.idling)
    assert server.logins == 1


def test_a_poller_whose_settings_changed_goes_on_where_the_old_one_ended(
    fetching: Fetching, server: FakeImap, other: FakeImap, mailbox: MakeMailbox
) -> None:
    """The mailbox moved to another server, mails and UIDs with it."""
    until = fetching.desk.until
    fetching.want(mailbox())
    until(lambda: server.idling)
    for each in (server, other):
        each.put(mail("one"))
    server.tell(b"* 1 EXISTS\r\n")
    until(fetching.desk.stored)
    other.put(mail("two"))
    fetching.want(mailbox(port=other.port))
    until(lambda: len(fetching.desk.stored()) == 2)
    assert fetching.desk.message_ids() == ["one@corp.example", "two@corp.example"]
    assert shown()


@pytest.mark.parametrize("defended", [True, False])
def test_a_server_that_holds_a_poller_does_not_hold_up_the_reload(
    fetching: Fetching, server: FakeImap, other: FakeImap, mailbox: MakeMailbox, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.2 if defended else 10**6)
    server.on[b"EXAMINE"] = hang
    fetching.want(mailbox(command_timeout_seconds=600.0))
    fetching.desk.until(lambda: b"EXAMINE" in server.commands)
    fetching.want(mailbox(port=other.port))
    if defended:
        fetching.desk.until(lambda: other.idling)
    else:
        assert server.commands.count(b"EXAMINE") == 1
        assert other.logins == 0
        fetching.desk.until(lambda: _cut(fetching))


def _cut(fetching: Fetching) -> bool:
    """End the test without its server's half a minute."""
    for poller in fetching.kept._running.values():
        poller.worker.cut()
    return True


def test_a_reload_wakes_a_poller_that_waits_because_its_login_was_refused(
    fetching: Fetching, server: FakeImap, mailbox: MakeMailbox
) -> None:
    """Settings that name a file stay the same when the file is mended; by itself it would try again in half a minute or more."""
    server.on[b"LOGIN"] = lambda tag, _: tag + b" NO [AUTHENTICATIONFAILED] no\r\n"
    wanted = mailbox()
    fetching.want(wanted)
    fetching.desk.until(lambda: _failures(fetching))
    del server.on[b"LOGIN"]
    fetching.want(wanted)
    fetching.desk.until(lambda: server.idling)


def _failures(fetching: Fetching) -> int:
    return sum(poller.worker._failures for poller in fetching.kept._running.values())


def test_a_poller_that_dies_of_a_bug_is_told_to_the_supervisor(
    fetching: Fetching, server: FakeImap, mailbox: MakeMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.MailboxWorker, "_connected", lambda self: 1 // 0)
    (_, ended) = fetching.desk.running.pop()
    fetching.want(mailbox())
    with pytest.raises(ZeroDivisionError):
        ended.result(30)


def test_a_poller_that_ends_by_itself_is_told_too(
    fetching: Fetching, server: FakeImap, mailbox: MakeMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.MailboxWorker, "_live", lambda self: None)
    (_, ended) = fetching.desk.running.pop()
    fetching.want(mailbox())
    with pytest.raises(module.WorkerEndedError, match="mailbox desk"):
        ended.result(30)


def settings(name: str, issuer: LocalIssuer, secret: Path, **more: Any) -> OauthSettings:
    return OauthSettings(
        name=name, client_id="us", client_secret_file=str(secret), token_url=f"{issuer.url}/token", scope="mail", **more
    )  # fmt: skip


def test_tokens_are_asked_of_the_source_in_force(fetching: Fetching, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("client secret")
    issuer = LocalIssuer()
    try:
        one, two = settings("one", issuer, tmp_path / "secret"), settings("two", issuer, tmp_path / "secret")
        tokens = fetching.tokens
        assert tokens.replace([one, two]) == {"one", "two"}
        bearer, kept = tokens.bearer("one"), tokens.source("two")
        assert bearer is not None
        assert tokens.bearer("") is None
        bearer.refused(bearer.token())
        assert issuer.asked[-1]["scope"] == "mail"
        assert tokens.replace([replace(one, scope="more"), two]) == {"one"}
        assert tokens.source("two") is kept
        assert bearer.token() == "access-1"  # kept in the store, and good yet
        assert REGISTRY.get_sample_value("triaged_oauth_token_expiry_timestamp_seconds", {"name": "one"}) is not None
        assert tokens.replace([two]) == {"one"}
        assert REGISTRY.get_sample_value("triaged_oauth_token_expiry_timestamp_seconds", {"name": "one"}) is None
        with pytest.raises(Transient, match="named 'one' any more"):
            bearer.token()
    finally:
        issuer.close()


def test_a_poller_whose_token_comes_from_elsewhere_now_logs_in_anew(fetching: Fetching, server: FakeImap, mailbox: MakeMailbox) -> None:
    wanted = mailbox()
    fetching.want(wanted)
    fetching.desk.until(lambda: server.idling)
    fetching.want(wanted, tokens_changed=frozenset({"another"}))
    with_token = replace(wanted, password_file="", oauth="local")
    fetching.want(with_token)
    fetching.desk.until(lambda: _failures(fetching))  # there is no [[oauth]] of that name
    assert server.logins == 1
    (before,) = [each.worker for each in fetching.kept._running.values()]
    fetching.want(with_token, tokens_changed=frozenset({"local"}))
    fetching.desk.until(lambda: [each.worker for each in fetching.kept._running.values()] not in ([before], []))


def test_a_daemon_takes_and_leaves_mailboxes_at_sighup(site: Site, server: FakeImap) -> None:
    (site.directory / "password").write_text("secret\n")
    site.start()
    site.configure(mailbox_table(server.port))
    reload(site, 1)
    site.until(lambda: bool(server.idling))
    server.put(mail("fetched", subject="Fetched"))
    server.tell(b"* 1 EXISTS\r\n")
    site.until(lambda: bool(site.command("ticket", "list", "--json").out))
    site.configure(mailbox_table(server.port) + "[dsk]\n")  # what is wrong changes nothing
    assert site.process is not None
    site.process.send_signal(signal.SIGHUP)
    site.until(lambda: site.metric("triaged_config_reload_success") == 0)
    assert server.idling
    site.configure()
    reload(site, 2)
    site.until(lambda: b'triaged_mailbox_idle_up{mailbox="help"}' not in site.probe("/metrics")[1])
    assert b"LOGOUT" in server.commands
    told = [line for line in site.lines() if line["event"] == "configuration reloaded"]
    assert all("intake" not in line["wait_for_restart"] for line in told)
    assert site.stop() == 0


def reload(site: Site, times: int) -> None:
    """SIGHUP, and wait until so many reloads went well."""
    assert site.process is not None
    site.process.send_signal(signal.SIGHUP)
    site.until(lambda: len([line for line in site.lines() if line["event"] == "configuration reloaded"]) >= times)
