"""A desk that fetches, and servers to fetch from."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from intake.imap import mailbox as worker
from intake.imap.settings import Mailbox
from tests.intake.imap.doors import FetchingDesk
from tests.intake.imap.fake import FakeImap


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[FetchingDesk]:
    made = FetchingDesk(tmp_path / "var")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def server() -> Iterator[FakeImap]:
    made = FakeImap()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off as ever, a hundred times as fast."""
    for name in ("FIRST_WAIT_SECONDS", "LONGEST_WAIT_SECONDS", "LOGIN_WAIT_SECONDS", "LONGEST_LOGIN_WAIT_SECONDS"):
        monkeypatch.setattr(worker, name, getattr(worker, name) / 100)


@pytest.fixture
def mailbox(tmp_path: Path, server: FakeImap) -> Callable[..., Mailbox]:
    """A mailbox on the scripted server."""
    password = tmp_path / "password"
    password.write_text("secret\n")

    def make(**settings: Any) -> Mailbox:
        given: dict[str, Any] = {
            "name": "desk", "host": "127.0.0.1", "port": server.port, "tls": "none", "login": "help@corp.example",
            "password_file": str(password), "poll_seconds": 20.0, "connect_timeout_seconds": 10.0, "command_timeout_seconds": 10.0,
        }  # fmt: skip
        return Mailbox(**(given | settings))

    return make
