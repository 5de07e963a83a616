"""`triaged deliver`: what an MTA pipes is stored, or the MTA is told to keep it."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from store import inbox
from store.settings import StoreSettings
from store.store import Store
from triaged import clock
from triaged.commands import deliver

MAIL = b"From: Ana <ana@example.com>\nTo: desk@example.org\nSubject: Pipe\nMessage-ID: <p1@example.com>\n\nIt is broken.\n"
Say = Callable[..., Any]


@pytest.fixture
def piped(tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    file = tmp_path / "triaged.toml"
    file.write_text(f'[store]\npath = "{tmp_path}/var"\n[intake.smtp]\nmessage_limit_bytes = 2048\n')

    def deliver_(octets: bytes, *arguments: str, configuration: Path = file) -> Any:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(octets)))
        return say("--config", str(configuration), "deliver", *arguments)

    return deliver_


def stored(tmp_path: Path) -> list[inbox.InboxRow]:
    store = Store(StoreSettings(path=str(tmp_path / "var")), clock=clock.now)
    try:
        return store.read(lambda tx: inbox.listed(tx, "pending", limit=10))
    finally:
        store.close()


def test_a_piped_mail_is_stored_with_its_envelope(piped: Callable[..., Any], tmp_path: Path) -> None:
    said = piped(MAIL, "--from", "ana@example.com", "desk@example.org", "help@example.org")
    assert said.code == 0, said.err
    (row,) = stored(tmp_path)
    envelope = row.envelope
    assert (envelope.channel.value, envelope.reverse_path, envelope.message_id) == ("pipe", "ana@example.com", "p1@example.com")
    assert envelope.forward_paths == ("desk@example.org", "help@example.org")


def test_the_line_that_mbox_writes_is_no_part_of_the_mail(piped: Callable[..., Any], tmp_path: Path) -> None:
    assert piped(b"From ana@example.com Wed Nov 25 20:00:00 2026\n" + MAIL, "--from", "").code == 0
    (row,) = stored(tmp_path)
    assert (row.envelope.size_bytes, row.envelope.reverse_path) == (len(MAIL), "")
    assert row.envelope.forward_paths == ("desk@localhost",)


def test_no_mail_and_one_that_is_too_large_are_the_senders_fault(piped: Callable[..., Any], tmp_path: Path) -> None:
    assert piped(b"\n").code == os.EX_DATAERR
    assert piped(MAIL + b"x" * 2048).code == os.EX_DATAERR
    assert stored(tmp_path) == []


@pytest.mark.parametrize("why", ["configuration", "disk", "commit", "bug"])
def test_what_cannot_be_stored_stays_with_the_mta(
    piped: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    configuration = tmp_path / "triaged.toml"
    if why == "configuration":
        configuration.write_text("[nonsense]\n")
    elif why == "disk":
        configuration.write_text(configuration.read_text().replace("[intake", "minimum_free_bytes = 1000000000000000000\n[intake"))
    elif why == "commit":
        (tmp_path / "var").write_text("not a directory")
    else:
        monkeypatch.setattr(deliver, "Acceptor", None)
    said = piped(MAIL)
    assert said.code == os.EX_TEMPFAIL
    assert "try again later" in said.err
    assert "Traceback" not in said.err
