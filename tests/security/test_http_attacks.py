"""A56: requests that smuggle, lie, dribble and swell, byte for byte against the running application."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from intake.accept import Acceptor
from intake.http import HttpDoor, Secret
from intake.settings import HttpSettings, Source
from store import inbox
from store.settings import StoreSettings
from store.store import Store
from tests.store.conftest import NOON
from triaged import bounded_http, web
from triaged.web import WebServer, application

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])
POST = b"POST /hooks/generic HTTP/1.1\r\nHost: localhost\r\n"
EVIL = b"GET /evil HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b'{"title":"x"}'


class Web:
    """The HTTP door on a real server, in a loop of its own thread; `seen` are the paths that got through."""

    def __init__(self, folder: str, **settings: object) -> None:
        self.store = Store(StoreSettings(path=folder), clock=lambda: NOON)
        acceptor = Acceptor(self.store, wake=lambda: None, pending_limit=10**6, minimum_free_bytes=0)
        sources, limits = {"generic": Source(name="generic", authentication="none")}, HttpSettings(**settings)  # type: ignore[arg-type]
        door = HttpDoor(limits, self.store, acceptor, sources=lambda: sources, secrets=lambda: {"generic": Secret()})
        self.seen: list[str] = []

        async def evil(request: Request) -> PlainTextResponse:
            self.seen.append(request.url.path)
            return PlainTextResponse("evil")

        app = application([*door.routes(), Route("/evil", evil)], listen="127.0.0.1:0", hook=door.hook)  # as the daemon has it
        self.server = WebServer(app, "127.0.0.1:0")
        self.server.start()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.run()))
        self.thread.start()

    def say(self, *pieces: bytes, seconds: float = 10.0, close: bool = True) -> bytes:
        """Send pieces, and read until the server closes or falls silent for a moment after an answer."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=seconds) as client:
            answer = b""
            with contextlib.suppress(OSError):
                for piece in pieces:
                    client.sendall(piece)
                    time.sleep(0.01)
                while more := client.recv(65_536):
                    answer += more
                    if close and b"\r\n\r\n" in answer:
                        client.settimeout(0.3)
            return answer

    def stored(self) -> int:
        return self.store.read(lambda tx: inbox.depth(tx, inbox.PENDING)).count

    def close(self) -> None:
        self.server.stop()
        self.thread.join(10)
        self.store.close()


@pytest.fixture
def make_web(tmp_path) -> Iterator[Callable[..., Web]]:
    made: list[Web] = []

    def make(**settings: object) -> Web:
        made.append(Web(str(tmp_path / f"var{len(made)}"), **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


SMUGGLED = {
    "both lengths": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EVIL,
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(EVIL) + EVIL,
    "signed length": POST + b"Content-Length: +13\r\n\r\n" + BODY,
    "negative length": POST + b"Content-Length: -1\r\n\r\n" + EVIL,
    "hex length": POST + b"Content-Length: 0x0\r\n\r\n" + EVIL,
    "list of lengths": POST + b"Content-Length: 0, %d\r\n\r\n" % len(EVIL) + EVIL,
    "odd encoding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + EVIL,
    "encoding twice": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + EVIL,
    "blank before colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + EVIL,
    "folded": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + EVIL,
    "bare newline in chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n0\n\n" + EVIL,
    "chunk size lies": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n" + BODY + b"\r\n0\r\n\r\n",
    "chunk size overflows": POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + EVIL,
    "NUL in a header": POST + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "bare CR in a header": POST + b"X: a\rContent-Length: 0\r\n\r\n",
}


def test_no_way_of_stating_a_length_smuggles_a_second_request(make_web: Callable[..., Web]) -> None:
    web_ = make_web()
    answers = {name: web_.say(raw) for name, raw in SMUGGLED.items()}
    assert [name for name, answer in answers.items() if answer.startswith(b"HTTP/1.1 2")] == []
    assert web_.seen == []
    assert web_.stored() == 0
    assert web_.say(POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY).startswith(b"HTTP/1.1 202")
    web_.say(POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY + EVIL)
    assert web_.seen == ["/evil"]  # a request that is stated honestly gets through: the check has teeth


@WITH_AND_WITHOUT
def test_a_header_without_end_is_cut_off(make_web: Callable[..., Web], monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    if not defended:
        monkeypatch.setattr(web, "BoundedProtocol", HttpToolsProtocol)
    answer = make_web().say(POST, *[b"X: " + b"a" * 8_000 + b"\r\n"] * 40, b"Content-Length: 13\r\n\r\n" + BODY)
    assert answer.startswith(b"HTTP/1.1 202") is not defended
    assert answer.startswith(b"HTTP/1.1 431") or answer == b"" or not defended


@WITH_AND_WITHOUT
@pytest.mark.parametrize("what", ["header", "nothing", "second header", "body nobody reads"])
def test_a_client_that_dribbles_is_cut_off(
    make_web: Callable[..., Web], monkeypatch: pytest.MonkeyPatch, what: str, defended: bool
) -> None:
    monkeypatch.setattr(bounded_http, "HEADER_SECONDS", 0.3 if defended else 1e6)
    monkeypatch.setattr(bounded_http, "REQUEST_SECONDS", 0.3 if defended else 1e6)
    web_ = make_web()
    begin = {
        "header": POST + b"X: ",
        "nothing": b"",
        "second header": EVIL + POST + b"X: ",
        "body nobody reads": EVIL.replace(b"\r\n\r\n", b"\r\nContent-Length: 100000\r\n\r\n"),
    }[what]
    with socket.create_connection(("127.0.0.1", web_.server.port), timeout=0.05) as client:
        client.sendall(begin)
        cut, until = False, time.monotonic() + (20.0 if defended else 1.2)
        while not cut and time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                try:
                    if what != "nothing":
                        client.sendall(b"a")
                    cut = client.recv(65_536) == b""
                except (ConnectionError, BrokenPipeError):
                    cut = True
    assert cut is defended


@WITH_AND_WITHOUT
def test_a_body_that_dribbles_or_swells_is_refused(make_web: Callable[..., Web], defended: bool) -> None:
    web_ = make_web(body_limit_bytes=2_000 if defended else 10**7, body_timeout_seconds=0.3 if defended else 3600.0)
    large = b'{"title":"' + b"x" * 5_000 + b'"}'
    stated = web_.say(POST + b"Content-Length: %d\r\n\r\n" % len(large) + large)
    chunked = web_.say(POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(large) + large + b"\r\n0\r\n\r\n")
    for answer in (stated, chunked):
        assert answer.startswith(b"HTTP/1.1 413" if defended else b"HTTP/1.1 202")
    assert web_.stored() == (0 if defended else 2)
    slow = web_.say(POST + b"Content-Length: 1000\r\n\r\n", b"{", seconds=10.0 if defended else 1.0)
    assert slow.startswith(b"HTTP/1.1 408") is defended
