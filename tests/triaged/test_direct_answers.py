"""Deliveries that come whole are answered without a task of uvicorn's, and a sender cannot tell that from the usual way."""

import asyncio
import inspect
import re
from collections.abc import Callable
from typing import cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from intake.accept import Acceptor
from intake.http import HttpDoor, Secret
from intake.settings import HttpSettings, Source
from store import inbox
from store.settings import StoreSettings
from store.store import Store
from tests.store.conftest import NOON
from tests.triaged.test_answers_in_one_packet import Recorded
from triaged.bounded_http import BoundedProtocol
from triaged.direct import Direct
from triaged.web import application

ALERT = b'{"alerts":[{"labels":{"alertname":"Disk"}}]}'
SOURCES = {
    "am": Source(name="am", format="alertmanager", authentication="none"),
    "v2": Source(name="v2", format="alertmanager_v2", authentication="none"),
    "token": Source(name="token", token_file="x"),
    "signed": Source(name="signed", authentication="hmac", hmac_file="x"),
}
SECRETS = {"token": Secret(token="s3cret"), "signed": Secret(hmac_key="k3y")}
WAIT_MILLISECONDS = 60_000


def post(path: str = "/hooks/am", body: bytes = ALERT, *headers: str, host: str = "localhost", version: str = "1.1") -> bytes:
    """The octets of a delivery."""
    lines = [f"POST {path} HTTP/{version}", f"Host: {host}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def until(holds: Callable[[], bool]) -> None:
    """Wait for it, a minute at most."""
    for _ in range(WAIT_MILLISECONDS):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise TimeoutError("it did not come about")


class Connection:
    """A connection to the door on a real store, as far as the protocol sees one."""

    def __init__(self, store: Store, *, limit_concurrency: int = 10) -> None:
        self.acceptor = Acceptor(store, wake=lambda: None, pending_limit=100, minimum_free_bytes=0)
        door = HttpDoor(HttpSettings(body_limit_bytes=1_000), store, self.acceptor, sources=lambda: SOURCES, secrets=lambda: SECRETS)
        app = application(door.routes(), listen="127.0.0.1:0", hook=door.hook)
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            limit_concurrency=limit_concurrency,
        )
        config.load()
        self.transport, self.state = Recorded(), ServerState()
        self.protocol = BoundedProtocol(config=config, server_state=self.state, app_state={})
        self.protocol.connection_made(cast("asyncio.Transport", self.transport))
        self.direct = 0  # requests that were

    def hear(self, *pieces: bytes) -> None:
        """Each by a read of its own."""
        for piece in pieces:
            self.protocol.data_received(piece)
            self.direct += isinstance(self.protocol.cycle, Direct)

    async def answers(self, count: int = 1) -> list[bytes]:
        """What was written, once there are so many answers and nobody works at another, each without what differs by nature."""
        await until(lambda: len(self.transport.writes) >= count and not self.state.tasks)
        return [re.sub(rb"in-\d+", b"in-N", each) for each in self.transport.writes]

    def end(self) -> None:
        """The client goes away."""
        self.transport.close()
        self.protocol.connection_lost(OSError("it ends"))


@pytest.fixture
def store(tmp_path):
    store = Store(StoreSettings(path=str(tmp_path)), clock=lambda: NOON)
    yield store
    store.close()


def waiting(store: Store) -> int:
    """How many envelopes were stored."""
    return store.read(lambda tx: inbox.depth(tx, inbox.PENDING)).count


async def told(store: Store, *pieces: bytes, count: int = 1, direct_too: bool = True) -> tuple[list[bytes], bool, int]:
    """The answers, whether the connection was closed after them, and how many were direct."""
    connection = Connection(store)
    if not direct_too:
        connection.protocol._app = None
    connection.hear(*pieces)
    answers, closed = await connection.answers(count), connection.transport.closed
    connection.end()
    return answers, closed, connection.direct


BY_EITHER_WAY = {
    "taken": post(),
    "taken by prometheus' API": post("/hooks/v2", b'[{"labels":{"alertname":"Disk"}}]'),
    "some broken": post("/hooks/v2", b'[{"labels":{"alertname":"Disk"}},{"labels":{}}]'),
    "nothing to be read": post(body=b"{nonsense"),
    "no body": post(body=b""),
    "unknown source": post("/hooks/amm"),
    "no token": post("/hooks/token"),
    "its token": post("/hooks/token", ALERT, "Authorization: Bearer s3cret"),
    "not signed": post("/hooks/signed"),
    "a key": post("/hooks/am", ALERT, "Idempotency-Key: "),
    "too large": post(body=b"x" * 1_001),
    "packed": post("/hooks/am", ALERT, "Content-Encoding: gzip"),
    "the last of its connection": post("/hooks/am", ALERT, "Connection: close"),
}


@pytest.mark.parametrize("request_", BY_EITHER_WAY.values(), ids=BY_EITHER_WAY.keys())
def test_a_sender_cannot_tell_which_way_it_was_answered(store, request_):
    answers, closed, direct = asyncio.run(told(store, request_))
    assert (len(answers), direct) == (1, 1)
    usual, usually_closed, usually_direct = asyncio.run(told(store, request_, direct_too=False))
    assert usually_direct == 0
    assert [_sorted(each) for each in answers] == [_sorted(each) for each in usual]
    assert closed == usually_closed


