"""In what the meter types of the DLMS driver differ, and how a request names one meter (mts-api.md, forms by type)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from mts_dialler.drivers.base import Terms
from mts_dialler.errors import NotConfigured

PUBLIC_CLIENT = 16
KEY_OCTETS = 16

AMR_STATUS: Mapping[int, str] = {
    0x01: "critical error",
    0x02: "clock invalid",
    0x04: "data not valid",
    0x20: "clock adjusted",
    0x40: "recovered value",
    0x80: "power down",
}
"""Bits of the status column of a load profile (IDIS Package 2, AMR profile status). 08 is summer time."""

VDEW_STATUS: Mapping[int, str] = {
    0x80: "power failure",
    0x40: "power restored",
    0x20: "clock set",
    0x04: "measurement disturbed",
    0x02: "clock invalid",
    0x01: "fatal error",
}
"""The same of Landis+Gyr, whose status is that of VDEW load profiles. 10 is a reset, 08 the season."""

IDIS_ERRORS: Mapping[int, str] = {
    0: "clock invalid",
    1: "battery to be replaced",
    8: "program memory error",
    9: "RAM error",
    10: "non-volatile memory error",
    11: "measurement system error",
    12: "watchdog error",
    13: "fraud attempt",
}
"""Bits of error register 1 (IDIS Package 2)."""

IDIS_EVENTS: Mapping[int, str] = {
    1: "Power down",
    2: "Power up",
    3: "Daylight saving changed",
    4: "Clock adjusted (old time)",
    5: "Clock adjusted (new time)",
    6: "Clock invalid",
    7: "Battery to be replaced",
    8: "Battery voltage low",
    9: "Tariff scheme activated",
    10: "Error register cleared",
    11: "Alarm register cleared",
    12: "Program memory error",
    13: "RAM error",
    14: "Non-volatile memory error",
    15: "Watchdog error",
    16: "Measurement system error",
    17: "Firmware ready for activation",
    18: "Firmware activated",
    255: "Event log cleared",
}
"""Codes of the standard event log (IDIS Package 2); the others are the maker's."""

QUIET_STATUS = 0x18  # season and reset, which make no reading suspect


class Carrier(Enum):
    HDLC = "HDLC"
    WRAPPER = "TCP wrapper"

    @property
    def needs_release(self) -> bool:
        """Does an association outlive the closing of the link?"""
        return self is Carrier.WRAPPER


@dataclass(frozen=True, slots=True)
class Address:
    """A client and a server; `octets` None = as few as hold the server's address. The wrapper has no `physical`."""

    client: int
    logical: int
    physical: int | None = None
    octets: int | None = None


@dataclass(frozen=True, slots=True)
class MeterProfile:
    """How one meter type is read.

    `surveys`: logical names of the load profile, the first that there is counts. `stamps_end`: a row is stamped with
    the end of its period. `names_deviation`: the times of a range are first given with deviation. `inverted`: the
    meter sends local time minus UTC; None = as its clock shows, see `dlms_clock`.
    """

    default: Address = Address(1, 1)
    carrier: Carrier = Carrier.HDLC
    short_names: bool = False
    surveys: tuple[str, ...] = ("1.0.99.1.0", "1.0.99.2.0")
    stamps_end: bool = True
    names_deviation: bool = False
    inverted: bool | None = None
    status_words: Mapping[int, str] = field(default_factory=dict)
    error_bits: Mapping[int, str] = field(default_factory=dict)
    event_words: Mapping[int, str] = field(default_factory=dict)


GENERAL = MeterProfile(status_words=AMR_STATUS)
WRAPPED = replace(GENERAL, carrier=Carrier.WRAPPER)
ITRON_SL7000 = MeterProfile(default=Address(1, 1, 17), surveys=("0.0.99.1.0", "1.0.99.1.0"))
ISKRA_MX37X = MeterProfile(
    default=Address(100, 1, 17), status_words=AMR_STATUS, error_bits=IDIS_ERRORS, event_words=IDIS_EVENTS
)
ISKRA_MT880 = replace(ISKRA_MX37X, default=Address(1, 1, 17))
CEWE_PROMETER_100 = GENERAL
LANDIS_GYR = MeterProfile(default=Address(32, 1), short_names=True, status_words=VDEW_STATUS)


@dataclass(frozen=True, slots=True)
class Gmac:
    """Keys of HLS-GMAC, suite 0."""

    encryption_key: bytes = field(repr=False)
    authentication_key: bytes = field(repr=False)


Secret = bytes | Gmac | None
"""An LLS password, keys, or no security."""


def secret(profile: MeterProfile, password: str) -> Secret:
    """Of the forms that the catalogue lets in. Raises `NotConfigured`."""
    if not password:
        return None
    if not password.startswith("gmac:"):
        return password.encode("latin-1", "replace")
    if profile.short_names:
        raise NotConfigured("HLS-GMAC is for meters with logical names")
    try:
        encryption, authentication = (bytes.fromhex(part) for part in password.split(":")[1:])
    except ValueError:
        encryption = authentication = b""
    if len(encryption) != KEY_OCTETS or len(authentication) != KEY_OCTETS:
        raise NotConfigured("the keys are not two of 32 hexadecimal digits")
    return Gmac(encryption, authentication)


def address(profile: MeterProfile, terms: Terms) -> Address:
    """Whom to call. Raises `NotConfigured`."""
    if profile.short_names:
        return _landis_gyr_address(terms)
    if not terms.outstation_address:
        return profile.default
    parts = [int(part) for part in terms.outstation_address.split("/")]
    if profile.carrier is Carrier.WRAPPER and len(parts) > 2:
        raise NotConfigured("over the TCP wrapper the outstation address is CLIENT/LOGICAL")
    return Address(*parts)


def _landis_gyr_address(terms: Terms) -> Address:
    """Four octets; without a physical address that of the serial number: its last four digits + 1000.

    Clients: 16 reads without a password, 32 with one (dlms-cosem.md, section 5; mts-domain.md, B and E).
    """
    client, logical = (32 if terms.password else PUBLIC_CLIENT), 1
    parts = [int(part) for part in terms.outstation_address.split("/") if part]
    if len(parts) == 3:
        client, logical, physical = parts
    elif parts:
        physical = parts[0]
    else:
        digits = re.sub(r"[^0-9]", "", terms.serial_number)
        if len(digits) < 4:
            raise NotConfigured("the outstation address, or the serial number that it follows from, must be given")
        physical = int(digits[-4:]) + 1000
    return Address(client, logical, physical, 4)
