"""What EDMI registers and survey channels are called in a report, in the words of all meter families (mts-api.md)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from mts_common.messages import RegisterCategory
from mts_dialler.drivers.obis import SURVEY_NAMES, define
from mts_dialler.protocols.edmi.measures import Energy, Flow, Quantity
from mts_dialler.protocols.edmi.registers import Kind
from mts_dialler.protocols.iec62056_21.data_sets import Code

_CODES: dict[tuple[Quantity, Flow], str] = {
    (Quantity.ACTIVE, Flow.IMPORT): "1",
    (Quantity.ACTIVE, Flow.EXPORT): "2",
    (Quantity.REACTIVE, Flow.IMPORT): "3",
    (Quantity.REACTIVE, Flow.EXPORT): "4",
    (Quantity.REACTIVE, Flow.Q1): "5",
    (Quantity.REACTIVE, Flow.Q2): "6",
    (Quantity.REACTIVE, Flow.Q3): "7",
    (Quantity.REACTIVE, Flow.Q4): "8",
    (Quantity.APPARENT, Flow.IMPORT): "9",
    (Quantity.APPARENT, Flow.EXPORT): "10",
    (Quantity.ACTIVE, Flow.ABSOLUTE): "15",
}
"""OBIS value group C: by it the measure finds the name that other families give it."""

BASE_UNITS = {Quantity.ACTIVE: "Wh", Quantity.REACTIVE: "varh", Quantity.APPARENT: "VAh"}
_ENERGIES = {quantity: f"k{base}" for quantity, base in BASE_UNITS.items()}
_POWERS = {quantity: energy.removesuffix("h") for quantity, energy in _ENERGIES.items()}
_KILO = frozenset({"Wh", "varh", "VAh", "W", "var", "VA"})


@dataclass(frozen=True, slots=True)
class RegisterName:
    name: str
    category: RegisterCategory
    units: str


def register_name(measure: Energy, kind: Kind, rate: int) -> RegisterName:
    """Of an energy or a maximum demand; `rate` 0 = all rates together."""
    maximum = kind is not Kind.ENERGY
    units = _POWERS[measure.quantity] if maximum else _ENERGIES[measure.quantity]
    code = _CODES.get((measure.quantity, measure.flow))
    definition = define(Code(code, "6" if maximum else "8", str(rate))) if code else None
    if definition is not None:
        return RegisterName(f"{definition.name} {measure.phase}".strip(), definition.category, units)
    words = [measure.quantity, "Maximum Demand" if maximum else "Energy", measure.flow, f"T{rate}" if rate else ""]
    category = RegisterCategory.MISCELLANEOUS if maximum else RegisterCategory.ENERGY
    return RegisterName(
        " ".join(filter(None, [*words, measure.phase])), RegisterCategory.TIME_OF_USE if rate else category, units
    )


def survey_name(measure: Energy) -> tuple[str, str]:
    """The name of a survey channel, and its units."""
    units = _ENERGIES[measure.quantity]
    name = SURVEY_NAMES.get(_CODES.get((measure.quantity, measure.flow), ""), f"{units} {measure.flow}")
    return f"{name} {measure.phase}".strip(), units


def kilo(value: Decimal, units: str) -> tuple[Decimal, str]:
    """A value in base units as it is shown: energies and powers in thousands, all else as it is. Exact."""
    return (value.scaleb(-3), f"k{units}") if units in _KILO else (value, units)


def distinct(name: str, taken: set[str]) -> str:
    """`name`, numbered if it is taken already; then it is."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name} ({number})"
    taken.add(found)
    return found
