"""The driver of each meter type of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mts_dialler.drivers import dlms_types, edmi, elster_types, iec_types
from mts_dialler.drivers.base import Driver
from mts_dialler.drivers.dlms import DlmsDriver
from mts_dialler.drivers.edmi import EdmiDriver
from mts_dialler.drivers.elster_a1700 import ElsterDriver
from mts_dialler.drivers.iec62056_21 import Iec6205621Driver

DRIVERS: Mapping[str, Driver] = MappingProxyType(
    {
        "CEWEPRO100": DlmsDriver(dlms_types.CEWE_PROMETER_100),
        "DLMS": DlmsDriver(dlms_types.GENERAL),
        "DLMS_WRAPPER": DlmsDriver(dlms_types.WRAPPED),
        "EDMIATLAS": EdmiDriver(edmi.ATLAS),
        "EDMIGENIUS": EdmiDriver(edmi.GENIUS),
        "ELSTERA1140": ElsterDriver(elster_types.A1140),
        "ELSTERA1700": ElsterDriver(elster_types.A1700),
        "EMH_LZQJ": Iec6205621Driver(iec_types.EMH_LZQJ),
        "IEC62056_21": Iec6205621Driver(iec_types.GENERAL),
        "ISKRA_MT174": Iec6205621Driver(iec_types.ISKRA_MT174),
        "ISKRA_MT880": DlmsDriver(dlms_types.ISKRA_MT880),
        "ISKRA_MX37X": DlmsDriver(dlms_types.ISKRA_MX37X),
        "ITRON_SL7000": DlmsDriver(dlms_types.ITRON_SL7000),
        "LG_DLMS": DlmsDriver(dlms_types.LANDIS_GYR),
        "LG_E650_IEC": Iec6205621Driver(iec_types.LANDIS_GYR_E650),
    }
)
