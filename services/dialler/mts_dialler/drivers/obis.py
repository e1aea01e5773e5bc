"""What the codes of a readout are called in a report (iec62056-21.md, section 7).

The names are those of all meter families: `Active Energy Import`, `Reactive Energy Q1`, `Voltage L1` and so on. A
tariff adds ` T1`, a value stored at a reset ` at reset 12`. A code that is not in these tables keeps its own spelling.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mts_common.messages import RegisterCategory
from mts_dialler.protocols.iec62056_21.data_sets import Code


class Form(Enum):
    """What a register's first value is."""

    NUMBER = "a number, with or without unit"
    MEASURE = "a number with a unit; without one the code means something else"
    TEXT = "a text"


@dataclass(frozen=True, slots=True)
class Definition:
    """`units` are those that the name allows, without prefix; empty = any."""

    name: str
    category: RegisterCategory
    form: Form
    units: tuple[str, ...] = ()


_FLOWS = {
    "1": ("Active", "Import"),
    "2": ("Active", "Export"),
    "3": ("Reactive", "Import"),
    "4": ("Reactive", "Export"),
    "5": ("Reactive", "Q1"),
    "6": ("Reactive", "Q2"),
    "7": ("Reactive", "Q3"),
    "8": ("Reactive", "Q4"),
    "9": ("Apparent", ""),
    "10": ("Apparent", "Export"),
    "15": ("Active", "Absolute"),
    "16": ("Active", "Net"),
}
_UNITS = {"Active": ("Wh", "W"), "Reactive": ("varh", "var"), "Apparent": ("VAh", "VA")}
_KINDS = {
    "2": "Cumulative Maximum Demand",
    "4": "Average Demand",
    "5": "Last Average Demand",
    "6": "Maximum Demand",
    "8": "Energy",
}

_INSTANTANEOUS: dict[str, tuple[str, tuple[str, ...]]] = {
    "1": ("Total Active Power Import", ("W",)),
    "2": ("Total Active Power Export", ("W",)),
    "3": ("Total Reactive Power Import", ("var",)),
    "4": ("Total Reactive Power Export", ("var",)),
    "9": ("Total Apparent Power", ("VA",)),
    "13": ("Power Factor", ()),
    "14": ("Frequency", ("Hz",)),
    "16": ("Total Active Power", ("W",)),
    "21": ("Active Power L1", ("W",)),
    "41": ("Active Power L2", ("W",)),
    "61": ("Active Power L3", ("W",)),
    "31": ("Current L1", ("A",)),
    "51": ("Current L2", ("A",)),
    "71": ("Current L3", ("A",)),
    "32": ("Voltage L1", ("V",)),
    "52": ("Voltage L2", ("V",)),
    "72": ("Voltage L3", ("V",)),
    "33": ("Power Factor L1", ()),
    "53": ("Power Factor L2", ()),
    "73": ("Power Factor L3", ()),
}
_MEANS = {"7", "25"}  # instantaneous; instantaneous mean (EMH)

_OTHERS: dict[str, tuple[str, Form]] = {
    "0.1.0": ("Reset Counter", Form.NUMBER),
    "0.2.0": ("Firmware", Form.TEXT),
    "0.2.1": ("Parameter Set", Form.TEXT),
    "0.2.2": ("Tariff Program", Form.TEXT),
    "0.3.0": ("Active Pulse Constant", Form.NUMBER),
    "0.3.3": ("Reactive Pulse Constant", Form.NUMBER),
    "C.1.0": ("Serial Number", Form.TEXT),
    "C.2.0": ("Parameter Changes", Form.NUMBER),
    "C.7.0": ("Power Failures", Form.NUMBER),
    "C.7.1": ("Power Failures L1", Form.NUMBER),
    "C.7.2": ("Power Failures L2", Form.NUMBER),
    "C.7.3": ("Power Failures L3", Form.NUMBER),
    "F.F": ("Error Register", Form.TEXT),
}

SURVEY_NAMES: dict[str, str] = {
    "1": "kWh Import",
    "2": "kWh Export",
    "3": "kvarh Import",
    "4": "kvarh Export",
    "5": "kvarh Q1",
    "6": "kvarh Q2",
    "7": "kvarh Q3",
    "8": "kvarh Q4",
    "9": "kVAh Import",
    "10": "kVAh Export",
}
"""Survey channels by the third part of their code; the unit is the name's first word (mts-api.md)."""


def define(code: Code) -> Definition | None:
    """None for a code of another medium than electricity, and for one that is in no table."""
    if code.medium not in {None, "0", "1"}:
        return None
    found = _flow(code) or _instantaneous(code) or _other(code)
    if found is None:
        return None
    channel = f" channel {code.channel}" if code.channel not in {None, "0", "1"} else ""
    reset = "" if code.reset is None else f" at {'manual ' if code.manual else ''}reset {code.reset}"
    return Definition(found.name + channel + reset, found.category, found.form, found.units)


def _flow(code: Code) -> Definition | None:
    if code.c not in _FLOWS or code.d not in _KINDS:
        return None
    quantity, direction = _FLOWS[code.c]
    kind = _KINDS[code.d]
    tariff = int(code.e or "0")
    words = [quantity, kind, direction, f"T{tariff}" if tariff else ""]
    category = RegisterCategory.ENERGY if kind == "Energy" else RegisterCategory.MISCELLANEOUS
    return Definition(
        " ".join(filter(None, words)),
        RegisterCategory.TIME_OF_USE if tariff else category,
        Form.NUMBER,
        _UNITS[quantity],
    )


def _instantaneous(code: Code) -> Definition | None:
    if code.c not in _INSTANTANEOUS or code.d not in _MEANS or code.e not in {None, "0"}:
        return None
    name, units = _INSTANTANEOUS[code.c]
    return Definition(name, RegisterCategory.INSTANTANEOUS, Form.MEASURE if units else Form.NUMBER, units)


def _other(code: Code) -> Definition | None:
    name, form = _OTHERS.get(code.short, ("", Form.TEXT))
    return Definition(name, RegisterCategory.MISCELLANEOUS, form) if name else None
