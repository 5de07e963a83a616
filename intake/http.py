"""The HTTP door: `POST /hooks/{source}` and raw mail; 2xx only after the commit (design 7)."""

import asyncio
import difflib
import hmac
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import TypeVar

import msgspec
from prometheus_client import Counter, Gauge
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from intake.accept import LAST_SEEN, Acceptor, Arrival
from intake.context import ParseContext
from intake.parse import DELIVERIES, RETRY_STATUS, digest_of, parse, plain
from intake.settings import HttpSettings, Source
from itsm.envelope import MAIL_FORMAT, Channel
from itsm.errors import MalformedInput, Transient, TriagedError
from itsm.identifier import inbox_text
from itsm.signal import Malformed
from store import refused
from store.store import Store

MAX_KEY_CHARACTERS, MAX_PATH_CHARACTERS = 255, 320
HASHED_BYTES = 4_096  # from here on a hash is cheaper than to decode
MAX_SEEN = 10_000  # bodies of which the door keeps the count
JSON = "application/json"
HOOKS = "/hooks/"

# route: hooks, messages; code: the HTTP status
REQUESTS = Counter("triaged_http_requests_total", "Requests that brought something.", ["route", "code"])


_encode = msgspec.json.Encoder().encode


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """What a source must show: a bearer token, or the key of an HMAC; empty: nothing."""

    token: str = ""
    hmac_key: str = ""


NO_SECRET = Secret()


class Call:
    """One request as ASGI hands it over; nothing of it is parsed before somebody asks."""

    __slots__ = ("_headers", "_receive", "body", "path", "peer")

    def __init__(self, scope: Scope, receive: Receive | None, body: bytes | None = None) -> None:
        """Bind the request; `peer` is its client's address, "" where the server does not know it.

        `body` is all of it where the server has it already; else it is received.
        """
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # of a name that comes twice the first counts
        self._receive = receive
        self.path: str = scope["path"]
        self.body = body
        self.peer: str = scope["client"][0] if scope.get("client") else ""

    def header(self, name: str) -> str:
        """The first header of that name in any case, "" when there is none."""
        return self._headers.get(name.lower().encode("latin-1", "replace"), b"").decode("latin-1")

    async def read(self, limit: int) -> bytes:
        """The whole body; raises MalformedInput when it is larger or the client goes away."""
        assert self._receive is not None, "what is not there is received"
        chunks: list[bytes] = []
        size_bytes, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise MalformedInput("the client went away in the middle of the body", status=400)
            chunk = message.get("body", b"")
            size_bytes += len(chunk)
            if size_bytes > limit:
                raise MalformedInput(f"the body is larger than {limit} bytes", status=413)
            chunks.append(chunk)
            more = message.get("more_body", False)
        return b"".join(chunks)


