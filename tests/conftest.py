"""What every test runs under: Hypothesis profiles, strict mode, free ports."""

import os
import signal
import socket
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

from prove.faultfs import unavailable

settings.register_profile("default", max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("quick", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("TRIAGED_EXAMPLES", "default"))

# A runner that starts us in the background leaves SIGINT ignored, and every program we start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

FAILING_DISK = "_on_a_failing_disk.py"
STRICT = os.environ.get("TRIAGED_STRICT") == "1"


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
    return True if collection_path.name.endswith(FAILING_DISK) and unavailable() else None


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A port of the loopback interface nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find
