"""From the channels of one interval to the fields of one record: exact until the last step, then two decimals.

A channel that is missing makes the fields that need it null; nothing is taken for zero but a missing export in the net
usage (carbontrack.md, 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

TOTAL = " (total)"
"""What the name of a channel of cumulative values ends with."""

_EXACT = Context(prec=100, rounding=ROUND_HALF_UP)
_HUNDREDTH = Decimal("0.01")
_ZERO = Decimal(0)
_HOUR = 3600
_TO_VAH = 1000
_PHASES = ("1", "2", "3")
_OF_NO_PHASE = ("PowerFactor4", "Power4", "Power4N", "PowerVAH4")
_MEANS = (*(f"Temperature{number}" for number in range(1, 9)), "Irradiation", "BatteryCharge", "Flow", "Voltage")
_ORDER = (
    *("PowerUsage", "Generating", "PowerExported"),
    *(f"PowerFactor{phase}" for phase in "1234"),
    *(f"Power{phase}" for phase in "1234"),
    *(f"Power{phase}N" for phase in "1234"),
    *(f"PowerVAH{phase}" for phase in "1234"),
    *_MEANS,
    *("SignalStrength", "PowerUsageNet", "PowerExportedNet"),
)


@dataclass(frozen=True, slots=True)
class Interval:
    """What was read of a device for one interval. `before` are the cumulative channels of the interval before."""

    seconds: int | None
    phases: int
    values: Mapping[str, Decimal]
    before: Mapping[str, Decimal] = field(default_factory=dict)

    def value(self, channel: str) -> Decimal | None:
        """The channel's own value, else the rise of its cumulative one; a fall is no value."""
        if channel in self.values:
            return self.values[channel]
        end, start = self.values.get(channel + TOTAL), self.before.get(channel + TOTAL)
        if end is None or start is None or end < start:
            return None
        return end - start

    def mean_power(self, channel: str) -> Decimal | None:
        """kW, None where the length of the interval is not known."""
        energy = self.value(channel)
        return None if energy is None or self.seconds is None else energy * _HOUR / self.seconds

    def reactive(self, phase: str) -> Decimal | None:
        """kvarh imported: its own channel, else the two quadrants that make it."""
        own = self.value(f"kvarh Import{phase}")
        if own is not None:
            return own
        first, second = self.value(f"kvarh Q1{phase}"), self.value(f"kvarh Q2{phase}")
        return None if first is None or second is None else first + second


def fields_of(interval: Interval) -> dict[str, str | None]:
    """The fields of a record from PowerUsage to PowerExportedNet, in their order, as they are shown."""
    with localcontext(_EXACT):
        found = {**_whole_meter(interval), **_phases(interval)}
        found |= {name: interval.value(name) for name in _MEANS}
        found["SignalStrength"] = interval.value("Signal Strength")
        return {name: _show(found[name], grouped=name == "SignalStrength") for name in _ORDER}


def _whole_meter(interval: Interval) -> dict[str, Decimal | None]:
    used, exported = interval.mean_power("kWh Import"), interval.mean_power("kWh Export")
    return {
        "PowerUsage": used,
        "Generating": interval.mean_power("kWh Generation"),
        "PowerExported": exported,
        "PowerUsageNet": None if used is None else max(used - (exported or _ZERO), _ZERO),
        "PowerExportedNet": None if used is None or exported is None else max(exported - used, _ZERO),
    }


def _phases(interval: Interval) -> dict[str, Decimal | None]:
    """A meter of one phase has that of the whole meter under 1; one of three has channels of their own."""
    found: dict[str, Decimal | None] = dict.fromkeys(_OF_NO_PHASE)
    for phase in _PHASES:
        single = "" if phase == "1" else None
        suffix = f" L{phase}" if interval.phases > 1 else single
        found |= _phase(interval, phase, suffix)
    return found


def _phase(interval: Interval, phase: str, suffix: str | None) -> dict[str, Decimal | None]:
    power = exported = apparent = factor = None
    if suffix is not None:
        power, exported = interval.mean_power(f"kWh Import{suffix}"), interval.mean_power(f"kWh Export{suffix}")
        active, reactive = interval.value(f"kWh Import{suffix}"), interval.reactive(suffix)
        if active is not None and reactive is not None:
            apparent = (active * active + reactive * reactive).sqrt()
            factor = active / apparent if apparent else None
    return {
        f"Power{phase}": power,
        f"Power{phase}N": exported,
        f"PowerVAH{phase}": None if apparent is None else apparent * _TO_VAH,
        f"PowerFactor{phase}": factor,
    }


def _show(value: Decimal | None, *, grouped: bool) -> str | None:
    """Two decimals, half away from zero, never a negative zero."""
    if value is None:
        return None
    rounded = value.quantize(_HUNDREDTH)
    text = f"{rounded:,f}" if grouped else f"{rounded:f}"
    return text.removeprefix("-") if not rounded else text
