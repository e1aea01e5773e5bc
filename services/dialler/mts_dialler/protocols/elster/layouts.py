"""In what the products differ: which sources they count, and in which order (elster-a1700.md, sections 6 and 7)."""

from __future__ import annotations

from dataclasses import dataclass

VA_EXPORT = 0x100
"""Apparent export has no source code on an A1700, so it has one here that no octet can hold."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`order`: the sources (`identities.SOURCES`) by their place, 0 = a place that is not in use.

    A place counts the registers of identity 507, of which there are `cumulative`, the bits of a channel mask and, from
    1, the source codes. `flag_in_mask`: bit 7 of the mask is no channel but says that the load profile keeps summer
    time; else bit 7 of the period octet says so.
    """

    order: tuple[int, ...]
    cumulative: int
    flag_in_mask: bool

    def source(self, code: int) -> int:
        """The source that the product codes so, 0 for none."""
        return self.order[code - 1] if 1 <= code <= len(self.order) else 0

    def channels(self, mask: int) -> tuple[int, ...]:
        """The sources recorded in the load profile, in order, from the mask of 777 or of a day marker."""
        bits = (mask & 0x7F) | (mask >> 1 & 0x7F80) if self.flag_in_mask else mask
        return tuple(source for place, source in enumerate(self.order) if source and bits >> place & 1)

    def daylight_saving(self, mask: int, period: int) -> bool:
        return bool((mask if self.flag_in_mask else period) & 0x80)


A1700 = Layout(order=tuple(range(1, 15)), cumulative=10, flag_in_mask=True)
A1140 = Layout(
    order=(1, 2, 3, 4, 5, 6, 7, VA_EXPORT, 0, 0, 0, 0, 0, 0, 8, 9),
    cumulative=16,
    flag_in_mask=False,
)
