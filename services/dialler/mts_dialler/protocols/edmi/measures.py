"""What registers and survey channels measure: the definition words of Atlas meters and the register numbers by which a
Genius says the same (edmi.md, sections 4.3 and 5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Quantity(StrEnum):
    ACTIVE = "Active"
    REACTIVE = "Reactive"
    APPARENT = "Apparent"


class Flow(StrEnum):
    ABSOLUTE = "Absolute"
    IMPORT = "Import"
    EXPORT = "Export"
    Q1 = "Q1"
    Q2 = "Q2"
    Q3 = "Q3"
    Q4 = "Q4"


@dataclass(frozen=True, slots=True)
class Energy:
    """`phase` L1 to L3, or "" for all together."""

    quantity: Quantity
    flow: Flow
    phase: str = ""


class Scale(StrEnum):
    """Which of the scale registers D808 to D80C applies to an instantaneous channel, in the order of the registers."""

    VOLTAGE = "V"
    CURRENT = "A"
    POWER = "W"
    ANGLE = "°"
    FREQUENCY = "Hz"


@dataclass(frozen=True, slots=True)
class Sample:
    """A quantity that is no energy. `scale` None: a bare number."""

    name: str
    units: str
    scale: Scale | None


@dataclass(frozen=True, slots=True)
class Channel:
    """A survey channel of an Atlas. An energy is the raw value / 10^`decimals`, times 1000^`thousands` base units."""

    measure: Energy | Sample
    thousands: int
    decimals: int


@dataclass(frozen=True, slots=True)
class TariffChannel:
    """A register channel of an Atlas, with as many tariff registers as `rates`."""

    measure: Energy | Sample
    rates: int


_PHASES = ("L1", "L2", "L3", "")
_QUANTITIES = tuple(Quantity)
_FLOWS = tuple(Flow)
_UNUSED = 0xFF
_SELECTORS = ("", "minimum", "maximum", "instantaneous", "average")

_SAMPLES: tuple[tuple[str, Scale], ...] = (
    *((f"Current {phase}", Scale.CURRENT) for phase in _PHASES[:3]),
    *((f"Voltage {phase}", Scale.VOLTAGE) for phase in _PHASES[:3]),
    *((f"Active Power {phase}", Scale.POWER) for phase in _PHASES[:3]),
    *((f"Reactive Power {phase}", Scale.POWER) for phase in _PHASES[:3]),
    *((f"Apparent Power {phase}", Scale.POWER) for phase in _PHASES[:3]),
    ("Frequency", Scale.FREQUENCY),
    ("Average Current", Scale.CURRENT),
    ("Average Voltage", Scale.VOLTAGE),
    ("Total Active Power", Scale.POWER),
    ("Total Reactive Power", Scale.POWER),
    ("Total Apparent Power", Scale.POWER),
    *((f"Phase Angle {phase}", Scale.ANGLE) for phase in _PHASES[:3]),
    ("Voltage Angle L1-L2", Scale.ANGLE),
    ("Voltage Angle L1-L3", Scale.ANGLE),
)
_POWER_UNITS = {"Active": "W", "Reactive": "var", "Apparent": "VA"}


def parse_channel(word: int) -> Channel | None:
    """A survey channel's definition word; None if the channel is not used."""
    measure = _measure(word)
    if measure is None:
        return None
    if isinstance(measure, Sample):
        selector = (word >> 8 & 3) | (word >> 13 & 4)
        kind = _SELECTORS[selector] if selector < len(_SELECTORS) else f"selector {selector}"
        measure = Sample(f"{measure.name} {kind}".strip(), measure.units, measure.scale)
    return Channel(measure, word >> 10 & 3, word >> 12 & 7)


def parse_tariff_channel(word: int) -> TariffChannel | None:
    """A register channel's definition word, which differs in its high byte; None if the channel is not used."""
    measure = _measure(word)
    return None if measure is None else TariffChannel(measure, (word >> 8 & 7) + 1)


def _measure(word: int) -> Energy | Sample | None:
    low = word & 0xFF
    if low == _UNUSED:
        return None
    quantity, function = low & 0x0F, low >> 4
    if function < len(_FLOWS) and quantity < 12:
        return Energy(_QUANTITIES[quantity >> 2], _FLOWS[function], _PHASES[quantity & 3])
    if function in {0x8, 0x9, 0xA, 0xB}:
        return _sample(quantity | (function & 1) << 4)
    if function == 0x7:
        return Sample(f"Pulse Input {quantity + 1}", "", None)
    return Sample(f"Channel {low:02X}", "", None)


def _sample(number: int) -> Sample:
    if number >= len(_SAMPLES):
        return Sample(f"Quality {number:02X}", "", None)
    name, scale = _SAMPLES[number]
    units = next((unit for word, unit in _POWER_UNITS.items() if word in name and scale is Scale.POWER), scale.value)
    return Sample(name, units, scale)


# The first register of four: L1, L2, L3, all together. E598 may be Q3 or Q4 and is left out.
_GENIUS: dict[int, tuple[Quantity, Flow]] = {
    0xE390: (Quantity.ACTIVE, Flow.EXPORT),
    0xE394: (Quantity.ACTIVE, Flow.IMPORT),
    0xE398: (Quantity.REACTIVE, Flow.EXPORT),
    0xE39C: (Quantity.REACTIVE, Flow.IMPORT),
    0xE3E0: (Quantity.APPARENT, Flow.EXPORT),
    0xE3E4: (Quantity.APPARENT, Flow.IMPORT),
    0xE490: (Quantity.ACTIVE, Flow.Q2),
    0xE494: (Quantity.ACTIVE, Flow.Q1),
    0xE49C: (Quantity.REACTIVE, Flow.Q1),
    0xE590: (Quantity.ACTIVE, Flow.Q3),
    0xE594: (Quantity.ACTIVE, Flow.Q4),
    0xE59C: (Quantity.REACTIVE, Flow.Q2),
}


def genius_measure(register: int) -> Energy | None:
    """What the register that a Genius channel follows measures; None if that is not known."""
    low = register & 0xFFFF
    known = _GENIUS.get(low & ~3)
    return Energy(*known, _PHASES[low & 3]) if known else None
