"""Data of every version of the schema comes to ours, and code of the version before works beside ours (faults F41, F43; design 5)."""

from pathlib import Path

import pytest

from prove import history
from prove.daemon import Daemon
from prove.postgres import PostgresServer
from prove.relay import RecordingRelay
from prove.upgrade import ENOUGH, SideBySide, from_the_past, verb

PASTS = history.pasts()
DEFENDED = pytest.mark.parametrize("defended", [True, False])
CONTRACTED = "ALTER TABLE inbox ADD COLUMN newer text NOT NULL"  # what the static test of migrations refuses
pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("past", [PASTS[0], PASTS[-1]], ids=lambda past: past.version)
def test_what_an_old_version_took_is_there_after_the_upgrade_and_the_work_goes_on(past: history.Past, tmp_path: Path) -> None:
    verdict = from_the_past(past, tmp_path)
    assert verdict.findings == ()
    assert verdict.acknowledged >= 2 * ENOUGH


def test_without_its_migration_the_data_of_an_old_version_would_be_refused(tmp_path: Path) -> None:
    relay = RecordingRelay()
    old = daemon = Daemon(tmp_path, relay.port, code=PASTS[0].copy(tmp_path / "code"))
    try:
        old.start()
        assert old.wait_ready()
        assert old.stop() == 0
        daemon = Daemon(tmp_path, relay.port)
        told = verb(daemon, "run")
        assert told.returncode != 0
        assert "triaged db upgrade" in told.stderr
        assert verb(daemon, "db", "upgrade").returncode == 0
        daemon.start()
        assert daemon.wait_ready()
        assert daemon.stop() == 0
    finally:
        for each in (old, daemon):
            each.close()
        relay.close()


@DEFENDED
def test_the_version_before_works_beside_ours_while_the_schema_only_expands(postgres_server: PostgresServer, defended: bool) -> None:
    folder = Path(postgres_server.folder).parent / f"upgrade-{defended}"
    folder.mkdir()
    both = SideBySide(PASTS[-1], folder)
    try:
        if defended:
            verdict = both.run()
            assert verdict.findings == ()
            assert verdict.acknowledged >= 6 * ENOUGH
        else:
            both.old.start()
            assert both.old.wait_ready()
            assert verb(both.new, "db", "upgrade").returncode == 0
            both.server.sql(CONTRACTED, database="upgrade")
            with pytest.raises(TimeoutError, match="'mail': 0"):
                both.load(both.old, seconds=5)
    finally:
        both.close()
