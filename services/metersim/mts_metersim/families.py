"""Which protocol a meter type speaks."""

from enum import Enum, auto


class Family(Enum):
    """What a line's bytes are told apart by; types of one family are told apart by their address."""

    IEC = auto()
    HDLC = auto()
    WRAPPER = auto()
    EDMI = auto()


_FAMILIES = {
    "ELSTERA1700": Family.IEC,
    "ELSTERA1140": Family.IEC,
    "LG_E650_IEC": Family.IEC,
    "EMH_LZQJ": Family.IEC,
    "IEC62056_21": Family.IEC,
    "ISKRA_MT174": Family.IEC,
    "DLMS": Family.HDLC,
    "DLMS_WRAPPER": Family.WRAPPER,
    "LG_DLMS": Family.HDLC,
    "ISKRA_MX37X": Family.HDLC,
    "ISKRA_MT880": Family.HDLC,
    "ITRON_SL7000": Family.HDLC,
    "CEWEPRO100": Family.HDLC,
    "EDMIATLAS": Family.EDMI,
    "EDMIGENIUS": Family.EDMI,
}
ELSTER_TYPES = ("ELSTERA1700", "ELSTERA1140")
METER_TYPES = tuple(_FAMILIES)


def family_of(meter_type: str) -> Family:
    return _FAMILIES[meter_type]
