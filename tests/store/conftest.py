"""A real store of its own on either engine, with a clock that tests set."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from itsm.envelope import Channel, Envelope
from store.inbox import Arrived, add_many
from store.settings import StoreSettings
from store.store import Store

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def settings(make_place: Callable[[], StoreSettings]) -> StoreSettings:
    return make_place()


@pytest.fixture
def store(settings: StoreSettings, clock: SetClock) -> Iterator[Store]:
    opened = Store(settings, clock=clock, lease_clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def arrive(store: Store) -> Callable[..., int]:
    """Accepts an envelope and returns its id."""

    def accept(body: bytes = b"Subject: help\r\n\r\nplease", **fields: Any) -> int:
        return store.write_many(add_many, arrived(store, body, **fields), step="accept").result(10)

    return accept


def arrived(store: Store, body: bytes, **fields: Any) -> Arrived:
    known: dict[str, Any] = {"channel": Channel.SMTP, "source": "smtp", "received_at": store.clock(), "size_bytes": len(body)}
    return Arrived(envelope=Envelope(**{"id": store.new_id()} | known | fields), body=body)


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program in a process of its own, which may be killed at a named step."""

    def run(program: str, *arguments: object, crash_at: str = "") -> subprocess.CompletedProcess[str]:
        root = str(Path(__file__).parents[2])
        environment = os.environ | {"PYTHONPATH": root, "TRIAGED_CRASH_AT": crash_at}
        command = [sys.executable, "-c", program, *(str(each) for each in arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment)

    return run
