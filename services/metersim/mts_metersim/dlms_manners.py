"""What differs from type to type among the DLMS/COSEM meters, as data (fact sheet dlms-cosem, section 5; captures)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mts_metersim.hdlc import ServerAddress

if TYPE_CHECKING:
    from mts_metersim.fleet import Meter

PUBLIC_CLIENT = 16

READ, WRITE, BLOCK_GET, MULTIPLE, PARAMETERIZED = 0x100000, 0x080000, 0x1000, 0x200, 0x20
GET, SELECTIVE, ACTION = 0x10, 0x04, 0x01


@dataclass(frozen=True, slots=True)
class Manner:
    """One type's manner.

    `clients`: the numbers that a reader may use, the first is the usual one; `logical`, `physical`: its server
    address where the fleet names none. `transmit`, `receive`: the longest information field it sends and takes. `pdu`:
    the longest APDU that it takes. `flag`: the three letters of its maker. `profile`: what a survey column holds.
    `energy_scaler`, `energy_octets`: how energies are written. `info_on_disc`: a UA tells the sizes after DISC too.
    """

    flag: str
    clients: tuple[int, ...] = (1,)
    logical: int = 1
    physical: int | None = None
    transmit: int = 128
    receive: int = 128
    window: int = 1
    pdu: int = 384
    conformance: int = 0x00181D
    short_names: bool = False
    profile: str = "cumulative"
    survey: str = "1.0.99.1.0"
    energy_scaler: int = 0
    energy_octets: int = 4
    info_on_disc: bool = False
    hundredths: int = 0xFF
    nulls: str = "none"
    firmware: str = "V1.00"


_KEYS = re.compile(r"gmac:([0-9A-Fa-f]{32}):([0-9A-Fa-f]{32})")

_IDIS = Manner(
    "ISK", physical=17, transmit=154, receive=154, pdu=1224, conformance=0x001E1D, hundredths=0, nulls="clock"
)

_MANNERS = {
    "DLMS": Manner("APA", energy_octets=8),
    "DLMS_WRAPPER": Manner("KFM", pdu=200, conformance=0x001A1D),
    "ISKRA_MT880": _IDIS,
    "ISKRA_MX37X": Manner("ISK", (100,), physical=17, transmit=126, receive=126, pdu=512, conformance=0x001A1D),
    "ITRON_SL7000": Manner(
        "SLB", (1, 2, 3, 7), physical=17, pdu=512, profile="energy", survey="0.0.99.1.0", conformance=0x001A1D
    ),
    "CEWEPRO100": Manner(
        "CWE", transmit=512, receive=512, window=7, pdu=2048, profile="energy", energy_scaler=-1, conformance=0x001A1D
    ),
    "LG_DLMS": Manner(
        "LGZ",
        (32, 48),
        transmit=248,
        receive=62,
        pdu=2400,
        conformance=READ | WRITE | MULTIPLE | PARAMETERIZED,
        short_names=True,
        profile="demand",
        info_on_disc=True,
        firmware="B32",
    ),
}


@dataclass(frozen=True, slots=True)
class DlmsAddress:
    """Who a meter talks to and where it is: the forms of `outstationAddress` are in the README."""

    clients: tuple[int, ...]
    server: ServerAddress


@dataclass(frozen=True, slots=True)
class Keys:
    """Encryption and authentication key, 16 octets each."""

    encryption: bytes = field(repr=False)
    authentication: bytes = field(repr=False)


def keys_of(password: str) -> Keys | None:
    """The keys of a password `gmac:EKHEX:AKHEX`, None for any other password."""
    found = _KEYS.fullmatch(password)
    return None if found is None else Keys(bytes.fromhex(found[1]), bytes.fromhex(found[2]))


def manner_of(meter: Meter) -> Manner:
    return _MANNERS[meter.meter_type]


def profile_of(meter: Meter) -> str:
    """What a survey column holds: "cumulative", "energy" or "demand"."""
    return meter.options.profile or manner_of(meter).profile


def address_of(meter: Meter) -> DlmsAddress:
    """Raises ValueError where the outstation address has no known form."""
    manner = manner_of(meter)
    parts = [int(part) for part in meter.outstation_address.split("/")] if meter.outstation_address else []
    if meter.meter_type == "LG_DLMS":
        return _lg_address(meter, manner, parts)
    if len(parts) == 1 or len(parts) > 4:
        raise ValueError(meter.outstation_address)
    clients = (parts[0],) if parts else manner.clients
    logical, physical = (parts[1], parts[2] if len(parts) > 2 else None) if parts else (manner.logical, manner.physical)
    return DlmsAddress(clients, _server(logical, physical, parts[3] if len(parts) == 4 else 0))


def _lg_address(meter: Meter, manner: Manner, parts: list[int]) -> DlmsAddress:
    """Four octets; without a physical address the last four digits of the serial number + 1000."""
    if len(parts) not in (0, 1, 3):
        raise ValueError(meter.outstation_address)
    client, logical = (parts[0], parts[1]) if len(parts) == 3 else (0, manner.logical)
    physical = parts[-1] if parts else int(meter.serial_number[-4:]) + 1000
    return DlmsAddress((client,) if client else manner.clients, _server(logical, physical, 4))


def _server(logical: int, physical: int | None, octets: int) -> ServerAddress:
    """Without a given length the shortest that holds the address."""
    least = 1 if physical is None else 2 if max(logical, physical) < 0x80 else 4
    octets = octets or least
    if octets < least or octets not in (1, 2, 4):
        raise ValueError(f"{logical}/{physical} does not fit {octets} octets")
    return ServerAddress(logical, 0 if physical is None and octets > 1 else physical, octets)
