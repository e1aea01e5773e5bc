"""Trace context across messages, and logs of one line."""

import io
import json
import logging
import os
import re
import subprocess
import sys
from typing import get_args

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mts_common import telemetry
from mts_common.telemetry import JsonFormatter
from mts_common.vocabulary import Action, SpanName, about
from mts_stack.otlp import silent_collector
from mts_stack.paths import ROOT


def test_a_span_is_continued_from_a_traceparent_and_linked_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    with telemetry.span("decide"):
        accepted = telemetry.traceparent()
    with telemetry.span("grant", links=[accepted, None]):
        pass
    with telemetry.span("dial", parent=accepted):
        pass
    accept, grant, dial = exporter.get_finished_spans()
    assert accept.context is not None
    accept_id = trace.format_span_id(accept.context.span_id)
    assert dial.parent is not None
    assert trace.format_span_id(dial.parent.span_id) == accept_id
    assert grant.parent is None
    assert [trace.format_span_id(link.context.span_id) for link in grant.links] == [accept_id]


def test_there_is_no_traceparent_outside_a_trace() -> None:
    assert telemetry.traceparent() is None


def test_a_log_record_is_one_json_line_with_test_and_trace() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("dialler"))
    logger = logging.Logger("mts.test")
    logger.addHandler(handler)
    context = trace.SpanContext(1, 2, is_remote=True)
    with trace.use_span(trace.NonRecordingSpan(context)):
        logger.warning("dial\nling", extra=about("test-fault", test_id=7))
    [line] = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record["message"] == "dial\nling"
    assert record["service"] == "dialler"
    assert record["test_id"] == 7
    assert record["action"] == "test-fault"
    assert record["trace_id"] == f"{1:032x}"


def test_a_record_outside_any_span_names_the_trace_that_it_is_given() -> None:
    record = logging.LogRecord("mts", logging.ERROR, __file__, 1, "put aside", None, None)
    record.traceparent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    assert json.loads(JsonFormatter("results").format(record))["trace_id"] == "ab" * 16
    record.traceparent = "no traceparent"
    assert "trace_id" not in json.loads(JsonFormatter("results").format(record))


# More spans than are kept in memory, and metrics to be sent, to a collector that does not take them.
_SENDS = """
from mts_common import metrics, telemetry
telemetry.setup("common", "INFO")
for _ in range(5000):
    with telemetry.span("call"):
        metrics.LOST_CALLS.add(1)
telemetry.shutdown()
print("ended")
"""


@pytest.mark.parametrize("collector", ["silent", "absent"])
def test_a_collector_that_takes_nothing_does_not_hold_up_the_end(collector: str) -> None:
    with silent_collector() as url:
        environment = {**os.environ, telemetry.ENDPOINT: url if collector == "silent" else "http://127.0.0.1:1"}
        ended = subprocess.run(
            [sys.executable, "-c", _SENDS], env=environment, capture_output=True, text=True, timeout=20, check=True
        )
    assert ended.stdout == "ended\n"


def test_every_name_of_the_vocabulary_is_used_and_no_action_is_written_past_it() -> None:
    sources = {path: path.read_text("utf-8") for path in ROOT.glob("*/*/mts_*/**/*.py") if path.name != "vocabulary.py"}
    for name in (*get_args(SpanName), *get_args(Action)):
        assert any(f'"{name}"' in text for text in sources.values()), name
    past_it = [path for path, text in sources.items() if re.search(r'{"action": ', text)]
    assert past_it == []
