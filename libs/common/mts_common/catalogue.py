"""The meter types: what a client may name, how each is reached and what its address and password look like.

Names and forms: mts-api.md, "test-request"; the vendor's identifiers: mts-domain.md, A1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mts_common.messages import Transport


@dataclass(frozen=True, slots=True)
class Form:
    """What a request field must look like for a meter type; `pattern` None = the type takes no such field."""

    pattern: re.Pattern[str] | None
    expected: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class MeterType:
    """`supported` False: the type is known, but its protocol is not built; a request for one is refused."""

    name: str
    outstation: Form
    password: Form
    transports: tuple[Transport, ...] = (Transport.MODEM, Transport.TCP)
    supported: bool = False
    keeps_survey: bool = True


_ANY = Form(re.compile(r".*", re.DOTALL), "any text")
_ELSTER_ADDRESS = Form(re.compile(r"[0-9]{1,16}"), "a decimal device address")
_ELSTER_PASSWORD = Form(re.compile(r"[\x21-\x7e]{8}"), "8 characters")
_IEC_ADDRESS = Form(re.compile(r"[0-9A-Za-z][0-9A-Za-z ._-]{0,31}"), "an IEC device address of up to 32 characters")
_IEC_PASSWORD = Form(re.compile(r"[ !\x22-\x27*-\x2e0-\x7e]{1,32}"), "up to 32 printable characters other than ( ) /")
_EDMI_ADDRESS = Form(re.compile(r"[0-9]{1,10}"), "the meter's serial number in digits", required=True)
_EDMI_PASSWORD = Form(re.compile(r"[\x21-\x2b\x2d-\x7e]+,[\x21-\x7e]+"), "USER,PASSWORD", required=True)
_DLMS_ADDRESS = Form(re.compile(r"[0-9]+/[0-9]+(/[0-9]+(/[124])?)?"), "CLIENT/LOGICAL[/PHYSICAL[/OCTETS]]")
_LG_DLMS_ADDRESS = Form(re.compile(r"[0-9]+(/[0-9]+/[0-9]+)?"), "a physical address, or CLIENT/LOGICAL/PHYSICAL")
_DLMS_PASSWORD = Form(
    re.compile(r"gmac:[0-9A-Fa-f]{32}:[0-9A-Fa-f]{32}|(?!gmac:)[\x20-\x7e]+"),
    "an LLS secret, or gmac:EKHEX:AKHEX",
)

_TYPES = (
    MeterType("CEWEPRO", _ANY, _ANY),
    MeterType("CEWEPRO100", _DLMS_ADDRESS, _DLMS_PASSWORD, supported=True),
    MeterType("DLMS", _DLMS_ADDRESS, _DLMS_PASSWORD, supported=True),
    MeterType("DLMS_WRAPPER", _DLMS_ADDRESS, _DLMS_PASSWORD, transports=(Transport.TCP,), supported=True),
    MeterType("EDMIATLAS", _EDMI_ADDRESS, _EDMI_PASSWORD, supported=True),
    MeterType("EDMIGENIUS", _EDMI_ADDRESS, _EDMI_PASSWORD, supported=True),
    MeterType("ELSTERA1140", _ELSTER_ADDRESS, _ELSTER_PASSWORD, supported=True),
    MeterType("ELSTERA1700", _ELSTER_ADDRESS, _ELSTER_PASSWORD, supported=True),
    MeterType("ELSTERAS230", _ANY, _ANY),
    MeterType("EMH_LZQJ", _IEC_ADDRESS, _IEC_PASSWORD, supported=True),
    MeterType("EMLITECOP10", _ANY, _ANY),
    MeterType("IEC62056_21", _IEC_ADDRESS, _IEC_PASSWORD, supported=True),
    MeterType("ISKRA_MT174", _IEC_ADDRESS, _IEC_PASSWORD, supported=True, keeps_survey=False),
    MeterType("ISKRA_MT880", _DLMS_ADDRESS, _DLMS_PASSWORD, supported=True),
    MeterType("ISKRA_MX37X", _DLMS_ADDRESS, _DLMS_PASSWORD, supported=True),
    MeterType("ITRON_SL7000", _DLMS_ADDRESS, _DLMS_PASSWORD, supported=True),
    MeterType("LG_DLMS", _LG_DLMS_ADDRESS, _DLMS_PASSWORD, supported=True),
    MeterType("LG_E650_IEC", _IEC_ADDRESS, _IEC_PASSWORD, supported=True),
    MeterType("PREMIERPRI", _ANY, _ANY),
)

CATALOGUE: dict[str, MeterType] = {meter.name: meter for meter in _TYPES}


def find(name: str) -> MeterType | None:
    """The type of that name, in any case of (ASCII) letters."""
    return CATALOGUE.get(name.upper()) if name.isascii() else None
