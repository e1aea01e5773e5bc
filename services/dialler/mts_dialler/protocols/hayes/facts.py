"""The answers to a GSM terminal's queries (modems.md, section 3.1; 3GPP TS 27.007)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_SIGNAL = re.compile(r"\+CSQ: *([0-9]{1,3}) *, *([0-9]{1,3})")
_REGISTRATION = re.compile(r"\+CREG: *(?:[0-9] *, *)?([0-9])(?: *,.*)?")
_SIM = re.compile(r"\+CPIN: *(.+)")
_CAUSE = re.compile(r"\+CEER: *(.*)")

_STRONGEST = 31
MAX_CAUSE = 100


@dataclass(frozen=True, slots=True)
class Signal:
    """Strength as the terminal gives it, 0 to 31. 31 means at least, 0 at most, the dBm that it stands for."""

    rssi: int

    @property
    def dbm(self) -> int:
        return 2 * self.rssi - 113


class Registration(Enum):
    """With the network."""

    IDLE = "not registered, not searching"
    HOME = "registered at home"
    SEARCHING = "searching for a network"
    DENIED = "denied by the network"
    UNKNOWN = "unknown"
    ROAMING = "registered abroad"

    @property
    def usable(self) -> bool:
        return self in (Registration.HOME, Registration.ROAMING)


_REGISTRATIONS = dict(zip("012345", Registration, strict=True))


def parse_signal(line: str) -> Signal | None:
    """`+CSQ: 18,99`; None if it is no such line, or the strength is not known."""
    found = _SIGNAL.fullmatch(line)
    return Signal(int(found[1])) if found and int(found[1]) <= _STRONGEST else None


def parse_registration(line: str) -> Registration | None:
    """`+CREG: 0,1`, also with a cell, also `+CREG: 1`; None if it is no such line."""
    found = _REGISTRATION.fullmatch(line)
    return _REGISTRATIONS.get(found[1], Registration.UNKNOWN) if found else None


def parse_sim(line: str) -> str | None:
    """`+CPIN: READY`: the part after the colon; None if it is no such line."""
    found = _SIM.fullmatch(line)
    return found[1].strip() if found else None


def parse_cause(line: str) -> str | None:
    """`+CEER: Call rejected`: why the last call failed, as far as it can be shown; None if it says nothing."""
    found = _CAUSE.fullmatch(line)
    cause = "".join(letter for letter in found[1] if letter.isprintable() and letter != "\ufffd") if found else ""
    return cause.strip().strip('"')[:MAX_CAUSE] or None
