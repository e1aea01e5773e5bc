"""How an A1700 writes numbers and times (elster-a1700.md, section 5). Each function takes exactly its field's octets.

All raise `RemoteProtocolError` for octets that are none of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from mts_dialler.protocols.errors import RemoteProtocolError

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - stamps count the meter's own wall clock
_MILLI = -6  # mW to kW

UNUSED = 0
"""The stamp of an event that has not happened."""


def bcd(octets: bytes) -> int:
    """Two decimal digits an octet, the greatest first."""
    digits = octets.hex()
    if not digits.isdecimal():
        raise RemoteProtocolError(f"not decimal digits: {digits}")
    return int(digits)


def bcd_reversed(octets: bytes) -> int:
    """As `bcd`, the least octet first."""
    return bcd(octets[::-1])


def kilo(milli: int) -> Decimal:
    """mW, mWh, mvar ... as kW, kWh, kvar ..., exact."""
    return Decimal(milli).scaleb(_MILLI)


def little(octets: bytes) -> int:
    return int.from_bytes(octets, "little")


def stamp(octets: bytes) -> datetime | None:
    """4 octets: the meter's wall clock (naive), None if unused."""
    seconds = little(octets)
    return None if seconds == UNUSED else _EPOCH + timedelta(seconds=seconds)


def clock(octets: bytes) -> datetime:
    """Identity 861, 7 octets: the meter's wall clock (naive)."""
    if len(octets) != 7:
        raise RemoteProtocolError("a clock has 7 octets")
    second, minute, hour = (bcd(octets[index : index + 1]) for index in range(3))
    day, month = bcd(bytes([octets[3] & 0x3F])), bcd(bytes([octets[4] & 0x1F]))
    year = bcd(octets[6:7])
    try:
        # The year has two digits; a meter that has never been set says 1999 or before.
        return datetime(2000 + year if year < 90 else 1900 + year, month, day, hour, minute, second)  # noqa: DTZ001
    except ValueError as error:
        raise RemoteProtocolError(f"not a time: {octets.hex()}") from error


def instantaneous(octets: bytes) -> Decimal | None:
    """7 octets: sign and scale, 12 digits. None where the meter has no value: not measured, too large, overflow."""
    if len(octets) != 7:
        raise RemoteProtocolError("an instantaneous value has 7 octets")
    scale = octets[0] & 0x07
    if octets[0] == 0xFF or octets[1] == 0xFF or scale > 4:
        return None
    value = Decimal(bcd(octets[1:])).scaleb(scale - 4)
    return -value if octets[0] & 0x80 else value


def demand(octets: bytes) -> int | None:
    """3 octets of a load profile: 5 digits and a power of ten. None for what is no number."""
    digits = octets.hex()
    if not digits.isdecimal():
        return None
    return int(digits[:5] + "0" * int(digits[5]))


@dataclass(frozen=True, slots=True)
class MaximumDemand:
    """`at`: wall clock (naive), None if never. `source`: see `identities.SOURCES`. `value` in kW, kvar or kVA."""

    at: datetime | None
    source: int
    value: Decimal


def maximum_demand(octets: bytes) -> MaximumDemand:
    """12 octets of identity 510."""
    if len(octets) != 12:
        raise RemoteProtocolError("a maximum demand has 12 octets")
    return MaximumDemand(stamp(octets[:4]), octets[4], kilo(bcd_reversed(octets[5:])))


def clock_seconds(octets: bytes) -> datetime:
    """The first 4 octets of identity 863 of an A1140: the meter's wall clock (naive)."""
    wall = stamp(octets)
    if wall is None:
        raise RemoteProtocolError("the clock is not set")
    return wall


def binary_ratio(octets: bytes) -> tuple[Decimal, Decimal]:
    """Identity 616 of an A1140: primary and secondary, 4 octets each, the greatest first, in hundredths."""
    if len(octets) != 8:
        raise RemoteProtocolError("a transformer ratio has 8 octets")
    return Decimal(int.from_bytes(octets[:4], "big")).scaleb(-2), Decimal(int.from_bytes(octets[4:], "big")).scaleb(-2)


def seconds(wall: datetime) -> bytes:
    """A stamp, from the meter's wall clock (naive); the reverse of `stamp`."""
    return ((wall - _EPOCH) // timedelta(seconds=1)).to_bytes(4, "little")


def ratio(octets: bytes) -> tuple[Decimal, Decimal]:
    """Identities 614 and 616: primary (4 octets) and secondary (the rest), in hundredths."""
    if len(octets) < 5:
        raise RemoteProtocolError("a transformer ratio has more than 4 octets")
    primary, secondary = bcd_reversed(octets[:4]), bcd_reversed(octets[4:])
    return Decimal(primary).scaleb(-2), Decimal(secondary).scaleb(-2)
