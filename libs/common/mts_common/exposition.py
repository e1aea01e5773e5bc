"""How metrics leave the process: shown as Prometheus text to whoever scrapes, and sent over OTLP if that is asked for.

The two are independent. Scraping reads what is in memory; sending is done by a thread that drops what it cannot send.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Exemplar as RecordedExemplar
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
    MetricReader,
    NumberDataPoint,
    PeriodicExportingMetricReader,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

# UCUM as Prometheus writes it; an annotation in braces is no unit, and other units stand as they are.
_UNITS = {"s": "seconds", "By": "bytes", "1": "ratio"}
_ANNOTATION = re.compile(r"^\{[^}]*\}$")
_FOREIGN_CHARACTER = re.compile(r"[^a-zA-Z0-9_]")

_in_memory = InMemoryMetricReader()
_registry = CollectorRegistry()
_installed: list[MeterProvider] = []


def install(resource: Resource, *, send: bool) -> None:
    """Make every instrument record; `send` to the collector that the environment names as well. A second call does
    nothing: OpenTelemetry has one provider in a process.
    """
    if _installed:
        return
    readers: list[MetricReader] = [_in_memory]
    if send:
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
    provider = MeterProvider(readers, resource, shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    _registry.register(_OpenTelemetryCollector())
    ProcessCollector(registry=_registry)
    _installed.append(provider)


def render(accept: str) -> tuple[str, bytes]:
    """Content type and body for a scrape; OpenMetrics, which alone has exemplars, if `accept` names it."""
    encode, content_type = choose_encoder(accept)
    return content_type, encode(_registry)


def prometheus_name(name: str, unit: str) -> str:
    """The Prometheus name of a metric without the suffixes of its samples (`_total`, `_bucket`, …)."""
    plain = _FOREIGN_CHARACTER.sub("_", name)
    suffix = "" if not unit or _ANNOTATION.match(unit) else _UNITS.get(unit, unit)
    return f"{plain}_{suffix}" if suffix and not plain.endswith(f"_{suffix}") else plain


class _OpenTelemetryCollector(Collector):
    """What the SDK holds, as Prometheus' own client wants it. Its official bridge leaves exemplars out."""

    def collect(self) -> Iterator[Family]:
        data = _in_memory.get_metrics_data()
        for resource_metrics in data.resource_metrics if data else ():
            for scope_metrics in resource_metrics.scope_metrics:
                yield from map(_family, scope_metrics.metrics)


def _family(metric: Metric) -> Family:
    name = prometheus_name(metric.name, metric.unit or "")
    points: Sequence[object] = metric.data.data_points
    if points and isinstance(points[0], HistogramDataPoint):
        family = Family(name, metric.description or "", "histogram")
        for point in points:
            if isinstance(point, HistogramDataPoint):
                _add_histogram(family, point)
        return family
    counts = isinstance(metric.data, Sum) and metric.data.is_monotonic
    family = Family(name, metric.description or "", "counter" if counts else "gauge")
    for point in points:
        if isinstance(point, NumberDataPoint):
            _add_number(family, point)
    return family


def _add_number(family: Family, point: NumberDataPoint) -> None:
    labels = _labels(point.attributes)
    if family.type == "counter":
        family.add_sample(f"{family.name}_total", labels, point.value, exemplar=_exemplar(point.exemplars))
    else:
        family.add_sample(family.name, labels, point.value)


def _add_histogram(family: Family, point: HistogramDataPoint) -> None:
    labels = _labels(point.attributes)
    below, lower = 0, float("-inf")
    for bound, count in zip([*point.explicit_bounds, float("inf")], point.bucket_counts, strict=True):
        below += count
        inside = [exemplar for exemplar in point.exemplars if lower < exemplar.value <= bound]
        shown = "+Inf" if bound == float("inf") else str(float(bound))
        family.add_sample(f"{family.name}_bucket", labels | {"le": shown}, below, exemplar=_exemplar(inside))
        lower = bound
    family.add_sample(f"{family.name}_count", labels, point.count)
    family.add_sample(f"{family.name}_sum", labels, point.sum)


def _labels(attributes: Mapping[str, object] | None) -> dict[str, str]:
    return {_FOREIGN_CHARACTER.sub("_", name): str(value) for name, value in (attributes or {}).items()}


def _exemplar(exemplars: Iterable[RecordedExemplar]) -> Exemplar | None:
    """The latest; the SDK keeps those of recorded traces alone."""
    latest = max(exemplars, key=lambda each: each.time_unix_nano, default=None)
    if latest is None or latest.trace_id is None or latest.span_id is None:
        return None
    ids = {"trace_id": trace.format_trace_id(latest.trace_id), "span_id": trace.format_span_id(latest.span_id)}
    return Exemplar(ids, latest.value, latest.time_unix_nano / 1e9)
