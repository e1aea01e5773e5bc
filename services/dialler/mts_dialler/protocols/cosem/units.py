"""Scaler and unit of registers (IEC 62056-62, 4.3.2): what a raw value means."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from mts_dialler.protocols.cosem.values import Value

_UNITS = {
    1: "a",
    2: "mo",
    3: "wk",
    4: "d",
    5: "h",
    6: "min",
    7: "s",
    8: "°",
    9: "°C",
    13: "m³",
    14: "m³",
    19: "l",
    23: "Pa",
    24: "bar",
    25: "J",
    27: "W",
    28: "VA",
    29: "var",
    30: "Wh",
    31: "VAh",
    32: "varh",
    33: "A",
    35: "V",
    38: "Ω",
    44: "Hz",
    45: "1/Wh",
    46: "1/varh",
    47: "1/VAh",
    48: "V²h",
    49: "A²h",
    52: "K",
    56: "%",
    57: "Ah",
    70: "dBm",
    254: "",
    255: "",
}
_IN_THOUSANDS = {"W", "VA", "var", "Wh", "VAh", "varh"}
_MAX_SCALER = 30


@dataclass(frozen=True, slots=True)
class ScalerUnit:
    """Powers of ten, and the unit's symbol; "" for a plain number."""

    scaler: int
    unit: str

    def apply(self, raw: int | Decimal) -> tuple[Decimal, str]:
        """The value, exactly, with its unit; powers and energies in thousands: `kW`, `kWh`."""
        if self.unit in _IN_THOUSANDS:
            return scaled(raw, self.scaler - 3), f"k{self.unit}"
        return scaled(raw, self.scaler), self.unit


def scaled(raw: int | Decimal, exponent: int) -> Decimal:
    """`raw` times ten to `exponent`, with as many decimals as the exponent asks for."""
    return Decimal(f"{Decimal(raw).scaleb(exponent):f}")


def scaler_unit(value: Value) -> ScalerUnit | None:
    """From a register's attribute; None for what is none. A unit that is not known is shown by its number."""
    match value:
        case (int(scaler), int(unit)) if abs(scaler) <= _MAX_SCALER:
            return ScalerUnit(scaler, _UNITS.get(unit, f"unit {unit}"))
        case _:
            return None
