"""An issuer, a store, and clients of the issuer."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from store.settings import StoreSettings
from store.store import Store
from tests.triaged.oauth.issuer import LocalIssuer
from triaged import clock
from triaged.oauth.settings import OauthSettings
from triaged.oauth.source import TokenSource


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    made = LocalIssuer()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(StoreSettings(path=str(tmp_path / "var")), clock=clock.now)
    try:
        yield made
    finally:
        made.close()


class Later:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return clock.now() + self.ahead


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def settings(tmp_path: Path, issuer: LocalIssuer) -> Callable[..., OauthSettings]:
    (tmp_path / "secret").write_text("client secret\n")
    (tmp_path / "refresh").write_text("refresh-0\n")

    def make(grant: str = "client_credentials", **more: Any) -> OauthSettings:
        given: dict[str, Any] = {"name": "m365", "client_id": "us", "grant": grant, "scope": "mail", "token_url": f"{issuer.url}/token"}
        given |= {"client_secret_file": str(tmp_path / "secret")} if grant == "client_credentials" else {}
        given |= {"refresh_token_file": str(tmp_path / "refresh")} if grant == "refresh_token" else {}
        given |= {"device_url": f"{issuer.url}/device"} if grant == "device_code" else {}
        return OauthSettings(**(given | more))

    return make


@pytest.fixture
def source(store: Store, settings: Callable[..., OauthSettings], later: Later) -> Callable[..., TokenSource]:
    def make(grant: str = "client_credentials", **more: Any) -> TokenSource:
        return TokenSource(settings(grant, **more), store, now=later)

    return make
