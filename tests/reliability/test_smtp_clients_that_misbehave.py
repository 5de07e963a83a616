"""F44, F45: clients that go away in the middle, dribble, keep a connection busy or idle; the door is seen from outside only."""

import contextlib
import itertools
import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest

from intake.smtp.session import Session
from tests.intake.smtp.test_smtp_door import Door

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])
GREETING = b"EHLO c\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<help@localhost>\r\nDATA\r\n"
CONTENT = b"Subject: cut\r\n\r\n..a\r\n.\r\n"
LONG, FOR_EVER = 30.0, 1e9


@pytest.fixture
def make_door(tmp_path) -> Iterator[Callable[..., Door]]:
    made: list[Door] = []

    def make(**settings: object) -> Door:
        made.append(Door(tmp_path / f"var{len(made)}", **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def connected(door: Door) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", door.door.port), timeout=LONG)
    client.recv(1000)
    return client


def settled(door: Door) -> int:
    """How many mails are stored once every connection is gone."""
    deadline = time.monotonic() + LONG
    while door.door._open.total():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return len(door.stored())


def in_data(door: Door) -> socket.socket:
    client = connected(door)
    client.sendall(GREETING)
    said = b""
    while b"\r\n354" not in said:
        said += client.recv(1000)
    return client


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_client_that_goes_away_at_any_byte_leaves_nothing(make_door: Callable[..., Door], how: str) -> None:
    door = make_door()
    for cut in range(len(CONTENT)):
        client = in_data(door)
        client.sendall(CONTENT[:cut])
        if how == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert settled(door) == 0
    client = in_data(door)
    client.sendall(CONTENT)
    assert client.recv(1000).startswith(b"250")
    client.close()
    assert settled(door) == 1


def test_a_door_that_took_the_end_of_a_connection_for_the_end_of_a_mail_would_store_it(
    make_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(self: Session) -> bool:
        self.data_received(b"\r\n.\r\n")
        return True

    monkeypatch.setattr(Session, "eof_received", careless)
    door = make_door(session_limit_seconds=5.0)
    client = in_data(door)
    client.sendall(CONTENT[:10])
    client.shutdown(socket.SHUT_WR)
    with contextlib.suppress(OSError):
        client.recv(1000)
    deadline = time.monotonic() + LONG
    while not door.stored():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    client.close()


@WITH_AND_WITHOUT
def test_a_client_that_keeps_its_session_busy_is_sent_away_at_the_deadline(make_door: Callable[..., Door], defended: bool) -> None:
    client = connected(make_door(session_limit_seconds=0.5 if defended else FOR_EVER))
    answers, began = [], time.monotonic()
    with contextlib.suppress(OSError):
        while time.monotonic() - began < (LONG if defended else 1.5):
            client.sendall(b"NOOP\r\n")
            answers.append(client.recv(1000))
            if not answers[-1].startswith(b"250"):
                break
            time.sleep(0.02)
    assert any(answer.startswith(b"421 4.4.2") for answer in answers) is defended
    client.close()


@WITH_AND_WITHOUT
def test_a_client_that_says_nothing_is_sent_away(make_door: Callable[..., Door], defended: bool) -> None:
    client = connected(make_door(command_timeout_seconds=0.3 if defended else FOR_EVER / 1e3))
    client.settimeout(LONG if defended else 1.5)
    said = b"nothing"
    with contextlib.suppress(TimeoutError):
        said = client.recv(1000)
    assert (said == b"" or said.startswith(b"421")) is defended
    client.close()


@WITH_AND_WITHOUT
def test_a_client_that_dribbles_its_mail_is_cut_off(make_door: Callable[..., Door], defended: bool) -> None:
    door = make_door(minimum_rate_bytes=65_536 * 4 if defended else 1)
    client = in_data(door)
    client.settimeout(0.05)
    cut, began = False, time.monotonic()
    while not cut and time.monotonic() - began < (LONG if defended else 1.5):
        try:
            client.sendall(b"x")
            cut = client.recv(1000) == b""
        except TimeoutError:
            continue
        except OSError:
            cut = True
    assert cut is defended
    client.close()
    assert settled(door) == 0


@WITH_AND_WITHOUT
def test_idle_connections_of_one_address_and_of_all_are_capped_and_the_next_client_is_told(
    make_door: Callable[..., Door], defended: bool
) -> None:
    own, all_of_us = (40, 60) if defended else (10**6, 10**6)
    door = make_door(connection_limit=all_of_us, connection_limit_per_address=own)
    clients, greetings = [], []
    for source, _ in itertools.product(("127.0.0.1", "127.0.0.2", "127.0.0.3"), range(50)):
        client = socket.create_connection(("127.0.0.1", door.door.port), timeout=LONG, source_address=(source, 0))
        clients.append(client)
        greetings.append(client.recv(1000)[:9])
    assert greetings.count(b"421 4.7.0") == (150 - 60 if defended else 0)
    assert door.door._open.total() == (60 if defended else 150)
    assert door.door._open["127.0.0.1"] == (own if defended else 50)
    for client in clients:
        client.close()
    assert settled(door) == 0  # every place is given back
