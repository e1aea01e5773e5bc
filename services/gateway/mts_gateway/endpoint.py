"""What stands between the router and every endpoint: room for one more request, its caller, and bounds on its body.

Bodies are bounded here because Starlette's own limit knows no time and answers 413 in plain text, even in place of a
refusal that has another reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, TypeVar
from uuid import UUID

from fastapi import Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import SecurityScopes
from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from starlette.types import Receive, Scope

from mts_gateway import refusals
from mts_gateway.admission import Caller, bearer_token
from mts_gateway.refusals import Refused
from mts_gateway.strict_json import parse

BODY_SECONDS = 30.0
LARGE_BODY = 64 * 1024
LARGE_BODIES = 8  # held in memory at one time
LARGE_BODIES_OF_ONE = 2  # client, which may send them as slowly as it likes
QUERY = "mts.query"  # of the ASGI scope

Result = TypeVar("Result")


def traced() -> TelemetryConfig:
    """How FastAPI traces and measures requests: it follows the caller's trace even where no collector is set."""
    return {"tracer_provider": trace.get_tracer_provider(), "operation_spans": False}


class AdmitsCalls(Protocol):
    """What finds the caller of a request."""

    async def admit(self, token: str | None, scope: str) -> Caller:
        """The caller. Raises `Refused`."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one client may hold of the bounds: never so much that nothing is left for the others."""

    room: asyncio.Semaphore
    large_bodies: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_BODIES_OF_ONE))


class Bounds:
    """What is handled at one time, and the bytes of one body; `app.state.bounds`."""

    def __init__(self, at_once: int, body_limit: int) -> None:
        self.body_limit = body_limit
        self.room = asyncio.Semaphore(at_once)
        self.large_bodies = asyncio.Semaphore(LARGE_BODIES)
        self._at_once = at_once
        self._shares: dict[int | UUID, Share] = {}

    def share_of(self, caller_id: int | UUID) -> Share:
        """That of a client, or of a user of none; there are as many as there are callers."""
        return self._shares.setdefault(caller_id, Share(asyncio.Semaphore(max(1, self._at_once // 2))))


class ApiRequest(Request):
    """A request whose body is bounded; what it holds of the bounds is in `held`."""

    def __init__(self, scope: Scope, receive: Receive, held: AsyncExitStack) -> None:
        super().__init__(scope, receive)
        self._bounds: Bounds = scope["app"].state.bounds
        self._share: Share | None = None
        self._held = held

    @property
    def query(self) -> bytes:
        """The query string as it came."""
        query: bytes = self.scope[QUERY]
        return query

    async def belongs_to(self, caller_id: int | UUID) -> None:
        """The caller, a client or a user of none, is known and held to its share. Raises `Refused`."""
        self._share = self._bounds.share_of(caller_id)
        if self._share.room.locked():
            raise refusals.unavailable("too many requests of this client are being handled", 1)
        await self._held.enter_async_context(self._share.room)

    async def body(self) -> bytes:
        """The whole body, within size and time; few large ones are in memory at once. Raises `Refused`."""
        announced = self.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self._bounds.body_limit:
            raise self._too_large()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._read()
        except TimeoutError:
            raise refusals.bad_request(f"the request body did not arrive within {BODY_SECONDS:.0f} seconds") from None

    async def json(self) -> object:
        """The JSON value of the body. Raises `Refused` or `MalformedBody`."""
        return await apart(parse, await self.body())

    async def _read(self) -> bytes:
        body = bytearray()
        async for piece in self.stream():
            before = len(body)
            body += piece
            if len(body) > self._bounds.body_limit:
                raise self._too_large()
            if before <= LARGE_BODY < len(body):
                if self._share is not None:
                    await self._held.enter_async_context(self._share.large_bodies)
                await self._held.enter_async_context(self._bounds.large_bodies)
        return bytes(body)

    def _too_large(self) -> Refused:
        return refusals.bad_request(f"the request body is over the limit of {self._bounds.body_limit} bytes")


class ApiRoute(APIRoute):
    """An endpoint that is entered with an `ApiRequest`, and only while there is room."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler within the bounds. It raises `Refused`."""
        handle = super().get_route_handler()

        async def handle_within_bounds(request: Request) -> Response:
            room: asyncio.Semaphore = request.app.state.bounds.room
            if room.locked():
                raise refusals.unavailable("too many requests are being handled", 1)
            async with room, AsyncExitStack() as held:
                return await handle(ApiRequest(request.scope, request.receive, held))

        return handle_within_bounds


async def admitted(request: ApiRequest, needed: SecurityScopes) -> Caller:
    """The caller, whose call is counted. Raises `Refused`."""
    admission: AdmitsCalls = request.app.state.admission
    (scope,) = needed.scopes
    caller = await admission.admit(bearer_token(request.headers.getlist("authorization")), scope)
    await request.belongs_to(caller.client_id)
    return caller


MTS = Security(admitted, scopes=["mts"])
ADMIN = Security(admitted, scopes=["admin"])
MtsCaller = Annotated[Caller, MTS]
AdminCaller = Annotated[Caller, ADMIN]


async def apart(work: Callable[[bytes], Result], body: bytes) -> Result:
    """`work(body)`, in a thread if the body is so large that it would hold up the event loop."""
    if len(body) > LARGE_BODY:
        return await asyncio.to_thread(work, body)
    return work(body)
