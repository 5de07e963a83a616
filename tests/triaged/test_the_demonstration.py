"""The demonstration tells a story that came out as told, and says so when it did not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from itsm.errors import Transient
from itsm.ticket import State
from store.settings import StoreSettings
from store.store import Store
from triaged import clock
from triaged.demo import story
from triaged.demo.daemon import DemoDaemon
from triaged.demo.samples import ALERTS, MAILS
from triaged.demo.story import chapters, play, surprises

ROOT = Path(__file__).parents[2]


def test_the_story_is_told_once_and_everything_came_out_as_told(say) -> None:
    said = say("demo", "--once")
    assert said.code == 0, said.err
    for part in ("INC-1001", "REQ-1003", "Drucker im Büro gestört", "it is resolved", "Subject: [INC-1001]", "trust level 0", "accepted ="):
        assert part in said.out
    assert said.out.count("FAIL") == 0


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_stays_up_until_interrupted_and_shows_each_new_mail(ending: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "triaged", "demo"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    configuration = ""
    try:
        for line in process.stdout:
            if line.startswith("look at it"):
                configuration = line.split()[line.split().index("--config") + 1]
            if line.startswith("the API's token"):
                break
        directory = Path(configuration).parent
        (directory / "outbox" / "zzz.eml").write_bytes(b"From: a@b.c\r\nTo: d@e.f\r\nSubject: hello\r\n\r\nwords\r\n")
        for line in process.stdout:
            if "words" in line:
                break
        process.send_signal(ending)
        _, err = process.communicate(timeout=180)
    finally:
        process.kill()
        with process:  # closes its pipes
            process.wait()
    assert process.returncode == 0
    assert "The daemon drains and ends" in err
    assert not directory.exists()


def test_a_story_that_went_wrong_is_not_called_right(tmp_path: Path) -> None:
    daemon = DemoDaemon(tmp_path)
    store = Store(StoreSettings(path=str(tmp_path)), clock=clock.now)
    try:
        world = play(daemon, store)
        with pytest.raises(Transient, match="the daemon answered"):
            daemon.send_alert(b"nonsense")
    finally:
        store.close()
        assert daemon.stop() == 0
    assert surprises(world) == []
    assert len(world.told) == len(MAILS) + len(ALERTS)
    assert next(heading for heading, _ in chapters(world)).startswith("What people wrote")
    first = msgspec.structs.replace(world.told[0], outcome="nothing")
    wrong = msgspec.structs.replace(
        world,
        told=(first, *world.told[1:]),
        tickets=tuple(msgspec.structs.replace(each, state=State.NEW) for each in world.tickets[1:]),
        acknowledgements=(),
        findings=("a link is missing",),
        balance=msgspec.structs.replace(world.balance, accepted=99),
    )
    assert len(surprises(wrong)) == 6


def test_a_daemon_that_does_not_start_shows_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triaged.demo.daemon.CONFIGURATION", "[dsk]\n")
    with pytest.raises(Transient, match="did you mean 'desk'"):
        DemoDaemon(tmp_path)


def test_a_daemon_that_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triaged.demo.daemon.STOP_SECONDS", 0.2)
    daemon = DemoDaemon(tmp_path)
    daemon._process.send_signal(signal.SIGSTOP)
    assert daemon.stop() == -signal.SIGKILL


def test_a_daemon_that_never_comes_to_rest_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "SETTLE_SECONDS", 0.0)
    store = Store(StoreSettings(path=str(tmp_path)), clock=clock.now)
    try:
        with pytest.raises(Transient, match="did not come to rest"):
            story._settle(store)
        with pytest.raises(Transient, match="nobody was acknowledged"):
            store.read(story._first_acknowledgement)
    finally:
        store.close()
