"""Metrics as tests read them: of this process, or of a service that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from mts_common import exposition
from mts_common.exposition import prometheus_name
from mts_common.instruments import Counter, Gauge, Instrument
from mts_stack.http import PLAIN

SCRAPE_SECONDS = 10.0


@dataclass(frozen=True)
class Scrape:
    """What one scrape has shown."""

    text: str

    def levels(self, instrument: Instrument[Any], **labels: str) -> list[float]:
        """The values of a gauge or counter, or the counts of a histogram, that have these labels; dots are `_`."""
        name = sample_name(instrument)
        return [value for found, value in self._samples(name) if labels.items() <= found.items()]

    def value(self, instrument: Instrument[Any], **labels: str) -> float:
        """Their sum; 0 where there are none."""
        return sum(self.levels(instrument, **labels))

    def _samples(self, name: str) -> Iterator[tuple[Mapping[str, str], float]]:
        ours = "".join(line for line in self.text.splitlines(keepends=True) if line.startswith(name))
        for family in text_string_to_metric_families(ours):
            for sample in family.samples:
                if sample.name == name:
                    yield sample.labels, sample.value


def sample_name(instrument: Instrument[Any]) -> str:
    """The sample that says how often, or how much."""
    name = prometheus_name(instrument.name, instrument.unit)
    if isinstance(instrument, Counter):
        return f"{name}_total"
    return name if isinstance(instrument, Gauge) else f"{name}_count"


def scrape(target: str) -> Scrape:
    """What a service at HOST:PORT shows. Raises httpx's errors."""
    answer = httpx.get(f"http://{target}/metrics", timeout=SCRAPE_SECONDS, verify=PLAIN)
    return Scrape(answer.raise_for_status().text)


def scrape_here() -> Scrape:
    """What this process would show."""
    return Scrape(exposition.render("")[1].decode())
