"""The protocol of a connection: head and body of an answer leave together, and nothing that must go at once is kept back."""

import asyncio
from typing import Any, cast

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from uvicorn.server import ServerState

from triaged.bounded_http import BoundedProtocol


class Recorded:
    """The transport of a connection: what is written, a write an item, and whether it was closed."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 1) if name in ("sockname", "peername") else default

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Nobody reads here."""

    def resume_reading(self) -> None:
        """The same."""

    def close(self) -> None:
        self.closed = True


async def words(request: Request) -> Response:
    """Says how many octets came."""
    return PlainTextResponse(f"{len(await request.body())} octets")


async def in_pieces(_request: Request) -> Response:
    """An answer whose length nobody knew."""

    async def pieces() -> Any:
        for each in ("one", "two", "three"):
            yield each

    return StreamingResponse(pieces())


async def empty(_request: Request) -> Response:
    """An answer without a body."""
    return Response(status_code=204)


ROUTES = [Route("/words", words, methods=["GET", "POST"]), Route("/pieces", in_pieces), Route("/empty", empty)]


async def said(*pieces: bytes) -> Recorded:
    """What the protocol writes when it hears these pieces, a turn of the loop after each."""
    config = uvicorn.Config(Starlette(routes=ROUTES), http=BoundedProtocol, ws="none", lifespan="off", log_config=None)
    config.load()
    state, transport = ServerState(), Recorded()
    protocol = BoundedProtocol(config=config, server_state=state, app_state={})
    protocol.connection_made(cast("asyncio.Transport", transport))
    for piece in pieces:
        protocol.data_received(piece)
        for _ in range(50):
            await asyncio.sleep(0)
    protocol.connection_lost(OSError("it ends"))
    return transport


def test_an_answer_is_one_write() -> None:
    transport = asyncio.run(said(b"GET /words HTTP/1.1\r\nHost: x\r\n\r\n"))
    (answer,) = transport.writes
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n0 octets")


def test_each_request_of_a_connection_has_its_own() -> None:
    request = b"GET /words HTTP/1.1\r\nHost: x\r\n\r\n"
    assert len(asyncio.run(said(request, request + request)).writes) == 3


def test_the_word_to_go_on_is_not_kept_back() -> None:
    head = b"POST /words HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    go_on, answer = asyncio.run(said(head, b"abc")).writes
    assert go_on == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.endswith(b"3 octets")


@pytest.mark.parametrize(
    ("request_line", "end"), [(b"HEAD /words HTTP/1.1", b"\r\n\r\n"), (b"GET /empty HTTP/1.1", b"\r\n\r\n")], ids=["head", "empty"]
)
def test_a_head_without_a_body_is_written(request_line: bytes, end: bytes) -> None:
    answer = b"".join(asyncio.run(said(request_line + b"\r\nHost: x\r\n\r\n")).writes)
    assert answer.startswith(b"HTTP/1.1 20")
    assert answer.endswith(end)


def test_pieces_leave_as_they_come() -> None:
    writes = asyncio.run(said(b"GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n")).writes
    assert [each[-5:-2] for each in writes] == [b"one", b"two", b"ree", b"0\r\n"]


@pytest.mark.parametrize("request_line", [b"GET /words HTTP/1.0", b"nonsense"], ids=["old", "broken"])
def test_what_ends_the_connection_is_written_first(request_line: bytes) -> None:
    transport = asyncio.run(said(request_line + b"\r\nHost: x\r\n\r\n"))
    assert b"".join(transport.writes).startswith(b"HTTP/1.1 ")
    assert transport.closed
