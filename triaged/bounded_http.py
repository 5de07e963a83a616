"""HTTP/1.1 under bounds that uvicorn has none for: how large a header may be, how long it and a whole request may take (A56)."""

import asyncio
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from triaged.direct import Direct, DirectApp

MAX_HEADER_BYTES = 64 * 1024  # and what one read brings beside it
HEADER_SECONDS = 20.0  # from the connection, or from the first byte of a later request, to the end of its header
REQUEST_SECONDS = 120.0  # from the end of the header to the end of the body; a door may be stricter


class _Joining:
    """The transport of a connection that keeps the head of an answer back until its body comes: one system call, one packet."""

    __slots__ = ("_head", "_transport", "get_extra_info", "is_closing", "pause_reading", "resume_reading")

    def __init__(self, transport: asyncio.Transport) -> None:
        """What does not write is the transport's own."""
        self._transport, self._head = transport, b""
        self.get_extra_info, self.is_closing = transport.get_extra_info, transport.is_closing
        self.pause_reading, self.resume_reading = transport.pause_reading, transport.resume_reading

    def write(self, data: bytes) -> None:
        """Write it with what was kept; a head is kept, but for that of an answer before the answer (RFC 9110 15.2)."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Write what was kept: nothing more comes."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Write what was kept and close."""
        self.flush()
        self._transport.close()


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Between requests uvicorn's keep-alive bounds it.

    A delivery that comes whole with its header, as nearly all do, is answered without a cycle and a task of uvicorn's (`triaged.direct`).
    """

    _deadline: float | None = None  # by the loop's clock
    _timer: asyncio.TimerHandle | None = None
    _header_bytes: int = 0
    _in_header: bool = True
    _with_header: list[bytes] | None = None  # of the body of what may be answered directly: None for every other request

    def connection_made(self, transport: Any) -> None:
        """The first header is waited for from here."""
        self._app: DirectApp | None = self.app if hasattr(self.app, "directly") else None
        self._joining = _Joining(transport)
        super().connection_made(self._joining)  # type: ignore[arg-type]  # what uvicorn calls of a transport without websockets
        self._arm(HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._disarm()
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the header has no end."""
        super().data_received(data)
        if self._with_header is not None:
            self._go_the_usual_way()
        if self._in_header and not self.transport.is_closing():
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_header, self._header_bytes = True, 0
        self._arm(HEADER_SECONDS)

    def on_headers_complete(self) -> None:
        """Its body is waited for."""
        self._in_header = False
        self._arm(REQUEST_SECONDS)
        if self._is_direct():
            self._with_header = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of it."""
        if self._with_header is None:
            super().on_body(body)
        else:
            self._with_header.append(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        self._disarm()
        if self._with_header is not None and self._app is not None:
            body, self._with_header = b"".join(self._with_header), None
            begin = partial(self._app.directly, self.scope, body)
            direct = Direct(self, begin, keep_alive=self.parser.should_keep_alive())
            self.cycle = direct  # type: ignore[assignment]  # it has all that is asked of one there
            # Not at once: all that has come to any connection is read before, else the writer wakes for each and its groups halve.
            self.loop.call_soon(direct.run)
            return
        super().on_message_complete()

    def _is_direct(self) -> bool:
        """Whether the application answers this request directly, nothing stands before it, and nothing of it is for uvicorn to do."""
        parser, most = self.parser, self.limit_concurrency
        if self._app is None or parser.get_method() != b"POST" or parser.get_http_version() != "1.1" or parser.should_upgrade():
            return False
        if self.expect_100_continue or self.flow.write_paused or (most is not None and len(self.connections) >= most):
            return False
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        if any(mark in self.url for mark in b"%?#"):
            return False
        self.scope["method"], self.scope["path"] = "POST", self.url.decode("ascii", "replace")
        return self._app.takes(self.scope)

    def _go_the_usual_way(self) -> None:
        """More of the body is to come: uvicorn waits for it, with what came already."""
        pieces, self._with_header = self._with_header or [], None
        if not self.transport.is_closing():
            super().on_headers_complete()
            for each in pieces:
                super().on_body(each)

    def on_response_complete(self) -> None:
        """It is answered."""
        self._joining.flush()
        super().on_response_complete()

    def _arm(self, seconds: float) -> None:
        """Move the deadline. The timer is left where it is while it fires early enough, and looks at the deadline then."""
        self._deadline = self.loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            self._set(self._deadline)

    def _disarm(self) -> None:
        self._deadline = None

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(at, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self.loop.time() >= self._deadline:
            self._refuse(b"408 Request Timeout")
        else:
            self._set(self._deadline)

    def _refuse(self, status: bytes) -> None:
        """Say why in a line, as far as nothing was said yet, and end the connection."""
        self._disarm()
        if self._in_header:
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()
