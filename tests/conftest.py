"""What every test runs under: Hypothesis profiles, strict mode, free ports, both engines of the store."""

import importlib.util
import itertools
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from prove.faultfs import unavailable
from prove.ports import free_ports
from prove.postgres import PostgresServer, why_not
from store.settings import PostgresSettings, StoreSettings
from store.store import Store
from tests import desk_statements
from triaged import clock

settings.register_profile("default", max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("quick", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("TRIAGED_EXAMPLES", "default"))

# A runner that starts us in the background leaves SIGINT ignored, and every program we start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

FAILING_DISK = "_on_a_failing_disk.py"
STRICT = os.environ.get("TRIAGED_STRICT") == "1"
RAM = next((each for each in ["/dev/shm"] if Path(each).is_dir()), None)  # a database a test: made and thrown away
NO_POSTGRES = why_not()
SQLITE, POSTGRES = "sqlite", "postgres"
DKIM_TESTS = ["intake/test_dkim.py", "casework/test_signed_mail.py", "triaged/test_a_replay_of_signed_mail.py"]
NO_DKIM = importlib.util.find_spec("dkim") is None  # it has no wheel, and cannot be built everywhere
API_TESTS = ["prove/test_the_api_by_schemathesis.py"]
NO_SCHEMATHESIS = importlib.util.find_spec("schemathesis") is None  # CI and `dev prove api` install it
collect_ignore = [*(DKIM_TESTS if NO_DKIM else []), *(API_TESTS if NO_SCHEMATHESIS else [])]
EMPTY = "triaged_empty"  # a database with our schema and nothing in it: copied for each test

Place = Callable[..., StoreSettings]  # settings of a new store on the engine of the test


def pytest_configure(config: pytest.Config) -> None:
    """Markers, and in strict mode both engines."""
    config.addinivalue_line("markers", "sqlite_only(why): speaks of something only SQLite has")
    config.addinivalue_line("markers", "postgres_only(why): speaks of something only PostgreSQL has")
    desk_statements.watch()
    if NO_POSTGRES and STRICT:
        raise pytest.UsageError(f"strict mode needs PostgreSQL: {NO_POSTGRES}")


def pytest_report_header() -> list[str]:
    """One line each for the tests that are not collected."""
    postgres = [f"PostgreSQL: {NO_POSTGRES}: its tests are not collected"] if NO_POSTGRES else []
    return [*postgres, *(["dkimpy could not be built: its tests are not collected"] if NO_DKIM else [])]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever asks for `engine`, itself or by a fixture, runs on both."""
    if "engine" in metafunc.fixturenames:
        engines = [SQLITE] if NO_POSTGRES else [SQLITE, POSTGRES]
        if next(metafunc.definition.iter_markers("sqlite_only"), None):
            engines = [SQLITE]
        if next(metafunc.definition.iter_markers("postgres_only"), None):
            engines = [each for each in engines if each == POSTGRES]
        metafunc.parametrize("engine", engines)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test of PostgreSQL alone is not collected where there is none."""
    if NO_POSTGRES:
        items[:] = [each for each in items if "postgres_server" not in getattr(each, "fixturenames", ()) or "engine" in each.fixturenames]  # type: ignore[attr-defined]  # pytest's Function


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """In strict mode a skipped test is a failed one: CI has everything a test could need."""
    outcome = yield
    report = outcome.get_result()
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in strict mode: {report.longrepr}"


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    """The same for a module that skips itself."""
    outcome = yield
    report = outcome.get_result()
    if STRICT and report.outcome == "skipped":
        report.outcome = "failed"
        report.longrepr = f"skipped in strict mode: {report.longrepr}"


def pytest_ignore_collect(collection_path):
    """Tests on a file system of our own need FUSE; where there is none they are not collected, and `dev test` says so."""
    if NO_POSTGRES and collection_path.name == POSTGRES:
        return True
    return True if collection_path.name.endswith(FAILING_DISK) and unavailable() else None


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A port of the loopback interface nobody listens on."""

    return lambda: free_ports(1)[0]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for the session of this worker, quick and not durable, with a database to copy."""
    with tempfile.TemporaryDirectory(prefix="triaged-postgres-", dir=RAM, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # another user works below
        server = PostgresServer(folder / "server")
        try:
            server.make_database(EMPTY)
            Store(StoreSettings(path=str(folder / "var"), postgres=PostgresSettings(url=server.url(EMPTY))), clock=clock.now).close()
            yield server
        finally:
            server.stop()


@pytest.fixture
def make_place(engine: str, request: pytest.FixtureRequest, tmp_path) -> Iterator[Place]:
    """Makes settings of new stores; `empty` ones have no schema yet. The databases go with the test."""
    made: list[str] = []
    counter = itertools.count()

    def make(*, empty: bool = False, postgres: dict[str, object] | None = None, **more: object) -> StoreSettings:
        folder = str(tmp_path / f"var{next(counter) or ''}")
        if engine == SQLITE:
            return StoreSettings(path=folder, **more)
        server = request.getfixturevalue("postgres_server")
        made.append(f"test_{os.getpid()}_{next(_DATABASES)}")
        url = server.make_database(made[-1], template="template1" if empty else EMPTY)
        chosen = {"writers": 2, "readers": 4} | (postgres or {})
        return StoreSettings(path=folder, postgres=PostgresSettings(url=url, **chosen), **more)

    yield make
    for name in made:
        request.getfixturevalue("postgres_server").drop_database(name)


_DATABASES = itertools.count()