class Answer:
    """A small JSON answer as an ASGI application: the commonest one is made in a step."""

    __slots__ = ("body", "status_code")

    def __init__(self, status_code: int, body: bytes) -> None:
        """Bind them."""
        self.status_code, self.body = status_code, body

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """As Starlette's answers have them."""
        return [(b"content-length", b"%d" % len(self.body)), (b"content-type", JSON.encode())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- ASGI calls it so
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


Sent = TypeVar("Sent", Answer, Response, Answer | Response)


class Hook:
    """`POST /hooks/{source}` as a plain ASGI application, so that the commonest request need not pass through a router."""

    def __init__(self, door: "HttpDoor") -> None:
        """Bind the door."""
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one delivery."""
        answer = await self.answered(scope, receive)
        await answer(scope, receive, send)

    async def answered(self, scope: Scope, receive: Receive | None, body: bytes | None = None) -> Answer | Response:
        """The answer, of which nothing is sent yet; `body` where it need not be received."""
        return _counted("hooks", await self._door.delivered(Call(scope, receive, body)))


class HttpDoor:
    """The endpoints that take something in. `sources` and `secrets` are asked anew for each request, so that a reload counts."""

    def __init__(
        self,
        settings: HttpSettings,
        store: Store,
        acceptor: Acceptor,
        *,
        sources: Callable[[], Mapping[str, Source]],
        secrets: Callable[[], Mapping[str, Secret]],
    ) -> None:
        """One semaphore bounds the bodies in memory."""
        self._settings, self._store, self._acceptor = settings, store, acceptor
        self._sources, self._secrets = sources, secrets
        self._places = settings.requests_at_once
        self._seen: dict[bytes, int] = {}  # how many parts large bodies have, by their hash
        self.hook = Hook(self)

    def routes(self) -> list[Route]:
        """The routes of this door; `POST /api/v1/messages` is mounted by the composition root behind its token."""
        return [Route(f"{HOOKS}{{source}}", self.hook, methods=["POST"])]

    async def delivered(self, call: Call) -> Answer | Response:
        """The answer to one webhook delivery."""
        name = call.path.removeprefix(HOOKS)
        source = self._sources().get(name)
        if source is None:
            near = difflib.get_close_matches(name, self._sources(), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; configure it as [[intake.source]]"
            return _problem(404, f"there is no source {name!r}{hint}")
        try:
            return await self._delivered(call, source)
        except TriagedError as error:
            status = RETRY_STATUS[source.format] if isinstance(error, Transient) else error.status
            return _problem(status, str(error), error)

    async def _delivered(self, call: Call, source: Source) -> Answer | Response:
        secret = self._secrets().get(source.name, NO_SECRET)
        if secret.token and not _bears(call, secret.token):
            return _problem(401, "send the source's token: `Authorization: Bearer ...`", headers={"WWW-Authenticate": "Bearer"})
        body = await self._body(call, self._settings.body_limit_bytes)
        if secret.hmac_key and not _signed(call, source.hmac_header, secret.hmac_key, body):
            return _problem(401, f"the HMAC in {source.hmac_header} does not match the body")
        count, broken, digest = self._look(source, body)
        if len(broken) == count:
            reason = f"{broken[0].reason}: {broken[0].detail}" if broken[0].detail else broken[0].reason
            await self._store.awrite(lambda tx: refused.keep(tx, source=source.name, reason=reason, body=body))
            return _problem(400, f"{reason}; the body was kept for a week: `triaged queue list --of refused`")
        accepted = await self._acceptor.accept(
            Arrival(
                channel=Channel.HTTP,
                source=source.name,
                body=body,
                format=source.format,
                peer=call.peer,
                idempotency_key=_key(call, source),
                digest=digest,
            )
        )
        last_seen(source.name).set(self._store.clock().timestamp())
        if broken and source.format == "alertmanager_v2":  # what Alertmanager itself does: keep the valid, answer 400
            return _problem(400, f"{len(broken)} of {count} alerts are broken: {broken[0].reason}; the others were taken")
        answer = {"inbox_id": inbox_text(accepted.inbox_id), "parts": count, "broken": len(broken), "repeated": accepted.repeated}
        return Answer(200 if source.format == "alertmanager_v2" else 202, _encode(answer))

    def _look(self, source: Source, body: bytes) -> tuple[int, list[Malformed], bytes | None]:
        """How many parts the body has, which are broken, and its digest where that is of use.

        The former are only to choose the answer, so a quick look is enough where it finds none.
        """
        wanted = source.format in DELIVERIES and (self._acceptor.knows_bodies or len(body) >= HASHED_BYTES)
        digest = digest_of(source.format, source.name, body) if wanted else None
        count = self._plain(source, body, digest)
        if count is not None:
            return count, [], digest
        parts = parse(source.format, body, ParseContext(source=source.name, received_at=self._store.clock(), mapping=source.mapping))
        return len(parts), [each for each in parts if isinstance(each, Malformed)], digest

    def _plain(self, source: Source, body: bytes, digest: bytes | None) -> int | None:
        """The quick look; a large body that comes again, octet for octet, is not decoded again."""
        if digest is None or len(body) < HASHED_BYTES:
            return plain(source.format, body)
        count = self._seen.get(digest)
        if count is None:
            count = plain(source.format, body)
            if count is not None:
                if len(self._seen) >= MAX_SEEN:
                    del self._seen[next(iter(self._seen))]
                self._seen[digest] = count
        return count

    async def message(self, request: Request, login: str) -> Response:
        """Raw mail by the API: `message/rfc822` in, `{inbox_id}` out."""
        call = Call(request.scope, request.receive)
        try:
            kind = call.header("content-type").partition(";")[0].strip().lower()
            if kind != "message/rfc822":
                raise MalformedInput("send the raw mail with Content-Type: message/rfc822", status=415)
            body = await self._body(call, self._settings.message_limit_bytes)
            if not body:
                raise MalformedInput("the body is empty; send the raw mail", status=400)
            key = _within(call.header("idempotency-key").strip(), MAX_KEY_CHARACTERS, "Idempotency-Key")
            reverse_path = request.query_params.get("reverse_path")
            accepted = await self._acceptor.accept(
                Arrival(
                    channel=Channel.HTTP,
                    source="api",
                    body=body,
                    format=MAIL_FORMAT,
                    reverse_path=None if reverse_path is None else _within(reverse_path, MAX_PATH_CHARACTERS, "reverse_path"),
                    peer=call.peer,
                    login=None,
                    idempotency_key=(f"api/{login}", key) if key else None,
                )
            )
        except TriagedError as error:
            return _counted("messages", _problem(error.status, str(error), error))
        answer = {"inbox_id": inbox_text(accepted.inbox_id), "repeated": accepted.repeated}
        return _counted("messages", Response(msgspec.json.encode(answer), status_code=202, media_type=JSON))

    async def _body(self, call: Call, limit: int) -> bytes:
        """The whole body, under its limits of size, time and place."""
        if call.header("content-encoding").lower() not in ("", "identity"):
            raise MalformedInput("send the body without Content-Encoding", status=415)
        length = call.header("content-length")
        if length.isdecimal() and int(length) > limit:
            raise MalformedInput(f"the body has {length} bytes, at most {limit} are taken", status=413)
        if self._places <= 0:
            raise Transient("too many requests at once", retry_seconds=2)
        if call.body is not None:
            if len(call.body) > limit:
                raise MalformedInput(f"the body is larger than {limit} bytes", status=413)
            return call.body
        self._places -= 1
        try:
            async with asyncio.timeout(self._settings.body_timeout_seconds):
                return await call.read(limit)
        except TimeoutError:
            raise MalformedInput(f"the body did not come within {self._settings.body_timeout_seconds:g} s", status=408) from None
        finally:
            self._places += 1


def _bears(call: Call, token: str) -> bool:
    kind, _, given = call.header("authorization").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())


def _signed(call: Call, header: str, key: str, body: bytes) -> bool:
    given = call.header(header).strip().lower().removeprefix("sha256=")
    return hmac.compare_digest(given.encode("utf-8", "replace"), hmac.digest(key.encode(), body, "sha256").hex().encode())


def _key(call: Call, source: Source) -> tuple[str, str] | None:
    """The id the transport gives: Idempotency-Key, or the vendor's delivery id."""
    for name in ("idempotency-key", source.delivery_header):
        key = call.header(name).strip() if name else ""
        if key:  # whatever its length: it is found by its hash, and one that were cut would be the key of another delivery too
            return f"hooks/{source.name}", key
    return None


def _within(text: str, limit: int, name: str) -> str:
    """The text; raises MalformedInput for one that is longer. Cut it would be another's."""
    if len(text) > limit:
        raise MalformedInput(f"{name} is longer than {limit} characters")
    return text


def _problem(status: int, detail: str, error: TriagedError | None = None, *, headers: Mapping[str, str] | None = None) -> Response:
    """RFC 9457: what happened and what to do."""
    more = dict(headers or {})
    if isinstance(error, Transient):
        more["Retry-After"] = str(max(1, int(error.retry_seconds)))
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/problem+json", headers=more)


def _counted(route: str, response: Sent) -> Sent:
    _requests(route, response.status_code).inc()
    return response


@lru_cache(maxsize=256)
def _requests(route: str, status_code: int) -> Counter:
    """The child of the metric, kept: its look-up by label values costs more than the count."""
    return REQUESTS.labels(route, str(status_code))


@lru_cache(maxsize=1_024)
def last_seen(source: str) -> Gauge:
    """The same for the instant a source was last heard."""
    return LAST_SEEN.labels(source)
