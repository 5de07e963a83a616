"""Every HTTP door as one application, its probes, and the server that runs it on our loop."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from intake.http import HOOKS, Answer, Hook
from intake.settings import host_and_port, on_loopback
from itsm.errors import Transient
from triaged.bounded_http import BoundedProtocol
from triaged.direct import FAILED
from triaged.readiness import Readiness
from webportal.problem import problem

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
KEEP_ALIVE_SECONDS, GRACE_SECONDS, MAX_CONNECTIONS = 65, 5, 2_000
BACKLOG = 2_048  # connections that wait to be taken, as uvicorn has it


def probes(readiness: Readiness) -> list[Route]:
    """`/healthz`, `/readyz` and `/metrics`: no token, no personal data."""

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        reasons = readiness.reasons()
        body = {"ready": not reasons, "reasons": reasons, "degraded": readiness.degraded()}
        return Response(msgspec.json.encode(body), status_code=503 if reasons else 200, media_type="application/json")

    async def metrics(_request: Request) -> Response:
        return Response(await asyncio.to_thread(generate_latest), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


class KnownHost:
    """Answers only requests whose Host names us, so that a browser cannot be led to a loopback door under another name."""

    def __init__(self, app: Any, *, names: Sequence[str], any_name: bool) -> None:
        """`any_name` lets every name in: a door that is open to others and lists none."""
        self._app, self._names, self._any = app, frozenset(name.lower() for name in names), any_name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse with 421 (RFC 9110 15.5.20)."""
        if scope["type"] == "http" and not self.admits(scope):
            response = problem(421, "the Host of this request is not one of ours; list it in [intake.http] hosts")
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def admits(self, scope: Any) -> bool:
        """Whether the Host of an HTTP request is one of ours."""
        if self._any:
            return True
        for name, value in scope["headers"]:
            if name == b"host":
                return _host(value) in self._names
        return False


@lru_cache(maxsize=64)
def _host(header: bytes) -> str:
    """The name in a Host header, without its port."""
    value = header.decode("latin-1").lower()
    head, colon, port = value.rpartition(":")
    return head if colon and port.isdecimal() else value


class HooksFirst:
    """Hands deliveries straight to their door: they are nearly all the requests there are, and need no search through the routes."""

    def __init__(self, app: Any, *, hook: Hook, admits: Callable[[Any], bool]) -> None:
        """`admits` looks at the Host of a request; what it does not know the usual way refuses."""
        self._app, self._hook, self._admits = app, hook, admits

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """What is no POST to a source goes the usual way."""
        if scope["type"] != "http" or scope["method"] != "POST" or not self.takes(scope):
            await self._app(scope, receive, send)
            return
        try:
            answer = await self._hook.answered(scope, receive)
        except Exception:  # the boundary of one request: it is answered, and the server logs what happened
            await problem(500, FAILED)(scope, receive, send)
            raise
        await answer(scope, receive, send)

    def takes(self, scope: Any) -> bool:
        """Whether this POST is a delivery, under a Host that is ours and by a path with nothing to be decoded in it."""
        path: str = scope["path"]
        return path.startswith(HOOKS) and self._admits(scope)

    def directly(self, scope: Any, body: bytes) -> Coroutine[Any, Any, Answer | Response]:
        """Its answer, where the server has the body already."""
        return self._hook.answered(scope, None, body)


def application(routes: Sequence[BaseRoute], *, listen: str, hosts: Sequence[str] = (), hook: Hook | None = None) -> ASGIApp:
    """The routes behind the check of the Host header; an error of ours is a problem document, never a traceback.

    `hook` answers `POST /hooks/...` without them.
    """
    loopback = on_loopback(listen)
    names = (*hosts, *LOOPBACK_NAMES)  # these too: no name server answers for them, and `healthcheck` calls us so
    any_name = not loopback and not hosts
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {404: _not_found, 405: _not_allowed, 500: _failed}
    known = Middleware(KnownHost, names=names, any_name=any_name)
    usual = Starlette(routes=list(routes), middleware=[known], exception_handlers=handlers)
    if hook is None:
        return usual
    return HooksFirst(usual, hook=hook, admits=KnownHost(usual, names=names, any_name=any_name).admits)


async def _not_found(request: Request, _error: Exception) -> Response:
    return problem(404, f"there is nothing at {request.url.path}")


async def _not_allowed(request: Request, _error: Exception) -> Response:
    return problem(405, f"{request.method} is not for {request.url.path}")


async def _failed(_request: Request, _error: Exception) -> Response:
    return problem(500, FAILED)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the supervisor has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


class WebServer:
    """One listener. `start` listens, so that a port that is taken is told at once and whoever comes early waits; `run` serves."""

    def __init__(self, app: ASGIApp, listen: str, *, connections: int = MAX_CONNECTIONS) -> None:
        """Nothing is bound yet. Beyond so many connections a request is answered 503."""
        self._listen = listen
        self._socket: socket.socket | None = None
        self._server = _Server(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                lifespan="off",
                log_config=None,
                access_log=False,
                ws="none",
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
                limit_concurrency=connections,
            )
        )

    @property
    def port(self) -> int:
        """The port that was bound."""
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Listen; raises Transient when the address is taken or not ours."""
        host, port = host_and_port(self._listen)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
            bound.listen(BACKLOG)
            bound.set_inheritable(False)
        except OSError as error:
            bound.close()
            raise Transient(f"cannot listen on {self._listen}: {error.strerror}; is something else listening there?") from error
        self._socket = bound

    async def run(self) -> None:
        """Serve until closed."""
        assert self._socket is not None
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Take no more connections, finish the requests at hand."""
        self._server.should_exit = True
