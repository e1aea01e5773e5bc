"""The HTTP side of the API as an ASGI application: one table of endpoints, one order of checks, one shape of errors.

The order is: HTTPS, known URL, known verb, room for one more request, token, rate, and only then the request itself.
Nothing here or below answers anything but JSON.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from opentelemetry.trace import SpanKind

from mts_common import database, telemetry
from mts_gateway import refusals
from mts_gateway.admission import Caller, bearer_token
from mts_gateway.batcher import Overloaded
from mts_gateway.fields import MalformedQuery
from mts_gateway.refusals import Refused
from mts_gateway.render import to_json
from mts_gateway.strict_json import MalformedBody, parse

BODY_SECONDS = 30.0
LARGE_BODY = 64 * 1024
LARGE_BODIES = 8  # held in memory at one time

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class ClientGone(Exception):
    """The client hung up before its request was whole; there is nobody to answer."""


class AdmitsCalls(Protocol):
    """What finds the caller of a request."""

    async def admit(self, token: str | None, scope: str) -> Caller:
        """The caller. Raises `Refused`."""


class Request:
    """One request to a known endpoint. `arguments` are the parts of its path that stand for `{…}`."""

    def __init__(
        self,
        scope: Message,
        receive: Receive,
        arguments: Sequence[str],
        body_limit: int,
        large_bodies: asyncio.Semaphore,
    ) -> None:
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.arguments = arguments
        self._headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        self._receive = receive
        self._body_limit = body_limit
        self._caller: Caller | None = None
        self._large_bodies = large_bodies
        self._is_large = False

    @property
    def caller(self) -> Caller:
        """Who is calling; only endpoints that need a scope have a caller."""
        if self._caller is None:
            raise LookupError("this endpoint is open to everybody")
        return self._caller

    def admit(self, caller: Caller) -> None:
        """Note who is calling."""
        self._caller = caller

    def headers(self, name: str) -> list[str]:
        """All values of a header."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for given, value in self._headers if given == wanted]

    async def body(self) -> bytes:
        """The whole body, within size and time; few large ones are in memory at once. Raises `Refused`."""
        self._check_length()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._read()
        except TimeoutError:
            raise refusals.bad_request(f"the request body did not arrive within {BODY_SECONDS:.0f} seconds") from None

    async def json(self) -> object:
        """The JSON value of the body. Raises `Refused` or `MalformedBody`."""
        return await apart(parse, await self.body())

    def release(self) -> None:
        """The body is no longer needed."""
        if self._is_large:
            self._large_bodies.release()
            self._is_large = False

    def _check_length(self) -> None:
        announced = self.headers("content-length")
        if announced and announced[0].isdigit() and int(announced[0]) > self._body_limit:
            raise self._too_large()

    async def _read(self) -> bytes:
        body = bytearray()
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._body_limit:
                raise self._too_large()
            if len(body) > LARGE_BODY and not self._is_large:
                await self._large_bodies.acquire()
                self._is_large = True
        return bytes(body)

    def _too_large(self) -> Refused:
        return refusals.bad_request(f"the request body is over the limit of {self._body_limit} bytes")


async def apart(work: Callable[[bytes], Result], body: bytes) -> Result:
    """`work(body)`, in a thread if the body is so large that it would hold up the event loop."""
    if len(body) > LARGE_BODY:
        return await asyncio.to_thread(work, body)
    return work(body)


