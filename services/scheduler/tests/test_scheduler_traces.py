"""What the scheduler does shows in the traces of the tests it does it to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mts_common import telemetry
from mts_common.messages import FailureKind

if TYPE_CHECKING:
    from conftest import Bench


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    return exporter


def traceparent(number: int) -> str:
    return f"00-{number:032x}-{number:016x}-01"


async def test_an_immediate_grant_is_part_of_the_requests_trace(bench: Bench, exporter: InMemorySpanExporter) -> None:
    await bench.request(1, traceparent=traceparent(7))
    call = await bench.ask_one()
    await bench.consumers.attempt_finished([bench.attempt_end(call, FailureKind.BUSY, traceparent=traceparent(7))])
    grant, decision = exporter.get_finished_spans()
    assert [(span.name, span.context.trace_id) for span in (grant, decision) if span.context] == [
        ("grant", 7),
        ("decide", 7),
    ]
    assert dict(grant.attributes or {}) == {"mts.test_id": 1, "mts.attempt": 1}
    assert (decision.attributes or {})["mts.decision"] == "HoldAgain"
    assert call.tests[0].traceparent == traceparent(7)


async def test_an_overnight_grant_is_a_new_trace_that_names_the_request(
    bench: Bench, exporter: InMemorySpanExporter
) -> None:
    await bench.request(1, traceparent=traceparent(7), immediate=False)
    call = await bench.ask_one()
    (grant,) = exporter.get_finished_spans()
    assert grant.parent is None
    assert [link.context.trace_id for link in grant.links] == [7]
    assert call.tests[0].traceparent == traceparent(7)


async def test_no_password_shows_in_a_span(bench: Bench, exporter: InMemorySpanExporter) -> None:
    await bench.request(1, password="sealed-password")
    await bench.end(await bench.ask_one())
    assert "sealed-password" not in "".join(span.to_json() for span in exporter.get_finished_spans())
