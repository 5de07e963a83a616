"""Errors as problem+json (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from itsm.errors import Refused, Transient, TriagedError


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: object) -> Response:
    """A problem document: what happened and what to do."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/problem+json", headers=dict(headers or {}))


def problem_of(error: TriagedError) -> Response:
    """The problem of one of our errors."""
    if isinstance(error, Refused):
        return problem(error.status, str(error), legal_acts=list(error.legal))
    headers = {"Retry-After": str(max(1, int(error.retry_seconds)))} if isinstance(error, Transient) else {}
    return problem(error.status, str(error), headers=headers)
