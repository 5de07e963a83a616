"""Answers a request that came whole with its header, without a cycle and a task of uvicorn's: a quarter of what the loop does for an alert.

What uvicorn does for any ASGI application, a task, an event, an answer in two messages, headers searched for what may not stand in one,
is not done. The order of requests that come at once, the end of a connection and errors are as with it (ADR-0019).
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from intake.http import Answer
from webportal.problem import problem

FAILED = "this should not happen; the log says more, and nothing was acknowledged"


class DirectApp(Protocol):
    """An ASGI application that also answers some requests directly."""

    def takes(self, scope: Any) -> bool:
        """Whether it answers this request directly; nothing of it is done yet."""

    def directly(self, scope: Any, body: bytes) -> Coroutine[Any, Any, Answer | Response]:
        """The answer, its headers ours and never a client's words, for they are written as they are.

        It may wait for futures of the loop and for nothing else: there is no task, so no time-out of asyncio's.
        """


class Direct:
    """One such request. It stands where uvicorn's protocol has a cycle, with all that is asked of one there."""

    __slots__ = ("_answering", "_begin", "_protocol", "disconnected", "keep_alive", "response_complete")

    def __init__(
        self, protocol: HttpToolsProtocol, begin: Callable[[], Coroutine[Any, Any, Answer | Response]], *, keep_alive: bool
    ) -> None:
        """Nothing is done before `run`. The protocol says that the client has gone, or that the connection ends with this answer."""
        self._protocol, self._begin = protocol, begin
        self._answering: Coroutine[Any, Any, Answer | Response] | None = None
        self.keep_alive, self.disconnected, self.response_complete = keep_alive, False, False

    @property
    def message_event(self) -> "Direct":
        """What wakes a cycle: here nobody waits for it."""
        return self

    def set(self) -> None:
        """Nobody waits."""

    def run(self, _done: "asyncio.Future[Any] | None" = None) -> None:
        """Do what a task does: go on to the next future, and again when that is done, or to the answer."""
        try:
            if self._answering is None:
                self._answering = self._begin()
            future = self._answering.send(None)
        except StopIteration as end:
            self._write(end.value)
        except (Exception, asyncio.CancelledError) as error:  # the boundary of one request: it is answered, and the log says what happened
            self._protocol.logger.error("Exception in a direct answer\n", exc_info=error)
            self._write(problem(500, FAILED))
        else:
            future._asyncio_future_blocking = False  # the word between a future and who waits for it: it has not been lost
            future.add_done_callback(self.run)

    def _write(self, answer: Answer | Response) -> None:
        if self.disconnected:
            return
        protocol, self.response_complete = self._protocol, True
        lines: list[bytes | memoryview] = [STATUS_LINE[answer.status_code]]
        for name, value in (*protocol.server_state.default_headers, *answer.raw_headers):
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        lines.append(answer.body)
        protocol.transport.write(b"".join(lines))
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()
