"""A store on PostgreSQL alone, perhaps behind a proxy that cuts."""

from collections.abc import Callable, Iterator

import msgspec
import pytest

from prove.postgres import PostgresServer
from prove.proxy import CuttingProxy
from store.settings import StoreSettings
from store.store import Store
from tests.store.conftest import SetClock, arrive, arrived, clock, settings, store

__all__ = ["arrive", "arrived", "clock", "settings", "store"]


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Iterator[CuttingProxy]:
    made = CuttingProxy(postgres_server.port)
    yield made
    made.close()


def behind(settings: StoreSettings, port: int) -> StoreSettings:
    """The same database through another port."""
    assert settings.postgres is not None
    name = settings.postgres.url.rpartition("/")[2]
    moved = msgspec.structs.replace(settings.postgres, url=f"postgresql://postgres@127.0.0.1:{port}/{name}")
    return msgspec.structs.replace(settings, postgres=moved)


@pytest.fixture
def distant(make_place: Callable[..., StoreSettings], proxy: CuttingProxy, clock: SetClock) -> Iterator[Store]:
    """A store with one writer, behind the proxy."""
    opened = Store(behind(make_place(postgres={"writers": 1}), proxy.port), clock=clock)
    yield opened
    opened.close()
