"""Spans of a batch, each in the trace of its own item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from mts_common import telemetry
from mts_common.vocabulary import SpanName


class Traced(Protocol):
    """An item that may name the trace it belongs to."""

    @property
    def test_id(self) -> int: ...

    @property
    def traceparent(self) -> str | None: ...


@contextmanager
def item_spans(name: SpanName, items: Iterable[Traced]) -> Iterator[None]:
    """A span `name` around the block for every item that belongs to a trace."""
    with ExitStack() as spans:
        for item in items:
            if item.traceparent is not None:
                attributes = {"mts.test_id": item.test_id}
                spans.enter_context(telemetry.span(name, parent=item.traceparent, attributes=attributes))
        yield
