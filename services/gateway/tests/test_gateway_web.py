"""What FastAPI is let see and trace of a request."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from fastapi import APIRouter
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mts_gateway.admission import Caller
from mts_gateway.endpoint import MTS, ApiRequest, ApiRoute, Bounds
from mts_gateway.refusals import unauthorised
from mts_gateway.web import ApiResponse, application

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"

Connect = Callable[[], httpx.AsyncClient]


class NobodyButOne:
    """Admits the token `good`."""

    async def admit(self, token: str | None, scope: str) -> Caller:
        if (token, scope) != ("good", "mts"):
            raise unauthorised()
        return Caller(1, "flat")


async def show(request: ApiRequest) -> ApiResponse:
    seen = {"headers": sorted(request.headers), "parsed": list(request.query_params), "query": request.query.decode()}
    return ApiResponse(seen)


async def fail() -> ApiResponse:
    raise KeyError


@pytest.fixture
def connect() -> Connect:
    """Connects to an application of its own."""

    def connect() -> httpx.AsyncClient:
        router = APIRouter(route_class=ApiRoute, dependencies=[MTS])
        router.get("/things/{thingId}")(show)
        router.get("/fault")(fail)
        app = application([router], NobodyButOne(), {}, Bounds(1, 1))
        headers = {"Authorization": "Bearer good", "traceparent": PARENT}
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://gateway", headers=headers)

    return connect


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What applications that are made from now on trace."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    return exporter


async def test_fastapi_sees_no_header_that_the_api_does_not_use_and_no_query(connect: Connect) -> None:
    hostile = {"Cookie": 'a="' + "\\" * 1000 + '"', "Baggage": "x", "tracestate": "x=y", "Content-Type": "text/html"}
    async with connect() as client:
        answer = await client.get("/things/1?a=b&c", headers=hostile)
    assert answer.json() == {"headers": ["accept", "authorization", "traceparent"], "parsed": [], "query": "a=b&c"}


async def test_the_span_of_a_request_names_its_route_and_follows_the_trace(
    spans: InMemorySpanExporter, connect: Connect
) -> None:
    async with connect() as client:
        await client.get("/things/1?password=AAAA0000")
    (span,) = spans.get_finished_spans()
    assert (span.name, span.kind) == ("GET /things/{thingId}", trace.SpanKind.SERVER)
    assert trace.format_trace_id(span.context.trace_id) == TRACE
    assert span.attributes is not None
    assert span.attributes["http.route"] == "/things/{thingId}"
    assert span.attributes["http.response.status_code"] == 200
    assert "AAAA0000" not in span.to_json()
    assert "good" not in span.to_json()


@pytest.mark.parametrize(("path", "token", "status"), [("/fault", "good", 500), ("/fault", "bad", 401)])
async def test_the_span_of_a_refusal_has_its_status(
    spans: InMemorySpanExporter, connect: Connect, path: str, token: str, status: int
) -> None:
    async with connect() as client:
        answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status
    (span,) = spans.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == status
