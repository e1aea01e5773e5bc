"""One trace follows a test through every service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mts_common import metrics
from mts_metersim.presets import fleet
from mts_stack.fixtures import fresh_database, fresh_vhost
from mts_stack.otlp import Collector, Span, collector, silent_collector
from mts_stack.processes import wait_until
from mts_stack.servers import Servers
from mts_stack.services import SERVICES
from mts_stack.settings import run_window
from mts_stack.testing import StackUnderTest

ALL = {"mts-gateway", "mts-scheduler", "mts-dialler", "mts-results"}


def settings(collected: Collector) -> dict[str, str]:
    """The run window is open."""
    window = run_window(datetime.now(UTC) - timedelta(minutes=1), timedelta(hours=1))
    quick = {"OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_METRIC_EXPORT_INTERVAL": "500"}
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collected.url, "MTS_RUN_WINDOWS": window, **quick}


@pytest.fixture(scope="module")
def collected() -> Iterator[Collector]:
    """A collector that outlives the services that send to it."""
    with collector() as collected:
        yield collected


@pytest.fixture(scope="module")
def traced(
    collected: Collector, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StackUnderTest]:
    """One stack that sends to the collector."""
    directory = tmp_path_factory.mktemp("traced")
    with (
        fresh_database(servers) as database,
        fresh_vhost(servers) as management,
        StackUnderTest(directory, servers, database, management, fleet("healthy", 1), settings(collected)) as stack,
    ):
        yield stack


def test_one_trace_spans_all_services_for_an_immediate_test(traced: StackUnderTest, collected: Collector) -> None:
    test_id = traced.request(traced.fleet.meters[0], surveyDays=1)
    assert traced.outcome(test_id)["result"] == "SUCCESS"

    def trace() -> list[Span]:
        """The spans of the trace in which the test was called."""
        test = next((span for span in collected.spans if span.attributes.get("mts.test_id") == test_id), None)
        return [span for span in collected.spans if test and span.trace == test.trace]

    reading = {"sign on", "read section", "sign off"}
    steps = {"POST /MTS/test-request", "grant", "call", "dial", "test", *reading, "hang up"}
    assert wait_until(lambda: steps <= {span.name for span in trace()}, 20), trace()
    assert wait_until(lambda: {span.service for span in trace()} == ALL, 20), trace()
    assert wait_until(lambda: roots(trace()) == ["POST /MTS/test-request"], 20), trace()


def roots(trace: list[Span]) -> list[str]:
    """The names of the spans whose parent is not in the trace."""
    known = {span.span for span in trace}
    return [span.name for span in trace if span.parent not in known]


def test_metrics_are_pushed_to_the_collector_too(traced: StackUnderTest, collected: Collector) -> None:
    traced.outcome(traced.request(traced.fleet.meters[0]))
    wanted = {
        ("mts-gateway", metrics.ACCEPTED.name),
        ("mts-scheduler", metrics.GRANT_LAG.name),
        ("mts-dialler", metrics.ATTEMPTS.name),
        ("mts-results", metrics.RESULT_LAG.name),
    }
    assert wait_until(lambda: wanted <= collected.metrics, 20), collected.metrics


def test_no_secret_is_in_a_span(traced: StackUnderTest, collected: Collector) -> None:
    meter = traced.fleet.meters[0]
    traced.outcome(traced.request(meter))
    assert wait_until(lambda: {span.service for span in collected.spans} == ALL, 20)
    seen = repr(collected.spans)
    assert meter["password"] not in seen
    assert traced.token not in seen


def test_an_overnight_call_is_a_trace_of_its_own_linked_to_the_request(
    traced: StackUnderTest, collected: Collector
) -> None:
    test_id = traced.request(traced.fleet.meters[0], immediate=False)
    assert traced.outcome(test_id)["result"] == "SUCCESS"
    request = traced.http.get("/test-trace", params={"testId": test_id}).json()["traceId"]

    def called() -> list[Span]:
        """The calls that are linked to the request, in traces of their own."""
        return [
            span for span in collected.spans if span.name == "call" and request in span.links and span.trace != request
        ]

    assert wait_until(lambda: len(called()) == 1, 20), collected.spans


@pytest.mark.timeout(240)  # four services, each of which ends by its time limit
def test_a_collector_that_never_answers_holds_up_neither_tests_nor_the_end_of_a_service(start_stack: Any) -> None:
    with silent_collector() as url:
        quick = {"OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_METRIC_EXPORT_INTERVAL": "500"}
        stack: StackUnderTest = start_stack(fleet("healthy", 1), OTEL_EXPORTER_OTLP_ENDPOINT=url, **quick)
        assert stack.outcome(stack.request(stack.fleet.meters[0]))["result"] == "SUCCESS"
        stack.services.stop()  # kills what does not end by itself
        assert {name: stack.services.process(name).exit_code for name in SERVICES} == dict.fromkeys(SERVICES, 0)
