"""The JSON API, `/api/v1` (design 8): reading, and acts that are judged like those of every other channel."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from casework.context import Casework
from casework.entering import enter
from casework.handle import perform
from itsm.act import Act, Actor, ActorKind, Entered, Verb
from itsm.errors import MalformedInput, Permanent, TriagedError
from itsm.identifier import inbox_text, parse_inbox
from itsm.ticket import State, Ticket, TicketType, parse_number
from store import credentials, entries, history, inbox, outbox, parts, series_rows, tickets
from store.credentials import ApiToken
from store.store import Store
from store.transaction import Tx
from webportal import present
from webportal.problem import problem, problem_of
from webportal.settings import WebportalSettings

Result = TypeVar("Result")
Body = TypeVar("Body", bound=msgspec.Struct)
VERBS = ", ".join(each.value for each in Verb)
MAX_AUTHORIZATION_CHARACTERS = 500


class ActBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /tickets/{number}/acts`."""

    verb: Verb
    text: str = ""
    arguments: dict[str, str] = {}
    expected_version: int | None = None


class EnterBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /tickets`: a ticket entered for somebody who called or came by."""

    subject: str
    text: str = ""
    requester: str = ""
    requester_name: str = ""
    type: str = ""
    team: str = ""
    service: str = ""
    impact: int = 0
    urgency: int = 0
    acknowledge: bool = True


class Api:
    """The endpoints over one store; `casework` gives the rules in force."""

    def __init__(
        self, store: Store, casework: Callable[[], Casework], settings: WebportalSettings, on_outgoing: Callable[[], None]
    ) -> None:
        """`on_outgoing` is called after an act that may have queued a notification."""
        self._store, self._casework, self._settings, self._on_outgoing = store, casework, settings, on_outgoing

    def routes(self) -> list[Route]:
        """The routes, each with the scope it needs."""
        return [
            Route("/api/v1/inbox", self._guarded("queue:read", self._find_inbox)),
            Route("/api/v1/inbox/{id}", self._guarded("queue:read", self._show_inbox)),
            Route("/api/v1/tickets", self._guarded("tickets:read", self._list_tickets)),
            Route("/api/v1/tickets", self._guarded("acts:write", self._enter), methods=["POST"]),
            Route("/api/v1/tickets/{number}", self._guarded("tickets:read", self._show_ticket)),
            Route("/api/v1/tickets/{number}/acts", self._guarded("acts:write", self._act), methods=["POST"]),
            Route("/api/v1/alerts", self._guarded("alerts:read", self._list_alerts)),
            Route("/api/v1/outbox", self._guarded("queue:read", self._list_outbox)),
        ]

    def _guarded(
        self, scope: str, endpoint: Callable[[Request, ApiToken], Awaitable[present.Json]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint behind its scope, with our errors as problems."""

        @wraps(endpoint)
        async def guarded(request: Request) -> Response:
            try:
                token = await self._token(request)
                if token is None:
                    return problem(
                        401,
                        "send a token: `Authorization: Bearer ...`; make one with `triaged token create`",
                        headers={"WWW-Authenticate": "Bearer"},
                    )
                if not token.may(scope):
                    return problem(403, f"the token {token.name!r} lacks the scope {scope}")
                return Response(msgspec.json.encode(await endpoint(request, token)), media_type="application/json")
            except TriagedError as error:
                return problem_of(error)

        return guarded

    async def _token(self, request: Request) -> ApiToken | None:
        kind, _, secret = request.headers.get("authorization", "")[:MAX_AUTHORIZATION_CHARACTERS].partition(" ")
        if kind.lower() != "bearer" or not secret.strip():
            return None
        return await self._store.aread(lambda tx: credentials.authenticate(tx, secret.strip()))

    def _limit(self, request: Request) -> int:
        return min(_number(request, "limit", self._settings.page_limit), 200)

    async def _find_inbox(self, request: Request, token: ApiToken) -> present.Json:
        message_id = request.query_params.get("message_id", "").strip().strip("<>")
        state = request.query_params.get("state", inbox.QUARANTINED)
        limit = self._limit(request)
        rows = await self._store.aread(
            lambda tx: inbox.find_by_message_id(tx, message_id, limit=limit) if message_id else inbox.listed(tx, state, limit=limit)
        )
        return {"items": [present.inbox(each) for each in rows]}

    async def _show_inbox(self, request: Request, token: ApiToken) -> present.Json:
        written = request.path_params["id"]
        inbox_id = parse_inbox(written)
        if inbox_id is None:
            raise Permanent(f"{written!r} is no inbox id; they look like {inbox_text(1)}", status=404)

        def work(tx: Tx) -> present.Json:
            row = inbox.find(tx, inbox_id)
            if row is None:
                raise Permanent(f"there is no {written}", status=404)
            return present.inbox(row, parts.of_inbox(tx, inbox_id))

        return await self._store.aread(work)

    async def _list_tickets(self, request: Request, token: ApiToken) -> present.Json:
        asked = request.query_params
        state = _one_of(asked.get("status"), {"open", *(each.value for each in State)}, "status")
        type_ = _one_of(asked.get("type"), {each.value for each in TicketType}, "type")
        before = _number(request, "cursor", 0) or None
        limit, requester = self._limit(request), asked.get("requester")
        rows = await self._store.aread(
            lambda tx: tickets.listed(tx, state=state, type_=type_, requester=requester, before_id=before, limit=limit)
        )
        cursor = str(rows[-1].id) if len(rows) == limit else None
        return {"items": [present.ticket(each) for each in rows], "cursor": cursor}

    async def _show_ticket(self, request: Request, token: ApiToken) -> present.Json:
        number = _ticket_number(request)

        def work(tx: Tx) -> present.Json:
            found = _ticket(tx, number)
            links = tickets.links_of(tx, found.id)
            others = tickets.by_ids(tx, [other for other, _ in links])
            return present.ticket(found) | {
                "entries": [present.entry(each) for each in entries.of_ticket(tx, found.id)],
                "history": [present.history(each) for each in history.of_stream(tx, f"ticket:{found.id}")],
                "decisions": [present.part(each) for each in parts.of_ticket(tx, found.id)],
                "notifications": [present.outbox(each) for each in outbox.listed(tx, ticket_id=found.id)],
                "links": [{"kind": kind, "ticket": present.ticket(others[other])["number"]} for other, kind in links if other in others],
            }

        return await self._store.aread(work)

    async def _act(self, request: Request, token: ApiToken) -> present.Json:
        number = _ticket_number(request)
        body = _decoded(await _limited(request, self._settings.body_limit_bytes), ActBody, f"verbs: {VERBS}")
        act = Act(
            verb=body.verb,
            ticket_number=number,
            actor=_actor(token),
            text=body.text,
            arguments=body.arguments,
            expected_version=body.expected_version,
        )
        casework = self._casework()
        done = await self._store.awrite(lambda tx: perform(tx, act, casework))
        self._on_outgoing()
        return present.ticket(done)

    async def _enter(self, request: Request, token: ApiToken) -> present.Json:
        body = _decoded(await _limited(request, self._settings.body_limit_bytes), EnterBody, "subject is needed")
        asked = Entered(actor=_actor(token), **{name: getattr(body, name) for name in body.__struct_fields__})
        casework = self._casework()
        opened = await self._store.awrite(lambda tx: enter(tx, asked, casework))
        self._on_outgoing()
        return present.ticket(opened)

    async def _list_alerts(self, request: Request, token: ApiToken) -> present.Json:
        limit, source = self._limit(request), request.query_params.get("source")
        rows = await self._store.aread(lambda tx: series_rows.open_by_source(tx, limit=limit, source=source))
        return {"items": [present.alert(each) for each in rows]}

    async def _list_outbox(self, request: Request, token: ApiToken) -> present.Json:
        limit, state = self._limit(request), request.query_params.get("state")
        rows = await self._store.aread(lambda tx: outbox.listed(tx, state=state, limit=limit))
        return {"items": [present.outbox(each) for each in rows]}


def _ticket_number(request: Request) -> int:
    written = request.path_params["number"]
    number = parse_number(written)
    if number is None:
        raise Permanent(f"{written!r} is no ticket number; they look like INC-1042", status=404)
    return number


def _ticket(tx: Tx, number: int) -> Ticket:
    found = tickets.by_numbers(tx, [number]).get(number)
    if found is None:
        raise Permanent(f"there is no ticket number {number}", status=404)
    return found


def _one_of(value: str | None, known: set[str], name: str) -> str | None:
    if value is not None and value not in known:
        raise MalformedInput(f"{name} must be one of {', '.join(sorted(known))}")
    return value


def _number(request: Request, name: str, default: int) -> int:
    written = request.query_params.get(name)
    if written is None:
        return default
    if not (written.isascii() and written.isdigit() and 0 < len(written) <= 19 and int(written) > 0):
        raise MalformedInput(f"{name} must be a positive whole number")
    return int(written)


async def _limited(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise MalformedInput(f"the body is larger than {limit} bytes", status=413)
    return bytes(body)


def _actor(token: ApiToken) -> Actor:
    """Whom a token acts as: an agent, the operator, or a source, which may not act."""
    kind, _, name = token.acts_as.partition(":")
    actor_kind = ActorKind(kind) if kind in (ActorKind.AGENT, ActorKind.OPERATOR) else ActorKind.SOURCE
    return Actor(kind=actor_kind, name=name or token.name, trust=2)


def _decoded(raw: bytes, type_: type[Body], hint: str) -> Body:
    try:
        return msgspec.json.decode(raw, type=type_)
    except msgspec.MsgspecError as error:
        raise MalformedInput(f"the body is not an act: {error}; {hint}", status=422) from error
