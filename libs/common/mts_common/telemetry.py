"""Traces that follow a test through broker and database, and logs that name the trace they belong to.

The W3C traceparent travels inside the messages and stands in the outbox rows and jobs, because one message carries
items of many traces. Nothing is exported unless OTEL_EXPORTER_OTLP_ENDPOINT is set.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from mts_common import exposition
from mts_common.vocabulary import SpanName

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
METRICS_EXPORTER = "OTEL_METRICS_EXPORTER"
SEND_SECONDS = 3.0

_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("mts")


def setup(service: str, log_level: str) -> None:
    """Send logs to standard error as JSON lines, spans and metrics to the collector if one is set. Once per process.

    Metrics can be scraped in any case (`exposition.render`), and are not sent if OTEL_METRICS_EXPORTER is none.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=log_level, handlers=[handler], force=True)
    for chatty in ("aio_pika", "aiormq", "asyncio", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    resource = Resource.create(
        {"service.name": f"mts-{service}", "service.version": metadata.version(f"mts-{service}")}
    )
    sends = bool(os.environ.get(ENDPOINT))
    exposition.install(resource, send=sends and os.environ.get(METRICS_EXPORTER) != "none")
    if sends:
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)


def shutdown() -> None:
    """Send what is left, for `SEND_SECONDS` at most: a collector that is slow or silent does not hold the process."""
    providers = (trace.get_tracer_provider(), metrics.get_meter_provider())
    threads = [
        threading.Thread(target=provider.shutdown, name="send what is left", daemon=True)
        for provider in providers
        if isinstance(provider, TracerProvider | MeterProvider)
    ]
    deadline = time.monotonic() + SEND_SECONDS
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def traceparent() -> str | None:
    """The current span's context as a W3C traceparent; None outside any recorded trace."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def span(
    name: SpanName,
    *,
    parent: str | None = None,
    links: Sequence[str | None] = (),
    kind: trace.SpanKind = trace.SpanKind.INTERNAL,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Iterator[trace.Span]:
    """A span under the traceparent `parent` (or under the current span), linked to others. An error marks it."""
    context = _propagator.extract({"traceparent": parent}) if parent else None
    linked = [trace.Link(found) for found in map(_span_context, links) if found.is_valid]
    with _tracer.start_as_current_span(
        name, context=context, kind=kind, attributes=attributes, links=linked
    ) as current:
        yield current


def _span_context(parent: str | None) -> trace.SpanContext:
    if parent is None:
        return trace.INVALID_SPAN_CONTEXT
    return trace.get_current_span(_propagator.extract({"traceparent": parent})).get_span_context()


def past_span(name: SpanName, began: int, ended: int, attributes: Mapping[str, AttributeValue]) -> None:
    """A span under the current one for what is over; times in nanoseconds since 1970."""
    _tracer.start_span(name, start_time=began, attributes=attributes).end(ended)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, service, logger, message, trace_id, test_id and call_id where known."""

    _EXTRAS = ("test_id", "call_id", "attempt", "action")

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of printable ASCII: nothing in a message can start another, or steer a terminal."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace_id := _trace_id(record):
            line["trace_id"] = trace_id
        line |= {name: getattr(record, name) for name in self._EXTRAS if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str).replace("\x7f", r"\u007f")


def _trace_id(record: logging.LogRecord) -> str | None:
    """That of the span in which it was logged, else of the `traceparent` that it was given in `extra`."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        context = _span_context(getattr(record, "traceparent", None))
    return trace.format_trace_id(context.trace_id) if context.is_valid else None
