"""The application behind /oauth, /token and /ctapi: what stands around its endpoints, and the shapes of its errors.

The order of checks is: TLS if it is required, known path, known verb, room for one more request, caller, rate, and only
then the request itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import asyncpg
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from mts_common import database
from mts_common.database import Pool, Statements
from mts_gateway.carbontrack import distributor, envelope
from mts_gateway.carbontrack.customer import Customers
from mts_gateway.carbontrack.device import Devices
from mts_gateway.carbontrack.entities import Entities
from mts_gateway.carbontrack.envelope import Refusal
from mts_gateway.carbontrack.measurement import Measurements
from mts_gateway.carbontrack.oauth import Denied, OAuth, denial, is_oauth
from mts_gateway.carbontrack.principal import Principals
from mts_gateway.carbontrack.reading import Reading
from mts_gateway.carbontrack.records import Records
from mts_gateway.carbontrack.reply import refuse
from mts_gateway.carbontrack.tokens import Tokens
from mts_gateway.endpoint import QUERY, Bounds, traced
from mts_gateway.refusals import Refused
from mts_gateway.settings import GatewaySettings
from mts_gateway.users import Users
from mts_gateway.web import allowed_verbs

_HEADERS = frozenset(
    {b"accept", b"authorization", b"content-length", b"content-type", b"password", b"traceparent", b"userid"}
)
_PATH = "mts.path"  # of the ASGI scope: as it was asked for
_VIEWS_AWAY = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InsufficientPrivilegeError,
)
_OAUTH_ERRORS = {500: "server_error", 503: "temporarily_unavailable"}

_log = logging.getLogger(__name__)


class CarbonTrack:
    """The parts of this API over an open pool, and the application that serves them."""

    def __init__(self, pool: Pool, users: Users, settings: GatewaySettings, bounds: Bounds) -> None:
        self._pool = pool
        self._sql = Statements("mts_gateway.carbontrack")
        self._views = Statements("mts_gateway.carbontrack.readings")
        turns = asyncio.Semaphore(max(1, settings.pool_size // 2))
        own, views = Reading(pool, self._sql, turns), Reading(pool, self._views, turns)
        tokens = Tokens(pool, self._sql, settings.gateway_ct_token_ttl)
        entities = Entities(own)
        app = FastAPI(
            openapi_url=None,
            redirect_slashes=False,
            exception_handlers=_HANDLERS,
            telemetry=traced(),
        )
        app.state.bounds = bounds
        app.state.principals = Principals(pool, self._sql, users, tokens)
        for router in (
            OAuth(tokens, users).router(),
            distributor.router(),
            Customers(own).router(),
            Devices(views, entities).router(),
            Measurements(entities, Records(views), _now).router(),
        ):
            app.include_router(router)
        self.app = Entrance(app, require_tls=settings.gateway_ct_require_tls)

    async def check(self) -> None:
        """Raises `StatementFault` if the gateway's schema is not the one this code is written for."""
        await self._sql.check(self._pool)

    async def check_views(self) -> None:
        """Raises `StatementFault` if the published views are not."""
        await self._views.check(self._pool)


class Entrance:
    """Lets the application see one spelling of each path, the headers that it uses, and no query.

    The query may hold a password; whoever reads it takes it from the scope, and nothing traces or logs it there.
    """

    def __init__(self, app: ASGIApp, *, require_tls: bool) -> None:
        self._app = app
        self._require_tls = require_tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"].lower().removesuffix("/")
        inner = {
            **scope,
            "path": path,
            "raw_path": path.encode("utf-8", "surrogateescape"),
            "headers": [header for header in scope["headers"] if header[0] in _HEADERS],
            "query_string": b"",
            QUERY: scope["query_string"],
            _PATH: scope["path"],
        }
        if self._require_tls and _is_plain(scope):
            answer = _refuse(Request(inner), Refusal(envelope.NOT_YOURS, "TLS is required."))
            await answer(inner, receive, send)
            return
        with suppress(Exception):  # answered and logged by `_fault`; uvicorn would cut the connection over it
            await self._app(inner, receive, send)


def _is_plain(scope: Scope) -> bool:
    """Whether the request came in clear, here or, as a proxy says, before; this is believed of any proxy."""
    said = (value for name, value in scope["headers"] if name == b"x-forwarded-proto")
    return scope["scheme"] != "https" or any(value.split(b",")[0].strip().lower() == b"http" for value in said)


def _now() -> datetime:
    return datetime.now(UTC)


def _refuse(request: Request, refusal: Refusal) -> Response:
    """In the shape of the path's errors."""
    if not is_oauth(request):
        return refuse(request, refusal)
    error = _OAUTH_ERRORS.get(refusal.status, "invalid_request")
    return denial(Denied(error, refusal.detail or refusal.message, status=refusal.status, headers=refusal.headers))


async def _refused(request: Request, refusal: Refusal) -> Response:
    return _refuse(request, refusal)


async def _denied(_request: Request, denied: Denied) -> Response:
    return denial(denied)


async def _out_of_bounds(request: Request, refused: Refused) -> Response:
    """What `ApiRoute` and `ApiRequest` refuse."""
    number = envelope.UNAVAILABLE if refused.status == 503 else envelope.MALFORMED
    details: Any = refused.body["details"]
    return _refuse(request, Refusal(number, "The request is not taken.", "; ".join(details), headers=refused.headers))


async def _client_gone(request: Request, _error: ClientDisconnect) -> Response:
    """Nobody is there to take it."""
    return _refuse(request, envelope.malformed("the request ended before its body was whole"))


async def _unknown_path(request: Request, _error: Exception) -> Response:
    return _refuse(request, Refusal(envelope.UNKNOWN_PATH, "There is nothing at this path.", request.scope[_PATH]))


async def _wrong_verb(request: Request, _error: Exception) -> Response:
    allowed = allowed_verbs(request)
    text = f"This path takes {allowed} only."
    return _refuse(request, Refusal(envelope.WRONG_VERB, text, request.method, headers={"Allow": allowed}))


async def _unavailable(request: Request, error: Exception) -> Response:
    _log.warning("%s %s: %s", request.method, request.scope["path"], type(error).__name__)
    return _refuse(request, Refusal(envelope.UNAVAILABLE, "Our API is down. Please try again.", headers=_SOON))


async def _fault(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.scope["path"], exc_info=error)
    return _refuse(request, Refusal(envelope.FAULT, "A fault of the server; it has been logged."))


_SOON: Mapping[str, str] = {"Retry-After": "2"}
_HANDLERS: dict[int | type[Exception], Any] = {
    Exception: _fault,
    404: _unknown_path,
    405: _wrong_verb,
    Refusal: _refused,
    Denied: _denied,
    Refused: _out_of_bounds,
    ClientDisconnect: _client_gone,
    **dict.fromkeys((*database.UNAVAILABLE, *_VIEWS_AWAY), _unavailable),
}