def _sorted(answer: bytes) -> tuple[bytes, list[bytes], bytes]:
    """An answer with its headers in order."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    return first, sorted(headers), body


def test_a_repeat_is_told_directly_too(store):
    request_ = post("/hooks/am", ALERT, "Idempotency-Key: k1")
    first, again = asyncio.run(told(store, request_))[0], asyncio.run(told(store, request_))[0]
    assert b'"repeated":false' in first[0]
    assert b'"repeated":true' in again[0]


LEFT_TO_UVICORN = {
    "another method": b"GET /hooks/am HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "another path": post("/elsewhere"),
    "another host": post(host="evil.example"),
    "an old version": post(version="1.0"),
    "a query": post("/hooks/am?x=1"),
    "an escape": post("/hooks/%61m"),
    "another protocol": post("/hooks/am", b"", "Connection: upgrade", "Upgrade: h2c"),
    "who waits to go on": post("/hooks/am", ALERT, "Expect: 100-continue"),
}


@pytest.mark.parametrize("request_", LEFT_TO_UVICORN.values(), ids=LEFT_TO_UVICORN.keys())
def test_what_is_not_plainly_a_delivery_is_left_to_uvicorn(store, request_):
    answers, _, direct = asyncio.run(told(store, request_))
    assert answers[0].startswith(b"HTTP/1.1 ")
    assert direct == 0


def test_a_body_in_pieces_is_waited_for(store):
    request_ = post()
    answers, _, direct = asyncio.run(told(store, request_[:-20], request_[-20:-10], request_[-10:]))
    assert answers[0].startswith(b"HTTP/1.1 202")
    assert direct == 0


def test_a_body_in_chunks_is_put_together(store):
    head = b"POST /hooks/am HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in (ALERT[:9], ALERT[9:]))
    answers, _, direct = asyncio.run(told(store, head + chunks + b"0\r\n\r\n"))
    assert b'"parts":1' in answers[0]
    assert direct == 1


def test_requests_that_come_at_once_are_answered_in_their_order(store):
    get = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answers, _, _ = asyncio.run(told(store, post() + get + post("/hooks/nobody") + post(), count=4))
    assert [each.split(b" ", 2)[1] for each in answers] == [b"202", b"404", b"404", b"202"]
    assert waiting(store) == 2


@pytest.mark.parametrize("whole", [True, False], ids=["direct", "in pieces"])
def test_no_task_is_made_for_a_direct_answer(store, whole):
    async def scenario():
        connection, before = Connection(store), asyncio.all_tasks()
        connection.hear(*((post(),) if whole else (post()[:-1], post()[-1:])))
        made = len(asyncio.all_tasks() - before)
        await connection.answers()
        connection.end()
        return made

    assert asyncio.run(scenario()) == (0 if whole else 1)


def test_beyond_the_connections_of_the_server_a_delivery_is_answered_503(store):
    async def scenario():
        connection = Connection(store, limit_concurrency=1)
        connection.hear(post())
        (answer,) = await connection.answers()
        connection.end()
        return answer

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 503")


def test_who_does_not_read_his_answers_is_left_to_uvicorn_which_waits_for_him(store):
    async def scenario():
        connection = Connection(store)
        connection.protocol.pause_writing()
        connection.hear(post())
        await until(lambda: waiting(store) == 1)
        written = list(connection.transport.writes)
        connection.protocol.resume_writing()
        (answer,) = await connection.answers()
        connection.end()
        return written, answer

    written, answer = asyncio.run(scenario())
    assert written == []
    assert answer.startswith(b"HTTP/1.1 202")


def test_a_client_that_goes_away_before_the_commit_is_written_nothing_and_its_delivery_is_kept(store):
    async def scenario():
        connection = Connection(store)
        connection.hear(post())
        connection.end()
        cycle = connection.protocol.cycle
        await until(lambda: cycle._answering is not None and inspect.getcoroutinestate(cycle._answering) == inspect.CORO_CLOSED)
        return connection.transport.writes

    assert asyncio.run(scenario()) == []
    assert waiting(store) == 1


def test_a_server_that_ends_answers_what_is_at_hand_and_closes(store):
    async def scenario():
        connection = Connection(store)
        connection.hear(post())
        connection.protocol.shutdown()
        (answer,) = await connection.answers()
        return answer, connection.transport.closed

    answer, closed = asyncio.run(scenario())
    assert answer.startswith(b"HTTP/1.1 202")
    assert b"\r\nconnection: close\r\n" in answer
    assert closed


@pytest.mark.parametrize("error", [RuntimeError("a bug"), asyncio.CancelledError("a bug")])
def test_an_error_of_ours_is_answered_and_logged_and_the_connection_goes_on(store, caplog, monkeypatch, error):
    async def scenario():
        connection = Connection(store)
        with monkeypatch.context() as broken:
            broken.setattr(connection.acceptor, "closed_because", error)
            connection.hear(post())
            await connection.answers()
        connection.hear(post())
        answers = await connection.answers(2)
        connection.end()
        return answers

    failed, taken = asyncio.run(scenario())
    assert failed.startswith(b"HTTP/1.1 500")
    assert b"application/problem+json" in failed
    assert b"a bug" not in failed
    assert taken.startswith(b"HTTP/1.1 202")
    assert any("direct answer" in each.message and each.exc_info for each in caplog.records)
