"""The unit: little exposed, and nothing taken away that triaged needs."""

import re

from tests.deploy.tools import DEPLOY, run

UNIT = DEPLOY / "systemd" / "triaged.service"
MOST_EXPOSED = 1.5


def settings() -> list[tuple[str, str]]:
    return re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE)


def exposure(unit: str) -> float:
    done = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    return float(found[1])


def test_the_unit_is_exposed_at_most_as_we_say() -> None:
    assert exposure(str(UNIT)) <= MOST_EXPOSED


def test_a_unit_without_its_protections_would_be_exposed_more(tmp_path) -> None:
    (tmp_path / "bare.service").write_text("[Service]\nExecStart=/bin/true\nDynamicUser=yes\n")
    assert exposure(str(tmp_path / "bare.service")) > MOST_EXPOSED


def test_systemd_understands_every_line(tmp_path) -> None:
    file = tmp_path / "triaged.service"
    file.write_text(UNIT.read_text().replace("/opt/triaged/bin/triaged", "/bin/true"))
    done = run("systemd-analyze", "verify", "--man=no", str(file))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_children_may_bound_their_own_memory() -> None:
    filters = [value for name, value in settings() if name == "SystemCallFilter"]
    assert any("@resources" in each for each in filters[:-1])
    assert filters[-1] == "setrlimit prlimit64"


def test_it_is_told_of_readiness_reload_and_the_watchdog_and_is_waited_for() -> None:
    found = dict(settings())
    assert found["Type"] == "notify"
    assert found["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert int(found["WatchdogSec"]) > 0
    assert int(found["TimeoutStopSec"]) > 10 + 5  # [process] and [notifier] drain_seconds, as they are by default
