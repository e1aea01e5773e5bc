"""The list of metrics, and how they are shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from mts_common import exposition, metrics
from mts_common.exposition import prometheus_name
from mts_common.instruments import Counter, Foreign, Gauge, Histogram, Instrument
from mts_stack.scrapes import Scrape

UNITS = {"s", "By", "dBm"}
UNBOUNDED = ("test_id", "call_id", "address", "number", "dialler")


@pytest.mark.parametrize("instrument", metrics.ALL.values(), ids=metrics.ALL)
def test_every_metric_says_what_it_is(instrument: Instrument[Any]) -> None:
    assert re.fullmatch(r"(mts|http|messaging|db)(\.[a-z_]+)+", instrument.name)
    assert instrument.unit in UNITS or re.fullmatch(r"\{[a-z]+\}", instrument.unit)
    assert len(instrument.meaning) > 10
    assert not [label for label in instrument.labels if label.endswith(UNBOUNDED)]
    if isinstance(instrument, Histogram):
        assert list(instrument.bounds) == sorted(set(instrument.bounds))


def test_no_two_metrics_look_the_same_to_prometheus() -> None:
    names = [prometheus_name(each.name, each.unit) for each in metrics.ALL.values()]
    assert len(set(names)) == len(names)


def test_names_are_those_that_opentelemetry_gives_them_in_prometheus() -> None:
    assert prometheus_name("http.server.request.duration", "s") == "http_server_request_duration_seconds"
    assert prometheus_name("mts.table.size", "By") == "mts_table_size_bytes"
    assert prometheus_name("mts.tests.held", "{test}") == "mts_tests_held"


def test_a_count_is_shown_with_its_labels(metered: Callable[[], Scrape]) -> None:
    before = metered().value(metrics.RATE_LIMITED, mts_client_id="7")
    metrics.RATE_LIMITED.add(2, {"mts.client_id": "7"})
    metrics.RATE_LIMITED.add(1, {"mts.client_id": "8"})
    assert metered().value(metrics.RATE_LIMITED, mts_client_id="7") == before + 2


def test_a_level_stands_until_it_is_cleared(metered: Callable[[], Scrape]) -> None:
    metrics.HELD.set(3, {"mts.lane": "immediate", "mts.transport": "tcp"})
    metrics.HELD.set(4, {"mts.transport": "tcp", "mts.lane": "immediate"})
    assert metered().levels(metrics.HELD) == [4]
    assert metered().levels(metrics.HELD) == [4]
    metrics.HELD.set_all([(1, {"mts.lane": "overnight", "mts.transport": "modem"})])
    assert metered().levels(metrics.HELD, mts_lane="immediate") == []
    metrics.HELD.clear()
    assert metered().levels(metrics.HELD) == []


def test_a_time_by_two_clocks_is_never_negative(metered: Callable[[], Scrape]) -> None:
    metrics.RESULT_LAG.record(-0.5)
    (line,) = re.findall(r"^mts_result_lag_seconds_sum (.+)$", metered().text, re.MULTILINE)
    assert float(line) >= 0


def test_a_failure_is_timed_with_the_class_of_its_error(metered: Callable[[], Scrape]) -> None:
    with pytest.raises(ConnectionError), metrics.PROCESSING.time({"messaging.destination.name": "here"}):
        raise ConnectionError
    assert metered().value(metrics.PROCESSING, messaging_destination_name="here", error_type="ConnectionError") == 1


def test_a_recorded_value_names_the_trace_it_belongs_to(metered: Callable[[], Scrape]) -> None:
    with TracerProvider().get_tracer("tests").start_as_current_span("call") as span:
        metrics.CALL_DURATION.record(42.0, {"mts.transport": "modem"})
    text = exposition.render("application/openmetrics-text; version=1.0.0")[1].decode()
    (exemplar,) = re.findall(r'^mts_call_duration_seconds_bucket{le="60.0",.*} .* # (.*)$', text, re.MULTILINE)
    ids = span.get_span_context()
    trace_id, span_id = trace.format_trace_id(ids.trace_id), trace.format_span_id(ids.span_id)
    assert exemplar.startswith(f'{{span_id="{span_id}",trace_id="{trace_id}"}} 42.0 ')


def test_every_kind_of_instrument_is_in_use() -> None:
    assert {type(each) for each in metrics.ALL.values()} == {Counter, Histogram, Gauge, Foreign}
