"""Tokens: kept before use, fresh early, rotated with care, and loud when they cannot be had (mail case 24, fault F61)."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from itsm.errors import Permanent, Transient
from store import leases, oauth_tokens
from store.store import Store
from tests.triaged.oauth.conftest import Later
from tests.triaged.oauth.issuer import LocalIssuer
from triaged.oauth import issuer as issuer_of
from triaged.oauth import source as source_of
from triaged.oauth.issuer import Issuer, wait_for_person
from triaged.oauth.settings import OauthSettings, refusals_of
from triaged.oauth.source import TokenSource

MakeSource = Callable[..., TokenSource]
MakeSettings = Callable[..., OauthSettings]


def kept(store: Store) -> oauth_tokens.Token | None:
    return store.read(lambda tx: oauth_tokens.find(tx, "m365"))


def failures() -> float:
    return REGISTRY.get_sample_value("triaged_oauth_refresh_errors_total", {"name": "m365"}) or 0.0


def test_client_credentials_give_a_token_that_is_asked_for_once(source: MakeSource, issuer: LocalIssuer, store: Store) -> None:
    made = source()
    assert (made.token(), made.token()) == ("access-1", "access-1")
    assert [each["grant_type"] for each in issuer.asked] == ["client_credentials"]
    assert issuer.asked[0]["scope"] == "mail"
    assert kept(store).access_token == "access-1"
    assert source().token() == "access-1"  # another process, or the next start


def test_a_token_is_refreshed_before_it_ends(source: MakeSource, later: Later) -> None:
    made = source()
    assert made.token() == "access-1"
    later.ahead = timedelta(minutes=49)
    assert made.token() == "access-1"
    later.ahead = timedelta(minutes=51)
    assert made.token() == "access-2"
    assert REGISTRY.get_sample_value("triaged_oauth_token_expiry_timestamp_seconds", {"name": "m365"}) == pytest.approx(
        (later() + timedelta(hours=1)).timestamp(), abs=60
    )


def test_a_rotated_refresh_token_is_kept_and_used_next(source: MakeSource, later: Later, issuer: LocalIssuer, store: Store) -> None:
    made = source("refresh_token")
    made.token()
    assert kept(store).refresh_token == "refresh-1"
    later.ahead = timedelta(hours=1)
    assert source("refresh_token").token() == "access-2"
    assert [each["refresh_token"] for each in issuer.asked] == ["refresh-0", "refresh-1"]


def test_a_new_refresh_token_in_the_file_is_read_when_the_old_one_is_refused(
    source: MakeSource, later: Later, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(source_of, "AGAIN_SECONDS", 0.0)
    made = source("refresh_token")
    made.token()
    later.ahead, issuer.refresh_token = timedelta(hours=1), "refresh-by-hand"  # the issuer has ended the login
    for _ in range(3):
        with pytest.raises(Transient, match="invalid_grant"):
            made.token()
    assert [each["refresh_token"] for each in issuer.asked].count("refresh-0") == 2, "at first, and once in vain"
    (tmp_path / "refresh").write_text("refresh-by-hand\n")
    assert made.token() == "access-2"


@pytest.mark.parametrize("persisted_first", [True, False], ids=["persisted before use", "used before it is persisted"])
def test_a_store_that_fails_loses_no_rotated_token(
    source: MakeSource, later: Later, store: Store, monkeypatch: pytest.MonkeyPatch, persisted_first: bool
) -> None:
    """The issuer has rotated already; what it gave must not be used, or forgotten, before the store has it."""
    made = source("refresh_token")
    keep = oauth_tokens.keep

    def fails(*_: object) -> None:
        raise Transient("the disk is full")

    monkeypatch.setattr(oauth_tokens, "keep", fails if persisted_first else lambda *_: None)
    if not persisted_first:
        assert made.token() == "access-1"  # used; and now we die
        monkeypatch.setattr(oauth_tokens, "keep", keep)
        with pytest.raises(Transient, match="invalid_grant"):
            source("refresh_token").token()
        return
    with pytest.raises(Transient, match="disk"):
        made.token()
    monkeypatch.setattr(oauth_tokens, "keep", keep)
    monkeypatch.setattr(source_of, "AGAIN_SECONDS", 0.0)
    assert made.token() == "access-1"
    assert kept(store).refresh_token == "refresh-1"


def test_the_first_failure_is_counted_and_the_old_token_serves_while_it_lasts(
    source: MakeSource, later: Later, issuer: LocalIssuer
) -> None:
    made, before = source(), failures()
    made.token()
    issuer.error = (500, {"error": "server_error"})
    later.ahead = timedelta(minutes=55)
    made.refresh_early()
    assert failures() == before + 1
    assert made.token() == "access-1"
    assert failures() == before + 1  # the issuer is left alone for a while
    later.ahead = timedelta(minutes=61)
    with pytest.raises(Transient, match="500"):
        made.token()


def test_a_token_that_a_server_refused_is_replaced_and_not_more_than_once_a_minute(source: MakeSource, later: Later) -> None:
    made = source()
    made.refused(made.token())
    assert made.token() == "access-1"  # it is new: another would fare the same
    later.ahead = timedelta(seconds=61)
    assert made.token() == "access-2"


def test_another_process_that_refreshes_is_waited_for(source: MakeSource, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_of, "WAIT_SECONDS", 0.01)
    store.write(lambda tx: leases.take(tx, "oauth/m365", holder=99, duration=timedelta(minutes=1))).result()
    with pytest.raises(Transient, match="another process"):
        source().token()


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"<html>", "m365"), (b"{}", "the answer has none"), (b"[1]", "m365"), (b'{"access_token": "' + b"x" * 70_000 + b'"}', "too large")],
)
def test_an_issuer_that_talks_nonsense_is_a_transient_failure(source: MakeSource, issuer: LocalIssuer, raw: bytes, said: str) -> None:
    issuer.raw = raw
    with pytest.raises(Transient, match=said):
        source().token()


def test_an_issuer_that_is_away_is_a_transient_failure_without_a_secret_in_it(source: MakeSource, issuer: LocalIssuer) -> None:
    issuer.close()
    with pytest.raises(Transient) as failed:
        source().token()
    assert "client secret" not in str(failed.value)


def test_a_login_on_another_device_is_waited_for(settings: MakeSettings, issuer: LocalIssuer, later: Later) -> None:
    issuer.pending, issuer.slow_down = 2, True
    talk = Issuer(settings("device_code"), later)
    asked = talk.begin_device_login()
    assert (asked.user_code, asked.interval) == ("ABCD-EFGH", 1)
    slept: list[float] = []
    token = wait_for_person(talk, asked, sleep=slept.append, elapsed_seconds=lambda: sum(slept))
    assert slept == [1, 6, 11]
    assert (token.access_token, token.refresh_token) == ("access-1", "refresh-1")


def test_a_device_code_nobody_agreed_to_expires(settings: MakeSettings, issuer: LocalIssuer, later: Later) -> None:
    issuer.pending = 10**6
    talk = Issuer(settings("device_code"), later)
    slept: list[float] = []
    with pytest.raises(Permanent, match="expired"):
        wait_for_person(talk, talk.begin_device_login(), sleep=slept.append, elapsed_seconds=lambda: sum(slept))
    assert sum(slept) == 60


def test_without_a_login_the_way_to_it_is_told(source: MakeSource) -> None:
    with pytest.raises(Transient, match="triaged oauth login m365"):
        source("device_code").token()


def test_the_command_logs_in_and_lists(
    tmp_path: Path, issuer: LocalIssuer, say: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    issuer.pending = 1
    file = tmp_path / "triaged.toml"
    file.write_text(
        f'[store]\npath = "{tmp_path}/var"\n[[oauth]]\nname = "m365"\nclient_id = "us"\ngrant = "device_code"\nscope = "mail"\n'
        f'token_url = "{issuer.url}/token"\ndevice_url = "{issuer.url}/device"\n'
    )
    said = say("--config", str(file), "oauth", "login", "m365")
    assert (said.code, "ABCD-EFGH" in said.err, "logged in" in said.out) == (0, True, True)
    (row,) = say("--config", str(file), "oauth", "list", "--json").json()
    assert row["name"] == "m365"
    assert row["expires_at"] is not None
    assert "access-1" not in str(row)
    assert "m365" in say("--config", str(file), "oauth", "list").out
    assert say("--config", str(file), "oauth", "login", "nobody").code == 1


def test_the_providers_have_their_addresses() -> None:
    microsoft = OauthSettings(name="a", provider="microsoft", tenant="corp.example", client_id="us", client_secret_file="s")
    assert microsoft.token_endpoint == "https://login.microsoftonline.com/corp.example/oauth2/v2.0/token"
    assert microsoft.scopes == "https://outlook.office365.com/.default"
    assert list(refusals_of(microsoft)) == []


@pytest.mark.parametrize(
    ("more", "keys"),
    [
        ({"token_url": "https://issuer.example/token"}, ["client_secret_file"]),
        ({"token_url": "http://issuer.example/token", "client_secret_file": "s"}, ["token_url"]),
        ({"token_url": "http://localhost/token", "client_secret_file": "s"}, []),
        ({"grant": "refresh_token"}, ["refresh_token_file", "token_url"]),
        ({"grant": "device_code", "token_url": "https://issuer.example/token"}, ["device_url"]),
    ],
)
def test_what_a_client_lacks_is_refused(more: dict[str, str], keys: list[str]) -> None:
    assert [each.key for each in refusals_of(OauthSettings(name="a", client_id="us", **more))] == keys  # type: ignore[arg-type]  # as written


def test_an_answer_that_drips_is_given_up(source: MakeSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_of, "ANSWER_SECONDS", -1.0)
    with pytest.raises(Transient, match="too slow"):
        source().token()