Handler = Callable[[Request], Awaitable[object]]
"""Answers a request with the JSON value of a 200, or raises `Refused`."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method of the API; `scope` None = no token is needed."""

    method: str
    path: str
    scope: str | None
    handler: Handler


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back."""

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)


class Routes:
    """Finds the endpoint of a method and path. `{…}` in a path stands for one segment."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._fixed: dict[str, dict[str, Endpoint]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Endpoint]]] = []
        for endpoint in endpoints:
            self._fixed.setdefault(endpoint.path, {})[endpoint.method] = endpoint
        for path, verbs in self._fixed.items():
            if "{" in path:
                self._patterns.append((re.compile(re.sub(r"\{[^}]*\}", "([^/]+)", path)), verbs))

    def find(self, method: str, path: str) -> tuple[Endpoint, Sequence[str]]:
        """The endpoint, and what its path's `{…}` stand for. Raises `Refused` with 404 or 405."""
        arguments: Sequence[str] = ()
        verbs = self._fixed.get(path)
        if verbs is None or "{" in path:
            matches = ((pattern.fullmatch(path), found) for pattern, found in self._patterns)
            verbs, arguments = next(((found, match.groups()) for match, found in matches if match), ({}, ()))
        if not verbs:
            raise Refused(404, ["there is nothing at this URL"])
        if method not in verbs:
            allowed = ", ".join(sorted(verbs))
            raise Refused(405, [f"this URL does not take {method}, only {allowed}"], headers={"Allow": allowed})
        return verbs[method], arguments


class App:
    """The ASGI application."""

    def __init__(
        self, endpoints: Sequence[Endpoint], admission: AdmitsCalls, *, body_limit: int, at_once: int, trust_proxy: bool
    ) -> None:
        self._routes = Routes(endpoints)
        self._admission = admission
        self._body_limit = body_limit
        self._large_bodies = asyncio.Semaphore(LARGE_BODIES)
        self._free = at_once
        self._trust_proxy = trust_proxy

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            reply = await self._answer(scope, receive)
        except ClientGone:
            return
        body = to_json(reply.body)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            **reply.headers,
        }
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Message, receive: Receive) -> Reply:
        try:
            if not scope["path"].startswith("/health/"):
                self._require_https(scope)
            endpoint, arguments = self._routes.find(scope["method"], scope["path"])
        except Refused as refused:
            return Reply(refused.status, refused.body, refused.headers)
        request = Request(scope, receive, arguments, self._body_limit, self._large_bodies)
        parent = next(iter(request.headers("traceparent")), None)
        with telemetry.span(f"{endpoint.method} {endpoint.path}", parent=parent, kind=SpanKind.SERVER) as span:
            reply = await self._carry_out(endpoint, request)
            span.set_attribute("http.request.method", endpoint.method)
            span.set_attribute("http.route", endpoint.path)
            span.set_attribute("http.response.status_code", reply.status)
            return reply

    async def _carry_out(self, endpoint: Endpoint, request: Request) -> Reply:
        if self._free <= 0:
            busy = refusals.unavailable("too many requests are being handled", 1)
            return Reply(busy.status, busy.body, busy.headers)
        self._free -= 1
        try:
            return await self._handle(endpoint, request)
        except Refused as refused:
            return Reply(refused.status, refused.body, refused.headers)
        except (MalformedBody, MalformedQuery) as error:
            return Reply(400, {"details": [str(error)]})
        finally:
            self._free += 1
            request.release()

    async def _handle(self, endpoint: Endpoint, request: Request) -> Reply:
        """Every fault that a handler does not name becomes a 503 or a 500."""
        try:
            if endpoint.scope is not None:
                token = bearer_token(request.headers("authorization"))
                request.admit(await self._admission.admit(token, endpoint.scope))
            answer = await endpoint.handler(request)
            return answer if isinstance(answer, Reply) else Reply(200, answer)
        except (Refused, MalformedBody, MalformedQuery, ClientGone):
            raise
        except Overloaded as error:
            raise refusals.unavailable("too much is waiting to be stored", 1) from error
        except database.UNAVAILABLE as error:
            _log.warning("%s %s: %s", endpoint.method, endpoint.path, type(error).__name__)
            raise refusals.unavailable("the database cannot be reached at the moment") from error
        except Exception as error:
            _log.exception("%s %s failed", endpoint.method, endpoint.path)
            raise Refused(500, ["a fault of the server; it has been logged"]) from error

    def _require_https(self, scope: Message) -> None:
        if scope["scheme"] == "https":
            return
        forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
        nearest = forwarded[-1].split(b",")[-1].strip().lower() if forwarded else b""
        if not (self._trust_proxy and nearest == b"https"):
            raise Refused(400, ["the API is available over HTTPS only"])
