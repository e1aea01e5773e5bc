"""The driver of each meter type of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mts_dialler.drivers import edmi, iec_types
from mts_dialler.drivers.base import Driver
from mts_dialler.drivers.edmi import EdmiDriver
from mts_dialler.drivers.elster_a1700 import ElsterA1700Driver
from mts_dialler.drivers.iec62056_21 import Iec6205621Driver

DRIVERS: Mapping[str, Driver] = MappingProxyType(
    {
        "EDMIATLAS": EdmiDriver(edmi.ATLAS),
        "EDMIGENIUS": EdmiDriver(edmi.GENIUS),
        "ELSTERA1700": ElsterA1700Driver(),
        "EMH_LZQJ": Iec6205621Driver(iec_types.EMH_LZQJ),
        "IEC62056_21": Iec6205621Driver(iec_types.GENERAL),
        "ISKRA_MT174": Iec6205621Driver(iec_types.ISKRA_MT174),
        "LG_E650_IEC": Iec6205621Driver(iec_types.LANDIS_GYR_E650),
    }
)
