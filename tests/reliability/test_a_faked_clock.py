"""F28: a daemon whose wall clock jumps by ten days and back, faked by libfaketime; its monotonic clock is left alone."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tests.reliability.conftest import FAKETIME
from tests.reliability.lives import Life

DAY = 86_400.0


def jump(file: Path, days: float) -> None:
    """Move the daemon's wall clock to so many days from now, whole or not at all."""
    fresh = file.with_suffix(".new")
    fresh.write_text(f"{days * DAY:+.0f}s\n")
    fresh.replace(file)


@pytest.mark.parametrize("defended", [True, False])
@pytest.mark.timeout(120)
def test_ten_days_forward_and_back_close_nothing_and_are_told(site: Life, tmp_path: Path, defended: bool) -> None:
    stamp = tmp_path / "clock"
    jump(stamp, 0)
    fake = {"LD_PRELOAD": str(FAKETIME[0]), "FAKETIME_TIMESTAMP_FILE": str(stamp), "FAKETIME_CACHE_DURATION": "1"}
    site.begin(without="" if defended else "steady_clock", FAKETIME_DONT_FAKE_MONOTONIC="1", **fake)
    site.mail("From: a@example.com\nTo: desk@example.org\nSubject: one\n\nx\n")
    site.settle()
    assert site.command("ticket", "act", "INC-1001", "resolve", "--text", "done").code == 0
    jump(stamp, 10)  # a resolved ticket closes by itself after three days
    if defended:
        site.until(lambda: (site.metric("triaged_clock_step_seconds") or 0) > 9 * DAY)
    site.until(lambda: defended or states(site) == ["closed"])
    jump(stamp, 0)
    if defended:
        site.until(lambda: site.metric("triaged_clock_step_seconds") == 0)
        assert states(site) == ["resolved"]
        told = ["the wall clock jumped", "the wall clock is followed again"]
        site.until(lambda: [line["event"] for line in site.lines() if line["logger"] == "clock"] == told)
    assert site.probe("/readyz")[0] == 200
    assert site.tries("afterwards")


def states(site: Life) -> list[object]:
    with contextlib.closing(sqlite3.connect(site.directory / "var" / "triaged.sqlite")) as connection:
        return [row[0] for row in connection.execute("SELECT state FROM ticket ORDER BY id")]
