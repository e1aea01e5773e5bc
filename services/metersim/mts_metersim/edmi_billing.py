"""Energies and demands of an EDMI meter by billing period and rate (fact sheet edmi, section 4.3)."""

from mts_metersim.unit import Unit

UNIFIED, NIGHT, DAY = 0, 1, 2


class Billing:
    """Period 0 is the current one, 1 the one before it, and so on; None = the meter keeps no such value."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def energy(self, channels: tuple[str, ...], rate: int, period: int) -> int | None:
        """mWh that a billing period added."""
        span = self._span(period)
        if span is None:
            return None
        begin, end = (self._register(channels, rate, at) for at in span)
        return None if begin is None or end is None else end - begin

    def total(self, channels: tuple[str, ...], rate: int) -> int | None:
        """mWh on the register now."""
        return self._register(channels, rate, self._unit.clock.now())

    def billing_total(self, channels: tuple[str, ...], rate: int) -> int | None:
        """mWh on the register at the last billing reset."""
        resets = self._unit.resets(self._unit.clock.now())
        return self._register(channels, rate, resets[0]) if resets else None

    def greatest(self, channels: tuple[str, ...], rate: int, period: int) -> tuple[int, int] | None:
        """The greatest demand of a billing period, unified: mW and the end of its interval."""
        span = self._span(period)
        if span is None or rate != UNIFIED or len(channels) > 1:
            return None
        best = self._unit.greatest(channels[0], *span)
        return best[0] if best else (0, span[0])

    def _span(self, period: int) -> tuple[int, int] | None:
        now = self._unit.clock.now()
        edges = [now, *self._unit.resets(now), self._unit.installed]
        return (edges[period + 1], edges[period]) if period + 1 < len(edges) else None

    def _register(self, channels: tuple[str, ...], rate: int, at: int) -> int | None:
        if rate == UNIFIED:
            return sum(self._unit.total(channel, at) for channel in channels)
        if rate > DAY or channels not in (("import",), ("export",)):
            return None
        return self._unit.rate(channels[0], rate == NIGHT, at)
