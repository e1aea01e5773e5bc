"""Pages by index from 0, as Device and Measurement count them (carbontrack.md, 1.10 and 1.11)."""

from __future__ import annotations

from dataclasses import dataclass

from mts_gateway.carbontrack import envelope
from mts_gateway.carbontrack.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Page:
    """A page that is asked for."""

    index: int
    size: int

    @property
    def offset(self) -> int:
        """What comes before it."""
        return self.index * self.size

    def body(self, listed: str, items: list[dict[str, object]], count: int) -> dict[str, object]:
        """The answer, where `count` items match."""
        return {
            listed: items,
            "Count": count,
            "Pages": -(-count // self.size),
            "PagesIndex": self.index,
            **envelope.success(),
            "RecordCount": count,
            "Page": self.index + 1,
            "PageSize": self.size,
        }


def read_page(given: Parameters, default_size: int) -> Page:
    """PageIndex and PageSize. Raises `Refusal`."""
    return Page(given.whole("PageIndex"), given.page_size("PageSize", default_size))
