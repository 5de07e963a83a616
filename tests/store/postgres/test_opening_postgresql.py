"""What opening a store on PostgreSQL asks for, and how it says no."""

import importlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from psycopg import errors as psycopg_errors

from itsm.errors import Permanent, Transient
from prove.postgres import PostgresServer
from store.postgres import backend, errors
from store.raced import Raced
from store.settings import StoreSettings
from store.store import Store

pytestmark = pytest.mark.postgres_only("it speaks of its server")
Clock = Callable[..., object]


def with_(settings: StoreSettings, **changed: object) -> StoreSettings:
    assert settings.postgres is not None
    return msgspec.structs.replace(settings, postgres=msgspec.structs.replace(settings.postgres, **changed))


def test_without_its_driver_it_says_what_to_install(settings: StoreSettings, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_there(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(backend.importlib, "import_module", nothing_there)
    with pytest.raises(Permanent, match=r"pip install 'triaged\[postgres\]'"):
        backend.url_of(settings.postgres)  # type: ignore[arg-type]
    monkeypatch.undo()
    assert importlib.import_module("psycopg")


@pytest.mark.parametrize(
    ("changed", "kind", "told"),
    [
        ({"url": "postgresql://postgres:secret@127.0.0.1/x"}, Permanent, "holds a password"),
        ({"url": "postgresql://127.0.0.1:port/x"}, Permanent, "no address of a database"),
        ({"password_file": "/nowhere/password"}, Permanent, "password_file cannot be read"),
        ({"url": "postgresql://postgres@127.0.0.1:1/x"}, Transient, "cannot open the database"),
    ],
)
def test_an_address_that_is_none_or_leads_nowhere_is_told(
    settings: StoreSettings, clock: Clock, changed: dict[str, str], kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told) as caught:
        Store(with_(settings, **changed), clock=clock)
    assert "secret" not in str(caught.value)


def test_a_database_that_is_not_there_is_a_persons_affair(settings: StoreSettings, clock: Clock, postgres_server: PostgresServer) -> None:
    with pytest.raises(Permanent, match="does not exist"):
        Store(with_(settings, url=postgres_server.url("no_such_database")), clock=clock)


def test_the_password_comes_from_its_file_and_is_in_no_message(settings: StoreSettings, clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    store = Store(with_(settings, password_file=str(file)), clock=clock)
    assert store._backend.url.password == "s3cret"  # type: ignore[attr-defined]
    assert "s3cret" not in store.place
    store.close()


def test_an_old_server_and_another_encoding_are_refused(
    settings: StoreSettings, clock: Clock, monkeypatch: pytest.MonkeyPatch, postgres_server: PostgresServer
) -> None:
    name = f"latin_{id(settings)}"
    postgres_server.sql(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(Permanent, match="encoding LATIN1"):
        Store(with_(settings, url=postgres_server.url(name)), clock=clock)
    postgres_server.drop_database(name)
    monkeypatch.setattr(backend, "OLDEST", 99_00_00)
    with pytest.raises(Permanent, match="needs 15 or newer"):
        Store(settings, clock=clock)


def test_sessions_are_bounded_as_configured(store: Store) -> None:
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "transaction_isolation", "TimeZone")

    def shown(tx: object) -> list[str]:
        return [tx.connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]  # type: ignore[attr-defined]

    assert store.write(shown).result(60) == ["10s", "1min", "20s", "read committed", "UTC"]
    assert store.read(shown)[3] == "repeatable read"


@pytest.mark.parametrize(
    ("state", "kind", "enhanced"),
    [("40001", Raced, "4.3.0"), ("40P01", Raced, "4.3.0"), ("23505", Raced, "4.3.0"), ("53100", Transient, "4.3.1"), ("53300", Transient, "4.3.0"),
     ("57P01", Transient, "4.3.0"), ("08006", Transient, "4.3.0"), ("25006", Transient, "4.3.0"), ("57014", Transient, "4.3.0")],
)  # fmt: skip
def test_what_the_server_says_becomes_what_a_caller_can_use(state: str, kind: type[Exception], enhanced: str) -> None:
    found = errors.told(psycopg_errors.lookup(state)("told by the server\nDETAIL: with values"))
    assert isinstance(found, kind)
    assert found.enhanced == enhanced  # type: ignore[attr-defined]
    assert "values" not in str(found)


def test_a_bug_stays_a_bug() -> None:
    bug = psycopg_errors.lookup("42703")("column does not exist")
    assert errors.told(bug) is bug


def test_two_daemons_work_on_one_directory(settings: StoreSettings, clock: Clock) -> None:
    one, other = Store(settings, clock=clock, exclusive=True), Store(settings, clock=clock, exclusive=True)
    assert one.lease.node != other.lease.node
    assert one.shared
    other.close()
    one.close()
