"""A peer that cannot be had is a row that says why."""

import sys

import pytest

import prove.postfix
from bench.figure import Unavailable
from bench.peers.peer import MAILS, WatchingRelay, command
from bench.smtp.postfix import postfix


def test_a_command_that_fails_gives_its_last_word(tmp_path):
    with pytest.raises(Unavailable, match=r"not installed: .*: no such package"):
        command([sys.executable, "-c", "import sys; print('working'); sys.exit('no such package')"], tmp_path)


def test_a_program_that_is_not_there_is_told(tmp_path):
    with pytest.raises(Unavailable, match="No such file"):
        command([str(tmp_path / "absent")], tmp_path)


def test_a_peer_that_did_not_acknowledge_every_mail_has_no_figure():
    relay = WatchingRelay()
    try:
        relay.taken_at = [1.0] * (MAILS - 1)
        with pytest.raises(Unavailable, match=f"acknowledged {MAILS - 1} of {MAILS} mails"):
            relay.rate("Roundup")
        relay.taken_at = [float(second) for second in range(MAILS)]
        assert relay.rate("Roundup") == 1.0
    finally:
        relay.close()


def test_without_postfix_its_row_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(prove.postfix, "SEARCH", str(tmp_path))
    with pytest.raises(Unavailable, match="apt-get install postfix"), postfix():
        pass
