"""The HTTP side of the API as a FastAPI application with one order of checks and one shape of errors.

The order is: HTTPS, known URL, known verb, room for one more request, token, rate, and only then the request itself.
Nothing here or below answers anything but JSON.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http import HTTPMethod
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from mts_common import database
from mts_gateway import refusals
from mts_gateway.batcher import Overloaded
from mts_gateway.endpoint import QUERY, AdmitsCalls, Bounds, traced
from mts_gateway.fields import MalformedQuery
from mts_gateway.refusals import Refused
from mts_gateway.render import to_json
from mts_gateway.strict_json import MalformedBody

HEADERS = frozenset({b"accept", b"authorization", b"content-length", b"idempotency-key", b"traceparent"})

_log = logging.getLogger(__name__)


class ApiResponse(JSONResponse):
    """An answer in exact JSON that nobody may keep."""

    media_type = "application/json; charset=utf-8"

    def __init__(self, content: object, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status_code, {"Cache-Control": "no-store", **(headers or {})})

    def render(self, content: object) -> bytes:
        """The body."""
        return to_json(content)


class Guard:
    """What must be done around FastAPI.

    FastAPI reads the whole query and every cookie before it asks who is calling: up to Python 3.11.9 a hostile cookie
    takes seconds. It also traces the query, and OpenTelemetry writes baggage that it cannot read to the log. So FastAPI
    sees only the headers that the API uses, and no query; that is left to `ApiRequest.query`.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["scheme"] != "https" and not scope["path"].startswith("/health/"):
            answer = _answer(refusals.bad_request("the API is available over HTTPS only"))
            await answer(scope, receive, send)
            return
        headers = [header for header in scope["headers"] if header[0] in HEADERS]
        inner = {**scope, "headers": headers, "query_string": b"", QUERY: scope["query_string"]}
        with suppress(Exception):  # answered and logged by `_fault`; uvicorn would cut the connection over it
            await self._app(inner, receive, send)


def application(
    routers: Iterable[APIRouter],
    admission: AdmitsCalls,
    document: Mapping[str, object],
    bounds: Bounds,
) -> Guard:
    """The ASGI application that serves `routers`; `document` is its OpenAPI document."""
    app = FastAPI(
        openapi_url=None,  # FastAPI would serve the document without a charset; `routes_service` does
        redirect_slashes=False,
        exception_handlers=_HANDLERS,
        telemetry=traced(),
    )
    app.openapi = lambda: dict(document)  # type: ignore[method-assign]
    app.state.admission = admission
    app.state.bounds = bounds
    for router in routers:
        app.include_router(router)
    return Guard(app)


def _answer(refused: Refused) -> ApiResponse:
    return ApiResponse(refused.body, refused.status, refused.headers)


async def _refused(_request: Request, refused: Refused) -> ApiResponse:
    return _answer(refused)


async def _malformed(_request: Request, error: MalformedBody | MalformedQuery) -> ApiResponse:
    return _answer(refusals.bad_request(str(error)))


async def _client_gone(_request: Request, _error: ClientDisconnect) -> ApiResponse:
    """Nobody is there to take it."""
    return _answer(refusals.bad_request("the request ended before its body was whole"))


async def _overloaded(_request: Request, _error: Overloaded) -> ApiResponse:
    return _answer(refusals.unavailable("too much is waiting to be stored", 1))


async def _unavailable(request: Request, error: Exception) -> ApiResponse:
    _log.warning("%s %s: %s", request.method, request.scope["path"], type(error).__name__)
    return _answer(refusals.unavailable("the database cannot be reached at the moment"))


async def _fault(request: Request, error: Exception) -> ApiResponse:
    _log.error("%s %s failed", request.method, request.scope["path"], exc_info=error)
    return _answer(Refused(500, ["a fault of the server; it has been logged"]))


async def _unknown_url(_request: Request, _error: Exception) -> ApiResponse:
    return _answer(Refused(404, ["there is nothing at this URL"]))


def allowed_verbs(request: Request) -> str:
    """For Allow, over all routes of the URL; Starlette's own names the verbs of one route."""
    return ", ".join(sorted(verb for verb in HTTPMethod if _takes(request, verb)))


async def _wrong_verb(request: Request, _error: Exception) -> ApiResponse:
    allowed = allowed_verbs(request)
    details = [f"this URL does not take {request.method}, only {allowed}"]
    return _answer(Refused(405, details, headers={"Allow": allowed}))


def _takes(request: Request, verb: str) -> bool:
    scope = {**request.scope, "method": verb}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)


_HANDLERS: dict[int | type[Exception], Any] = {
    Exception: _fault,
    404: _unknown_url,
    405: _wrong_verb,
    Refused: _refused,
    MalformedBody: _malformed,
    MalformedQuery: _malformed,
    ClientDisconnect: _client_gone,
    Overloaded: _overloaded,
    **dict.fromkeys(database.UNAVAILABLE, _unavailable),
}
