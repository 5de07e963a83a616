"""Old code comes out of the history of git; where there is none these tests are not collected, and a line says so."""

import pytest

from prove import history

NO_PAST = history.why_not()
collect_ignore = ["test_code_of_the_past.py"] if NO_PAST else []


def pytest_report_header(config: pytest.Config) -> str | None:
    """One line for the tests that are not collected."""
    return f"upgrade: {NO_PAST}: its tests are not collected" if NO_PAST else None
