"""The event logs of Atlas meters (edmi.md, section 5.3): records of six bytes, and their codes in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from mts_dialler.protocols.edmi.values import seconds_since_1996

LOGS = {0: "system", 1: "setup", 2: "billing", 3: "trigger", 4: "diagnostic"}
RECORD = 6
FIRST, LAST = 0xD815, 0xD81A  # plus the number of the log; LAST is the number that comes next
FILE = 2  # the file of log 0


@dataclass(frozen=True, slots=True)
class LogEntry:
    """`wall`: the meter's standard time, None if it kept none."""

    code: int
    wall: datetime | None


def parse_log(data: bytes) -> Iterator[LogEntry]:
    """The whole records in `data`."""
    for at in range(0, len(data) - RECORD + 1, RECORD):
        code, seconds = (int.from_bytes(data[start:end], "little") for start, end in ((at, at + 2), (at + 2, at + 6)))
        yield LogEntry(code, seconds_since_1996(seconds))


_FLAGS = (
    "magnetic tamper or user flag",
    "battery",
    "pulse overflow",
    "data flash",
    "program flash",
    "memory or display",
    "modem",
    "calibration lost",
    "reverse power",
    "clock",
    "tamper",
    "phase rotation",
    "voltage transformer failure",
    "voltage tolerance",
    "asymmetric power",
    "reference failure",
)
_FLAG_CHANGES = ("latched", "latch cleared", "became active", "became inactive")

_EXACT = {0x2080: "Wrong password", 0x20CF: "Clock set", 0x5000: "Billing reset", 0x5001: "Billing reset"}
_BY_12_BITS = {
    0x100: "Power down",
    0x101: "Power up",
    0x102: "Parameters recovered",
    0x103: "Parameters lost",
    0x20C: "Time about to change",
    0x508: "Billing reset",
}
_BY_8_BITS = {0x40: "Firmware changed", 0x60: "Voltage sag or swell"}
_SESSION = (range(0x2000, 0x2020), range(0x2080, 0x20A0))
_SETUP = range(0x2040, 0x2080)


def describe(code: int) -> str | None:
    """The event in plain words; None for the comings and goings of users, ours among them."""
    if code in _EXACT:
        return _EXACT[code]
    if any(code in codes for codes in _SESSION):
        return None
    if code in _SETUP:
        return "Setup changed"
    if code >> 8 == 0x30:
        return _flag(code & 0xFF)
    if code >> 12 == 0xA:
        return f"Setup changed, area {code & 0xFF}"
    return _BY_12_BITS.get(code >> 4) or _BY_8_BITS.get(code >> 8) or f"Event {code:04X}"


def _flag(low: int) -> str:
    number = low & 0x3F
    if number < len(_FLAGS):
        name = _FLAGS[number]
    elif number < 32:
        name = f"advanced tamper {number - 15}"
    else:
        name = f"{number}"
    return f"Alarm {name}: {_FLAG_CHANGES[low >> 6]}"
