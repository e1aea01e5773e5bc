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
    server = address_of(meter).server
    return family, str(server.logical) if family is Family.WRAPPER else server.field.hex()
