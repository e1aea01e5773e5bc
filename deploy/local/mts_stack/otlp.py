"""An OTLP collector for tests: takes spans and metrics over HTTP, and keeps the spans and the metrics' names."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


@dataclass(frozen=True)
class Span:
    """What the tests look at; ids in hexadecimal digits, `parent` "" for a root."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    links: tuple[str, ...]
    attributes: dict[str, object] = field(hash=False)


def _value(value: AnyValue) -> object:
    return getattr(value, value.WhichOneof("value") or "string_value")


class Collector:
    """What has been received so far."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._metrics: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self.url = ""

    @property
    def spans(self) -> list[Span]:
        with self._lock:
            return list(self._spans)

    @property
    def metrics(self) -> set[tuple[str, str]]:
        """Service and name of each metric."""
        with self._lock:
            return set(self._metrics)

    def take_metrics(self, body: bytes) -> None:
        """An export of metrics."""
        names = {
            (_service(batch.resource.attributes), metric.name)
            for batch in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in batch.scope_metrics
            for metric in scope.metrics
        }
        with self._lock:
            self._metrics |= names

    def take_spans(self, body: bytes) -> None:
        """An export of spans."""
        request = ExportTraceServiceRequest.FromString(body)
        spans = [
            Span(
                service=_service(batch.resource.attributes),
                name=span.name,
                trace=span.trace_id.hex(),
                span=span.span_id.hex(),
                parent=span.parent_span_id.hex(),
                links=tuple(link.trace_id.hex() for link in span.links),
                attributes={
                    a.key: getattr(a.value, a.value.WhichOneof("value") or "string_value") for a in span.attributes
                },
            )
            for batch in request.resource_spans
            for scope in batch.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            self._spans += spans


def _service(attributes: Iterable[KeyValue]) -> str:
    return next(each.value.string_value for each in attributes if each.key == "service.name")


@contextmanager
def silent_collector() -> Iterator[str]:
    """The URL of a collector that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def collector() -> Iterator[Collector]:
    """A running collector; `url` is for OTEL_EXPORTER_OTLP_ENDPOINT."""
    collected = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            take = collected.take_metrics if self.path == "/v1/metrics" else collected.take_spans
            take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collected.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield collected
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
