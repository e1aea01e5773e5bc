"""Register numbers, and the arithmetic of those that hold energies and maximum demands (edmi.md, section 4)."""

from __future__ import annotations

from enum import IntEnum

from mts_dialler.protocols.errors import LocalProtocolError

MODEL = 0xF000
SERIAL_NUMBER = 0xF002
FIRMWARE = 0xF003
FLAGS = 0xF016
BILLING_RESETS = 0xF032
CLOCK = 0xF03D  # standard time, never summer time
CURRENT_MULTIPLIER, VOLTAGE_MULTIPLIER, CURRENT_DIVISOR, VOLTAGE_DIVISOR = range(0xF700, 0xF704)

ATLAS_LAST_BILLING, ATLAS_BILLING_BEFORE = 0x6200, 0x6400
GENIUS_LAST_BILLING, GENIUS_BILLING_BEFORE = 0xFC00, 0xFC01
ATLAS_TARIFF_CHANNELS, ATLAS_CHANNELS = 0xD880, 32
GENIUS_TARIFF_CHANNELS, GENIUS_CHANNELS = 0xF780, 12
RATES = 8

PHASE_LETTERS = ("L1", "L2", "L3")

INSTANTANEOUS: dict[int, tuple[str, str]] = {
    **{0xE000 + at: (f"Voltage {phase}", "V") for at, phase in enumerate(PHASE_LETTERS)},
    **{0xE010 + at: (f"Current {phase}", "A") for at, phase in enumerate(PHASE_LETTERS)},
    **{0xE020 + at: (f"Phase Angle {phase}", "°") for at, phase in enumerate(PHASE_LETTERS)},
    **{0xE030 + at: (f"Active Power {phase}", "W") for at, phase in enumerate(PHASE_LETTERS)},
    0xE033: ("Total Active Power", "W"),
    **{0xE040 + at: (f"Reactive Power {phase}", "var") for at, phase in enumerate(PHASE_LETTERS)},
    0xE043: ("Total Reactive Power", "var"),
    **{0xE050 + at: (f"Apparent Power {phase}", "VA") for at, phase in enumerate(PHASE_LETTERS)},
    0xE053: ("Total Apparent Power", "VA"),
    0xE026: ("Power Factor", ""),
    0xE060: ("Frequency", "Hz"),
}
"""Momentary values of both families, each a float in its base unit."""


class Kind(IntEnum):
    """What a register of a channel holds, as Atlas meters number it."""

    ENERGY = 0
    MAXIMUM_DEMAND = 1
    TIME_OF_MAXIMUM = 2


class Period(IntEnum):
    """Over which time, as Atlas meters number it."""

    CURRENT = 0
    TOTAL = 15


def atlas_register(kind: Kind, period: Period, channel: int, rate: int = 0) -> int:
    """`rate` 0 = all rates together, else 1 to 8. Raises `LocalProtocolError`."""
    _check(channel, ATLAS_CHANNELS, rate)
    return kind << 13 | period << 9 | channel << 4 | rate


_GENIUS_KINDS = {Kind.ENERGY: 0, Kind.MAXIMUM_DEMAND: 1, Kind.TIME_OF_MAXIMUM: 8}
_GENIUS_PERIODS = {Period.CURRENT: 0, Period.TOTAL: 6}


def genius_register(kind: Kind, period: Period, channel: int, rate: int = 0) -> int:
    """As `atlas_register`."""
    _check(channel, GENIUS_CHANNELS, rate)
    return _GENIUS_KINDS[kind] << 12 | channel << 8 | _GENIUS_PERIODS[period] << 4 | (rate - 1 if rate else 9)


def _check(channel: int, channels: int, rate: int) -> None:
    if not 0 <= channel < channels or not 0 <= rate <= RATES:
        raise LocalProtocolError(f"no such register: channel {channel}, rate {rate}")
