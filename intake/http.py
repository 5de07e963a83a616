"""The HTTP door: `POST /hooks/{source}` and raw mail; 2xx only after the commit (design 7)."""

import asyncio
import difflib
import hmac
from collections.abc import Callable, Mapping
from http import HTTPStatus

import msgspec
from prometheus_client import Counter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from intake.accept import LAST_SEEN, Acceptor, Arrival
from intake.context import ParseContext
from intake.parse import RETRY_STATUS, parse
from intake.settings import HttpSettings, Source
from itsm.envelope import MAIL_FORMAT, Channel
from itsm.errors import MalformedInput, Transient, TriagedError
from itsm.identifier import inbox_text
from itsm.signal import Malformed
from store import refused
from store.store import Store

MAX_KEY_CHARACTERS = 255
JSON = "application/json"

# route: hooks, messages; code: the HTTP status
REQUESTS = Counter("triaged_http_requests_total", "Requests that brought something.", ["route", "code"])


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """What a source must show: a bearer token, or the key of an HMAC; empty: nothing."""

    token: str = ""
    hmac_key: str = ""


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

    def routes(self) -> list[Route]:
        """The routes of this door; `POST /api/v1/messages` is mounted by the composition root behind its token."""
        return [Route("/hooks/{source}", self.hook, methods=["POST"])]

    async def hook(self, request: Request) -> Response:
        """One webhook delivery."""
        name = request.path_params["source"]
        source = self._sources().get(name)
        if source is None:
            near = difflib.get_close_matches(name, self._sources(), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; configure it as [[intake.source]]"
            return _counted("hooks", _problem(404, f"there is no source {name!r}{hint}"))
        try:
            return _counted("hooks", await self._hook(request, source))
        except TriagedError as error:
            status = RETRY_STATUS[source.format] if isinstance(error, Transient) else error.status
            return _counted("hooks", _problem(status, str(error), error))

    async def _hook(self, request: Request, source: Source) -> Response:
        secret = self._secrets().get(source.name, Secret())
        if secret.token and not _bears(request, secret.token):
            return _problem(401, "send the source's token: `Authorization: Bearer ...`", headers={"WWW-Authenticate": "Bearer"})
        body = await self._body(request, self._settings.body_limit_bytes)
        if secret.hmac_key and not _signed(request, source.hmac_header, secret.hmac_key, body):
            return _problem(401, f"the HMAC in {source.hmac_header} does not match the body")
        context = ParseContext(source=source.name, received_at=self._store.clock(), mapping=source.mapping)
        parts = parse(source.format, body, context)
        broken = [each for each in parts if isinstance(each, Malformed)]
        if len(broken) == len(parts):
            reason = f"{broken[0].reason}: {broken[0].detail}" if broken[0].detail else broken[0].reason
            await self._store.awrite(lambda tx: refused.keep(tx, source=source.name, reason=reason, body=body))
            return _problem(400, f"{reason}; the body was kept for a week: `triaged queue list --of refused`")
        accepted = await self._acceptor.accept(
            Arrival(
                channel=Channel.HTTP,
                source=source.name,
                body=body,
                format=source.format,
                peer=request.client.host if request.client else "",
                idempotency_key=_key(request, source),
            )
        )
        LAST_SEEN.labels(source.name).set(self._store.clock().timestamp())
        if broken and source.format == "alertmanager_v2":  # what Alertmanager itself does: keep the valid, answer 400
            return _problem(400, f"{len(broken)} of {len(parts)} alerts are broken: {broken[0].reason}; the others were taken")
        answer = {"inbox_id": inbox_text(accepted.inbox_id), "parts": len(parts), "broken": len(broken), "repeated": accepted.repeated}
        return Response(msgspec.json.encode(answer), status_code=200 if source.format == "alertmanager_v2" else 202, media_type=JSON)

    async def message(self, request: Request, login: str) -> Response:
        """Raw mail by the API: `message/rfc822` in, `{inbox_id}` out."""
        try:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "message/rfc822":
                raise MalformedInput("send the raw mail with Content-Type: message/rfc822", status=415)
            body = await self._body(request, self._settings.message_limit_bytes)
            if not body:
                raise MalformedInput("the body is empty; send the raw mail", status=400)
            key = request.headers.get("idempotency-key", "")[:MAX_KEY_CHARACTERS]
            accepted = await self._acceptor.accept(
                Arrival(
                    channel=Channel.HTTP,
                    source="api",
                    body=body,
                    format=MAIL_FORMAT,
                    reverse_path=request.query_params.get("reverse_path"),
                    peer=request.client.host if request.client else "",
                    login=None,
                    idempotency_key=(f"api/{login}", key) if key else None,
                )
            )
        except TriagedError as error:
            return _counted("messages", _problem(error.status, str(error), error))
        answer = {"inbox_id": inbox_text(accepted.inbox_id), "repeated": accepted.repeated}
        return _counted("messages", Response(msgspec.json.encode(answer), status_code=202, media_type=JSON))

    async def _body(self, request: Request, limit: int) -> bytes:
        """The whole body, under its limits of size, time and place."""
        if request.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise MalformedInput("send the body without Content-Encoding", status=415)
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            raise MalformedInput(f"the body has {length} bytes, at most {limit} are taken", status=413)
        if self._places <= 0:
            raise Transient("too many requests at once", retry_seconds=2)
        self._places -= 1
        try:
            async with asyncio.timeout(self._settings.body_timeout_seconds):
                return await _read(request, limit)
        except TimeoutError:
            raise MalformedInput(f"the body did not come within {self._settings.body_timeout_seconds:g} s", status=408) from None
        except ClientDisconnect:
            raise MalformedInput("the client went away in the middle of the body", status=400) from None
        finally:
            self._places += 1


async def _read(request: Request, limit: int) -> bytes:
    chunks: list[bytes] = []
    size_bytes = 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > limit:
            raise MalformedInput(f"the body is larger than {limit} bytes", status=413)
        chunks.append(chunk)
    return b"".join(chunks)


def _bears(request: Request, token: str) -> bool:
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())


def _signed(request: Request, header: str, key: str, body: bytes) -> bool:
    given = request.headers.get(header, "").strip().lower().removeprefix("sha256=")
    return hmac.compare_digest(given.encode("utf-8", "replace"), hmac.digest(key.encode(), body, "sha256").hex().encode())


def _key(request: Request, source: Source) -> tuple[str, str] | None:
    """The id the transport gives: Idempotency-Key, or the vendor's delivery id."""
    for name in ("idempotency-key", source.delivery_header):
        key = request.headers.get(name, "").strip()[:MAX_KEY_CHARACTERS] if name else ""
        if key:
            return f"hooks/{source.name}", key
    return None


def _problem(status: int, detail: str, error: TriagedError | None = None, *, headers: Mapping[str, str] | None = None) -> Response:
    """RFC 9457: what happened and what to do."""
    more = dict(headers or {})
    if isinstance(error, Transient):
        more["Retry-After"] = str(max(1, int(error.retry_seconds)))
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/problem+json", headers=more)


def _counted(route: str, response: Response) -> Response:
    REQUESTS.labels(route, str(response.status_code)).inc()
    return response
