"""HTTP/1.1 under bounds that uvicorn has none for: how large a header may be, how long it and a whole request may take (A56)."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADER_BYTES = 64 * 1024  # and what one read brings beside it
HEADER_SECONDS = 20.0  # from the connection, or from the first byte of a later request, to the end of its header
REQUEST_SECONDS = 120.0  # from the end of the header to the end of the body; a door may be stricter


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Between requests uvicorn's keep-alive bounds it."""

    _deadline: float | None = None  # by the loop's clock
    _timer: asyncio.TimerHandle | None = None
    _header_bytes: int = 0
    _in_header: bool = True

    def connection_made(self, transport: Any) -> None:
        """The first header is waited for from here."""
        super().connection_made(transport)
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
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """It is whole."""
        self._disarm()
        super().on_message_complete()

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
