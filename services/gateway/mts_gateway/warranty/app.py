"""The application behind /fscmRestApi: one order of checks, one shape of errors.

The order is (§1): who calls, may they, is there such a thing, can that be done with it, can it be answered in a media
type that the client takes, and only then what the request says.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from http import HTTPStatus

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mts_common import database
from mts_common.database import Pool
from mts_gateway.admission import Admission
from mts_gateway.batcher import Overloaded
from mts_gateway.endpoint import QUERY, ApiRequest, Bounds, traced
from mts_gateway.refusals import Refused
from mts_gateway.render import to_json
from mts_gateway.strict_json import MalformedBody
from mts_gateway.users import Users
from mts_gateway.warranty import negotiation, targets
from mts_gateway.warranty.callers import READ, WRITE, Callers
from mts_gateway.warranty.describe import catalogue, describe
from mts_gateway.warranty.exchange import Answer, Asked, origin_of
from mts_gateway.warranty.faults import Code, Fault, bad, not_found, refused, unavailable
from mts_gateway.warranty.negotiation import Accepted
from mts_gateway.warranty.parameters import read_query
from mts_gateway.warranty.reads import Reads
from mts_gateway.warranty.resources import CONTRACTS, METERS
from mts_gateway.warranty.targets import ITEMS, Place, Target
from mts_gateway.warranty.writes import Writes

_log = logging.getLogger(__name__)

Handler = Callable[[Asked], Awaitable[Answer]]


def application(
    pool: Pool, users: Users, admission: Admission, bounds: Bounds, public_url: str | None, *, trust_proxy: bool
) -> ASGIApp:
    """The ASGI application. Links begin with `public_url`, or with what the client has asked."""
    api = _Api(Callers(pool, users, admission), Reads(pool), Writes(pool), public_url, trust_proxy=trust_proxy)
    routes: list[BaseRoute] = [Route(template, api) for template in (*targets.TEMPLATES, "/{path:path}")]
    app = FastAPI(routes=routes, openapi_url=None, redirect_slashes=False, telemetry=traced())
    app.state.bounds = bounds
    return _Entrance(app)


class _Entrance:
    """Lets FastAPI, which reads and traces more than this API uses, see no query, no cookie and no baggage."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = [header for header in scope["headers"] if header[0] not in _UNUSED]
        inner = {**scope, "headers": headers, "query_string": b"", QUERY: scope["query_string"]}
        await self._app(inner, receive, send)


