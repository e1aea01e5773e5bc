"""One trace follows a test through every service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from mts_metersim.presets import fleet
from mts_stack.otlp import Collector, Span, collector
from mts_stack.processes import wait_until
from mts_stack.settings import run_window
from mts_stack.testing import StackUnderTest

ALL = {"mts-gateway", "mts-scheduler", "mts-dialler", "mts-results"}


def settings(collected: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collected.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}


def named(collected: Collector, name: str) -> Span | None:
    return next((span for span in collected.spans if span.name == name), None)


def test_one_trace_spans_all_services_for_an_immediate_test(start_stack: Any) -> None:
    with collector() as collected:
        stack: StackUnderTest = start_stack(fleet("healthy", 1), **settings(collected))
        test_id = stack.request(stack.fleet.meters[0], surveyDays=1)
        assert stack.outcome(test_id)["result"] == "SUCCESS"

        def trace() -> list[Span]:
            request = named(collected, "POST /MTS/test-request")
            return [span for span in collected.spans if request and span.trace == request.trace]

        steps = {"POST /MTS/test-request", "grant", "call", "dial", "test", "hang up"}
        assert wait_until(lambda: steps <= {span.name for span in trace()}, 20), trace()
        assert wait_until(lambda: {span.service for span in trace()} == ALL, 20), trace()
        assert wait_until(lambda: roots(trace()) == ["POST /MTS/test-request"], 20), trace()


def roots(trace: list[Span]) -> list[str]:
    """The names of the spans whose parent is not in the trace."""
    known = {span.span for span in trace}
    return [span.name for span in trace if span.parent not in known]


def test_an_overnight_call_is_a_trace_of_its_own_linked_to_the_request(start_stack: Any) -> None:
    window = run_window(datetime.now(UTC) - timedelta(minutes=1), timedelta(hours=1))
    with collector() as collected:
        stack: StackUnderTest = start_stack(fleet("healthy", 1), MTS_RUN_WINDOWS=window, **settings(collected))
        test_id = stack.request(stack.fleet.meters[0], immediate=False)
        assert stack.outcome(test_id)["result"] == "SUCCESS"
        assert wait_until(lambda: named(collected, "call") is not None, 20)
        request, call = named(collected, "POST /MTS/test-request"), named(collected, "call")
        assert request is not None
        assert call is not None
        assert call.trace != request.trace
        assert request.trace in call.links


def test_no_secret_is_in_a_span(start_stack: Any) -> None:
    with collector() as collected:
        stack: StackUnderTest = start_stack(fleet("healthy", 1), **settings(collected))
        meter = stack.fleet.meters[0]
        stack.outcome(stack.request(meter))
        assert wait_until(lambda: {span.service for span in collected.spans} == ALL, 20)
        seen = repr(collected.spans)
        assert meter["password"] not in seen
        assert stack.token not in seen
