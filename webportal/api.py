"""The JSON API, `/api/v1` (design 8): routes made of the table of operations, each behind its token and its permission."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from http import HTTPStatus

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from casework.context import Casework
from itsm.errors import MalformedInput, Permanent, TriagedError
from itsm.permission import Principal, Verdict, may, principal_of
from store import answers, credentials
from store.credentials import ApiToken
from store.store import Store
from store.transaction import Tx
from webportal.asking import Ask, Nothing, decoded_body, decoded_query
from webportal.openapi import document
from webportal.operations import JSON, OCTETS, OPERATIONS, PREFIX, Operation
from webportal.problem import problem, problem_of
from webportal.settings import WebportalSettings

MAX_AUTHORIZATION_CHARACTERS = 500
MAX_KEY_CHARACTERS = 255
NO_TOKEN = "send a token: `Authorization: Bearer ...`; make one with `triaged token create`"  # noqa: S105 -- words, no secret
ANYONE = "loopback"
DENIED_AGAIN = timedelta(minutes=1)  # a token that asks on and on writes one entry in this time for each operation
Port = Callable[[Request, str], Awaitable[Response]]


class Api:
    """The endpoints over one store; `casework` gives the rules in force."""

    def __init__(
        self,
        store: Store,
        casework: Callable[[], Casework],
        settings: WebportalSettings,
        on_outgoing: Callable[[], None],
        *,
        on_incoming: Callable[[], None] = lambda: None,
        ports: dict[str, Port] | None = None,
        open_ports: bool = False,
        version: str = "0",
    ) -> None:
        """Bind what the endpoints need.

        `on_outgoing` and `on_incoming` are called after a change that may have left something to send or to triage. `ports` are
        the operations of other packages by name, called with the name of the token: their requests are read there. `open_ports`
        lets anybody use them who shows no credential at all: on loopback (design 7).
        """
        self._store, self._casework, self._settings = store, casework, settings
        self._on_outgoing, self._on_incoming, self._ports = on_outgoing, on_incoming, ports or {}
        self._open_ports = open_ports
        self._denied: dict[tuple[int, str], tuple[datetime, int]] = {}  # by token and operation: when it was noted, and how often since
        self._document = msgspec.json.encode(document(OPERATIONS, version, open_ports=open_ports))

    def routes(self) -> list[Route]:
        """A route for every operation that is bound here, and one for their description, which needs no token."""
        bound = [each for each in OPERATIONS if each.run is not None or each.name in self._ports]
        described = Route(f"{PREFIX}/openapi.json", self._describe, methods=["GET"])
        return [described, *(Route(PREFIX + each.path, self._endpoint(each), methods=[each.method]) for each in bound)]

    async def _describe(self, _request: Request) -> Response:
        return Response(self._document, media_type=JSON)

    def _endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        """The operation behind its token and its permission, with our errors as problems."""

        async def endpoint(request: Request) -> Response:
            try:
                if operation.run is None and self._open_ports and "authorization" not in request.headers:
                    return await self._ports[operation.name](request, ANYONE)
                token = await self._token(request)
                principal = self._principal(token) if token is not None else None
                if token is None or principal is None:
                    return problem(401, NO_TOKEN, headers={"WWW-Authenticate": "Bearer"})
                if may(principal, operation.action) is not Verdict.YES:
                    why = _denied(operation, principal, token)
                    await self._note_denied(operation, principal, token, why)
                    return problem(403, why)
                if operation.run is None:
                    return await self._ports[operation.name](request, token.name)
                return await self._answer_or_note(request, operation, principal, token)
            except TriagedError as error:
                return problem_of(error)

        return endpoint

    async def _answer_or_note(self, request: Request, operation: Operation, principal: Principal, token: ApiToken) -> Response:
        """The answer; an act on what is not there for this token is a denied one too, whoever else may see it."""
        try:
            return await self._answer(request, operation, principal, token)
        except Permanent as error:
            if error.status == HTTPStatus.NOT_FOUND:
                await self._note_denied(operation, principal, token, str(error))
            raise

    async def _note_denied(self, operation: Operation, principal: Principal, token: ApiToken, why: str) -> None:
        """Denied acts are kept, reads never (design 5); of those that come again within a minute only their number."""
        if not operation.writes:
            return
        key, now = (token.id, operation.name), self._store.clock()
        since, left_out = self._denied.get(key, (None, 0))
        if since is not None and now - since < DENIED_AGAIN:
            self._denied[key] = (since, left_out + 1)
            return
        self._denied[key] = (now, 0)
        actor = f"{principal.role.value}:{principal.name}"
        await self._store.awrite(lambda tx: credentials.note_denied(tx, token, actor, operation.name, why, times=left_out + 1))

    async def _token(self, request: Request) -> ApiToken | None:
        kind, _, secret = request.headers.get("authorization", "")[:MAX_AUTHORIZATION_CHARACTERS].partition(" ")
        if kind.lower() != "bearer" or not secret.strip():
            return None
        return await self._store.aread(lambda tx: credentials.authenticate(tx, secret.strip()))

    def _principal(self, token: ApiToken) -> Principal | None:
        return principal_of(token.acts_as, token=token.name, scopes=token.scopes, desk=self._casework().desk)

    async def _answer(self, request: Request, operation: Operation, principal: Principal, token: ApiToken) -> Response:
        run = operation.run
        assert run is not None, "ports answer for themselves"
        query = decoded_query(dict(request.query_params), operation.query)
        raw = await self._body(request, operation) if operation.writes else b""
        body = decoded_body(raw, operation.body, _hint(operation)) if operation.body is not None else Nothing()
        ask = Ask(
            principal=principal,
            action=operation.action,
            path=request.path_params,
            query=query,
            body=body,
            raw=raw,
            page_limit=self._settings.page_limit,
            casework=self._casework(),
        )
        if not operation.writes:
            found = await self._store.aread(lambda tx: run(tx, ask))
            return _response(operation, found if isinstance(found, bytes) else msgspec.json.encode(found))
        key = request.headers.get("idempotency-key", "").strip()
        if len(key) > MAX_KEY_CHARACTERS:
            raise MalformedInput(f"Idempotency-Key is longer than {MAX_KEY_CHARACTERS} characters")
        digest = _digest(request, raw)

        def once(tx: Tx) -> bytes:
            """Look, act and keep the answer in one transaction: of two that come together one acts."""
            door = f"api/{token.id}"
            known = answers.first(tx, door, key, digest) if key else None
            if known is not None:
                return known
            done = msgspec.json.encode(run(tx, ask))
            if key:
                answers.remember(tx, door, key, digest, done)
            return done

        answered = await self._store.awrite(once)
        self._on_outgoing()
        self._on_incoming()
        return _response(operation, answered)

    async def _body(self, request: Request, operation: Operation) -> bytes:
        """The whole body, under its limits of size and time."""
        limit = self._settings.raw_limit_bytes if operation.takes else self._settings.body_limit_bytes
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_timeout_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > limit:
                        raise MalformedInput(f"the body is larger than {limit} bytes", status=413)
        except TimeoutError:
            raise MalformedInput(f"the body did not come within {self._settings.body_timeout_seconds:g} s", status=408) from None
        except ClientDisconnect:
            raise MalformedInput("the client went away in the middle of the body") from None
        if operation.takes and not body:
            raise MalformedInput("the body is empty; send the new bytes", status=422)
        return bytes(body)


def _digest(request: Request, raw: bytes) -> bytes:
    """What makes two requests the same: method, path, query and body."""
    head = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(head + raw).digest()


def _response(operation: Operation, body: bytes) -> Response:
    if operation.answer is not None:
        return Response(body, status_code=operation.status, media_type=JSON)
    return Response(  # bytes from outside: never shown as a page of ours
        body, media_type=OCTETS, headers={"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
    )


def _denied(operation: Operation, principal: Principal, token: ApiToken) -> str:
    if not principal.scopes & {operation.scope, "admin"}:
        return f"the token {token.name!r} lacks the scope {operation.scope}"
    return f"{principal.role.value} {principal.name} may not do this ({operation.name})"


def _hint(operation: Operation) -> str:
    fields = ", ".join(operation.body.__struct_fields__) if operation.body is not None else ""
    return f"its fields: {fields}; see {PREFIX}/openapi.json"
