"""Registers that both EDMI families have under the same numbers (fact sheet edmi, sections 4.1 and 4.2)."""

from collections.abc import Callable
from functools import partial
from math import acos, degrees, isqrt

from mts_metersim.clock import wall_seconds
from mts_metersim.edmi_codes import EFA_CHARACTERS, NO_TIME, Register, standard_seconds, text
from mts_metersim.unit import Unit

_PHASES = range(3)
NOMINAL_HERTZ = 50.0


def common_registers(
    unit: Unit, model: str, serial_kind: str, ratio_kind: str, resets: tuple[int, int]
) -> dict[int, Register]:
    """System and instantaneous registers. The serial number is a string (A, G), the ratios are L or F; `resets`: where
    the times of the last two billing resets stand."""
    system = _system(unit, model, serial_kind) | _ratios(unit, ratio_kind)
    return system | _clock(unit, resets) | _instantaneous(unit)


def _system(unit: Unit, model: str, serial_kind: str) -> dict[int, Register]:
    flags = "!" if unit.meter.options.status_word else ""
    return {
        0xF000: text(model),
        0xF001: text("SIM"),
        0xF002: Register(serial_kind, "N", lambda: unit.shown_serial, "Serial Number"),
        0xF003: text("1.00"),
        0xF016: Register("E", "N", lambda: flags.ljust(EFA_CHARACTERS), "EFA"),
        0xF032: Register("L", "N", lambda: len(unit.resets(unit.clock.now())), "Billing Resets"),
        0xF090: Register("L", "N", lambda: 1, "Revision"),
        0xF091: Register("I", "N", lambda: 1, "Bootloader Revision"),
        0xFF00: Register("L", "N", lambda: 1, "Edition"),
    }


def _ratios(unit: Unit, kind: str) -> dict[int, Register]:
    (ct_primary, ct_secondary), (vt_primary, vt_secondary) = unit.meter.options.ct, unit.meter.options.vt
    values = (ct_primary, vt_primary, ct_secondary, vt_secondary)
    return {0xF700 + place: Register(kind, "N", partial(int, value)) for place, value in enumerate(values)}


def _clock(unit: Unit, resets: tuple[int, int]) -> dict[int, Register]:
    def standard() -> int:
        return standard_seconds(unit, unit.clock.now())

    def reset(place: int) -> int:
        found = unit.resets(unit.clock.now())
        return standard_seconds(unit, found[place]) if place < len(found) else NO_TIME

    return {
        0xF010: Register("R", "N", standard, "Date"),
        0xF011: Register("Q", "N", standard, "Time"),
        0xF03D: Register("T", "N", standard, "Clock"),
        0xF061: Register("T", "N", lambda: wall_seconds(unit.zone, unit.clock.now()), "Local Time"),
        **{number: Register("T", "N", partial(reset, place), "Reset") for place, number in enumerate(resets)},
    }


def _instantaneous(unit: Unit) -> dict[int, Register]:
    """A phase carries a third of the load."""

    def active() -> int:
        return unit.power("import", unit.clock.now()) - unit.power("export", unit.clock.now())

    def reactive() -> int:
        now = unit.clock.now()
        drawn, delivered = (sum(unit.power(name, now) for name in pair) for pair in (("q1", "q2"), ("q3", "q4")))
        return drawn - delivered

    def apparent() -> int:
        return isqrt(active() ** 2 + reactive() ** 2)

    def factor() -> float:
        return abs(active()) / apparent() if apparent() else 1.0

    found = {0xE026: Register("F", "Q", factor, "Power Factor")}
    found[0xE060] = Register("F", "H", lambda: NOMINAL_HERTZ + (unit.clock.now() % 7 - 3) / 100, "Frequency")
    for base, letter, power in ((0xE030, "W", active), (0xE040, "R", reactive), (0xE050, "S", apparent)):
        found |= {base + phase: Register("F", letter, partial(_third, power)) for phase in _PHASES}
        found[base + 3] = Register("F", letter, power, "Total")
    for phase in _PHASES:
        found[0xE000 + phase] = Register("F", "V", partial(volts, unit, phase), f"Phase {'ABC'[phase]} Voltage")
        found[0xE010 + phase] = Register("F", "A", partial(_amperes, unit, phase, apparent))
        found[0xE020 + phase] = Register("F", "D", lambda: degrees(acos(factor())))
    return found


def volts(unit: Unit, phase: int) -> float:
    """Different per phase, wandering with the time of day."""
    return (2390 + phase * 7 + unit.clock.now() // 600 % 25) / 10


def _third(whole: Callable[[], int]) -> float:
    return whole() / 3


def _amperes(unit: Unit, phase: int, apparent: Callable[[], int]) -> float:
    return apparent() / 3 / volts(unit, phase)