class _Api:
    def __init__(
        self, callers: Callers, reads: Reads, writes: Writes, public_url: str | None, *, trust_proxy: bool
    ) -> None:
        self._callers = callers
        self._reads = reads
        self._public_url = public_url
        self._trust_proxy = trust_proxy
        self._handlers: dict[tuple[Place, str], Handler] = {
            (Place.CATALOGUE, "GET"): _catalogue,
            (Place.DESCRIBE, "GET"): _describe_contracts,
            (Place.DESCRIBE_CONTRACTS, "GET"): _describe_contracts,
            (Place.DESCRIBE_METERS, "GET"): _describe_meters,
            (Place.CONTRACTS, "GET"): reads.contracts,
            (Place.CONTRACT, "GET"): reads.contract,
            (Place.METERS, "GET"): reads.meters,
            (Place.METER, "GET"): reads.meter,
            (Place.CONTRACTS, "POST"): writes.add_contract,
            (Place.CONTRACT, "PATCH"): writes.change_contract,
            (Place.METERS, "POST"): writes.add_meter,
            (Place.METER, "PATCH"): writes.change_meter,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        async with AsyncExitStack() as held:
            request = ApiRequest(scope, receive, held)
            response = await self._respond(request)
        await response(scope, receive, send)

    async def _respond(self, request: ApiRequest) -> Response:
        accepted = negotiation.read_accept(request.headers.getlist("accept"))
        framework = negotiation.effective_framework(request.headers.get(_FRAMEWORK))
        try:
            response = await self._within_bounds(request, accepted, framework)
        except Exception as error:
            response = _error(_as_fault(request, error), accepted, framework)
        response.headers["REST-Framework-Version"] = str(framework)
        response.headers["Cache-Control"] = "no-store"
        context = request.headers.get("metadata-context")
        if context is not None:
            response.headers["Metadata-Context"] = context
        return response

    async def _within_bounds(self, request: ApiRequest, accepted: Accepted, framework: int) -> Response:
        bounds: Bounds = request.app.state.bounds
        if request.scope["scheme"] != "https":
            raise refused(400, "The API is available over HTTPS only")
        if bounds.room.locked():
            raise unavailable("Too many requests are being handled", 1)
        async with bounds.room:
            return await self._handle(request, accepted, framework)

    async def _handle(self, request: ApiRequest, accepted: Accepted, framework: int) -> Response:
        caller = await self._callers.identify(request, READ if request.method in _READING else WRITE)
        await request.belongs_to(caller.share)
        target = targets.find(request.scope["path"])
        origin = origin_of(request, self._public_url, trust_proxy=self._trust_proxy)
        asked = Asked(caller, target, framework, origin, request.headers)
        if not await self._reads.exists(asked):
            raise not_found()
        method = _method(request, target)
        content_type = negotiation.content_type(accepted, _media_type(target, method))
        if method in ("POST", "PATCH"):
            negotiation.check_body_type(request.headers.get("content-type"))
        negotiation.check_framework(request.headers.get(_FRAMEWORK))
        given = read_query(request.query)
        body = await request.json() if method in ("POST", "PATCH") else None
        answer = await self._handlers[target.place, method](replace(asked, given=given, body=body))
        if answer.body is None:
            return Response(status_code=answer.status, headers=dict(answer.headers))
        return Response(to_json(answer.body), answer.status, dict(answer.headers), content_type)


_UNUSED = (b"cookie", b"baggage")
_FRAMEWORK = "rest-framework-version"
_READING = ("GET", "HEAD", "OPTIONS")


def _method(request: Request, target: Target) -> str:
    """What is to be done. Raises `Fault` (405)."""
    method = request.method
    override = request.headers.get("x-http-method-override", "").strip().upper()
    if method == "POST" and override == "PATCH" and target.place in ITEMS:
        method = override
    if method not in target.verbs:
        raise refused(405, "Method Not Allowed", {"Allow": ", ".join(target.verbs)})
    return method


def _media_type(target: Target, method: str) -> str:
    if target.place in (Place.DESCRIBE, Place.DESCRIBE_CONTRACTS, Place.DESCRIBE_METERS):
        return negotiation.DESCRIPTION
    if target.place in ITEMS or method == "POST":
        return negotiation.ITEM
    return negotiation.COLLECTION


async def _catalogue(asked: Asked) -> Answer:
    return Answer(catalogue(asked.origin))


async def _describe_contracts(asked: Asked) -> Answer:
    return Answer(describe(CONTRACTS, asked.renderer().contracts_href))


async def _describe_meters(asked: Asked) -> Answer:
    return Answer(describe(METERS, asked.renderer().meters_href(asked.target.contract_id)))


def _error(fault: Fault, accepted: Accepted, framework: int) -> Response:
    """§8: structured where that is asked for, else the first detail as a plain text."""
    media_type = accepted.error_type(framework)
    if media_type is None:
        return Response(fault.details[0].text, fault.status, fault.headers, negotiation.TEXT)
    body = {
        "title": HTTPStatus(fault.status).phrase,
        "status": str(fault.status),
        "o:errorDetails": [
            {"detail": detail.text, "o:errorCode": detail.code, "o:errorPath": detail.path} for detail in fault.details
        ],
    }
    return Response(to_json(body), fault.status, fault.headers, media_type)


def _as_fault(request: Request, error: Exception) -> Fault:
    """What a client is told of an error; of one that is ours, nothing but that."""
    match error:
        case Fault():
            return error
        case Refused():
            text = "; ".join(error.details)
            return unavailable(text, 1) if error.status == 503 else bad(Code.BODY, text)
        case MalformedBody():
            return bad(Code.BODY, str(error))
        case ClientDisconnect():
            return bad(Code.BODY, "the request ended before its body was whole")
        case Overloaded():
            return unavailable("Too much is waiting", 1)
    if isinstance(error, database.UNAVAILABLE):
        _log.warning("%s %s: %s", request.method, request.scope["path"], type(error).__name__)
        return unavailable("The database cannot be reached at the moment")
    _log.error("%s %s failed", request.method, request.scope["path"], exc_info=error)
    return refused(500, "A fault of the server; it has been logged")
