"""EDMI values, times and refusals (fact sheet edmi, sections 2 and 3)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from struct import pack

from mts_metersim.clock import is_summer, wall_seconds
from mts_metersim.unit import Unit

EPOCH = int(datetime(1996, 1, 1, tzinfo=UTC).timestamp())
NO_TIME = EPOCH
EFA_CHARACTERS = 16

Content = int | float | str


class CanCode(IntEnum):
    """Why the meter cannot."""

    UNIMPLEMENTED = 2
    NO_REGISTER = 3
    ACCESS_DENIED = 4
    WRONG_LENGTH = 5
    NOT_READY = 7
    OUT_OF_RANGE = 8
    NOT_LOGGED_IN = 9


class Can(Exception):
    """The command is refused with that code."""

    def __init__(self, code: CanCode) -> None:
        super().__init__(code.name)
        self.code = code


@dataclass(frozen=True, slots=True)
class Register:
    """One register: its type and unit letters, what it holds now, what the meter calls it.

    Times (T, Q, R) are seconds of `standard_seconds`.
    """

    kind: str
    unit: str
    content: Callable[[], Content]
    name: str = ""

    def external(self) -> bytes:
        """The value as R and M return it."""
        return external(self.kind, self.content())


def external(kind: str, content: Content) -> bytes:
    """A value by its type letter, most significant byte first."""
    if isinstance(content, str):
        return content.encode("ascii") + b"\0"
    if kind in "FOP":
        return pack(">f", content)
    if kind in "DU":
        return pack(">d", content)
    whole = int(content)
    if kind in "TQR":
        return _moment(kind, whole)
    size, is_signed = {"B": (1, False), "C": (1, False), "H": (2, False), "I": (2, True), "L": (4, True)}.get(
        kind, (4, False)
    )
    return (whole if is_signed else whole % 256**size).to_bytes(size, "big", signed=is_signed)


def _moment(kind: str, seconds: int) -> bytes:
    shown = datetime.fromtimestamp(seconds, UTC)
    date = bytes([shown.day, shown.month, shown.year % 100])
    time = bytes([shown.hour, shown.minute, shown.second])
    return {"T": date + time, "R": date, "Q": time}[kind]


def standard_seconds(unit: Unit, instant: int) -> int:
    """Seconds since 1970 of the zone's standard time, in which the meter reckons all year."""
    return wall_seconds(unit.zone, instant) - 3600 * is_summer(unit.zone, instant)


def since_epoch(unit: Unit, instant: int) -> int:
    """Seconds since 1996 in standard time, as logs hold them."""
    return standard_seconds(unit, instant) - EPOCH


def text(content: str) -> Register:
    return Register("A", "N", lambda: content)
