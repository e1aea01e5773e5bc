"""Where a meter is on its line: what a host must name to reach it (forms: README.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mts_metersim.dlms_manners import address_of
from mts_metersim.families import Family, family_of

if TYPE_CHECKING:
    from mts_metersim.fleet import Meter

Place = tuple[Family, str]


def place_of(meter: Meter) -> Place:
    """Two meters of one line must differ in it. Raises ValueError where the address has no known form."""
    family = family_of(meter.meter_type)
    if family is Family.IEC:
        return family, meter.outstation_address
    if family is Family.EDMI:
        return family, str(edmi_number(meter))
    server = address_of(meter).server
    return family, str(server.logical) if family is Family.WRAPPER else server.field.hex()


def edmi_number(meter: Meter) -> int:
    """The serial number by which an EDMI meter is called. Raises ValueError."""
    number = int(meter.outstation_address or meter.serial_number)
    if not 0 <= number < 1 << 32:
        raise ValueError(f"{number} does not fit four octets")
    return number
