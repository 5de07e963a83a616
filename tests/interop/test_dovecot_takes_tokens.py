"""A Dovecot that takes tokens only, asked of a local issuer: XOAUTH2 and OAUTHBEARER, an end in the middle of a session (F61)."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from intake.imap import mailbox as worker
from intake.imap.settings import Mailbox
from prove.ports import free_ports
from tests.intake.imap.conftest import desk
from tests.intake.imap.doors import FetchingDesk, mail
from tests.interop.dovecot import Dovecot
from tests.triaged.oauth.issuer import LocalIssuer
from triaged.oauth import source as source_of
from triaged.oauth.settings import OauthSettings
from triaged.oauth.source import TokenSource

__all__ = ["desk"]
USER = "help@corp.example"
PASSDB = """
passdb {{
  driver = static
  mechanisms = plain login
  args = password={password}
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {introspection}
}}
"""
INTROSPECTION = """
introspection_mode = get
introspection_url = {url}/introspect?token=
username_attribute = user
active_attribute = active
active_value = true
"""


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    made = LocalIssuer()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def dovecot(issuer: LocalIssuer, tmp_path: Path) -> Iterator[Dovecot]:
    introspection = tmp_path / "introspection"
    introspection.write_text(INTROSPECTION.format(url=issuer.url))
    passdb = PASSDB.format(password="opensesame", introspection=introspection)
    made = Dovecot(free_ports(2), mechanisms="xoauth2 oauthbearer", passdb=passdb)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def source(desk: FetchingDesk, issuer: LocalIssuer, tmp_path: Path) -> TokenSource:
    (tmp_path / "refresh").write_text("refresh-0")
    settings = OauthSettings(
        name="local",
        client_id="us",
        grant="refresh_token",
        refresh_token_file=str(tmp_path / "refresh"),
        token_url=f"{issuer.url}/token",
        scope="mail",
    )
    return TokenSource(settings, desk.store)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_WAIT_SECONDS", "LONGEST_WAIT_SECONDS", "LOGIN_WAIT_SECONDS", "LONGEST_LOGIN_WAIT_SECONDS"):
        monkeypatch.setattr(worker, name, 0.1)
    monkeypatch.setattr(source_of, "REFUSED_AGAIN", timedelta())


@pytest.fixture
def mailbox(dovecot: Dovecot) -> Callable[..., Mailbox]:
    def make(**settings: Any) -> Mailbox:
        given: dict[str, Any] = {
            "name": "desk", "host": "127.0.0.1", "port": dovecot.port, "tls": "none", "login": USER, "oauth": "local", "poll_seconds": 30.0,
        }  # fmt: skip
        return Mailbox(**(given | settings))

    return make


@pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer"])
def test_a_token_lets_us_in(
    dovecot: Dovecot, desk: FetchingDesk, source: TokenSource, mailbox: Callable[..., Mailbox], mechanism: str
) -> None:
    desk.poll(mailbox(oauth_mechanism=mechanism), bearer=source)
    desk.until(desk.cursor, why=dovecot.log)
    dovecot.append(USER, mail("one"))
    desk.until(desk.stored)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("defended", [True, False], ids=["refused tokens are replaced", "and without that we stay out"])
def test_a_token_that_ends_in_the_middle_of_a_session_is_replaced(
    dovecot: Dovecot,
    desk: FetchingDesk,
    source: TokenSource,
    mailbox: Callable[..., Mailbox],
    issuer: LocalIssuer,
    monkeypatch: pytest.MonkeyPatch,
    defended: bool,
) -> None:
    """The issuer revokes it and the server cuts us; our clock says that it lasts an hour yet."""
    if not defended:
        monkeypatch.setattr(TokenSource, "refused", lambda *_: None)
    poller = desk.poll(mailbox(), bearer=source)
    desk.until(desk.cursor, why=dovecot.log)
    dovecot.append(USER, mail("before"))
    desk.until(desk.stored)
    issuer.active.clear()
    dovecot.append(USER, mail("after"))
    desk.until(lambda: len(desk.stored()) == 2)  # a session that is open goes on
    assert poller._session is not None
    poller._session.abort()
    dovecot.append(USER, mail("later"))
    if defended:
        desk.until(lambda: len(desk.stored()) == 3)
        assert issuer.given == 2
    else:
        desk.until(lambda: poller._failures >= 5)
        assert len(desk.stored()) == 2
