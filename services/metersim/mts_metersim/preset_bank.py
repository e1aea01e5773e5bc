"""A bank of modems made to order: lines of both kinds, a number for every family of meters, and numbers that fail."""

from dataclasses import replace

from mts_metersim.fleet import Fault, FaultKind, Meter, Options
from mts_metersim.modem_plan import DEFAULT_BIT_RATE, ModemSpec, Outcome, Plan, Subscriber
from mts_metersim.preset_families import GENIUS_CHANNELS, sound

MODEMS = (
    ModemSpec("pstn-1"),
    ModemSpec("pstn-2"),
    ModemSpec("gsm-1", kind="gsm"),
    ModemSpec("gsm-2", kind="gsm", signal=9, refuses=("+CBST",)),
)
# Meter type and password form (`preset_families`), by the kind of line that reaches it.
_PSTN = (
    ("ELSTERA1700", "lls"),
    ("LG_E650_IEC", "lls"),
    ("ISKRA_MT174", ""),
    ("DLMS", "lls"),
    ("LG_DLMS", "lls"),
    ("ISKRA_MX37X", "lls"),
    ("EDMIATLAS", "user"),
)
_GSM = (
    ("ELSTERA1140", "lls"),
    ("EMH_LZQJ", "lls"),
    ("IEC62056_21", "lls"),
    ("ISKRA_MT880", "gmac"),
    ("ITRON_SL7000", "lls"),
    ("CEWEPRO100", "lls"),
    ("EDMIGENIUS", "user"),
)
# Meters of three protocols behind one number; an EDMI meter's address is its serial number.
_SHARED = (("EDMIATLAS", "user", ""), ("LG_E650_IEC", "lls", "001"), ("DLMS", "lls", "1/1/17"))
SHARED_NUMBER = "01632960100"
DROPPED_NUMBER = "01632960110"
BUSY_NUMBER = "07700900110"
UNANSWERED_NUMBER = "07700900111"
DROPPED_AFTER_BYTES = 500

_FIRST_INDEX = 500  # behind those of the other presets, whose serial numbers begin as these do


def bank(bit_rate: int = DEFAULT_BIT_RATE) -> tuple[Plan, list[Meter]]:
    """The plan and its meters: every type that a modem reaches behind a number of its own, one line of three
    protocols, and what fails: a line that drops, a number that is engaged and one that nobody answers.

    Landlines begin with 01, mobile numbers with 07.
    """
    alone = {f"01632960{place:03d}": each for place, each in enumerate(_PSTN, 1)}
    alone |= {f"07700900{place:03d}": each for place, each in enumerate(_GSM, 1)}
    meters = [_meter(place, *each) for place, each in enumerate(alone.values())]
    numbers = {
        number: Subscriber(meter=meter.serial_number, seconds=0.5, text="9600/RLP" if number[1] == "7" else "9600")
        for number, meter in zip(alone, meters, strict=True)
    }
    shared = [_shared(len(meters) + place, *each) for place, each in enumerate(_SHARED)]
    numbers[SHARED_NUMBER] = Subscriber(meter=shared[0].serial_number, seconds=0.5)
    meters += shared
    drops = Fault(FaultKind.DROPS_LINE, DROPPED_AFTER_BYTES)
    failing = [_meter(len(meters) + place, "LG_E650_IEC", "lls") for place in range(3)]
    failing[0] = replace(failing[0], faults=(drops,))
    outcomes = {
        DROPPED_NUMBER: Subscriber(seconds=0.5),
        BUSY_NUMBER: Subscriber(Outcome.BUSY, seconds=0.5, cause="User busy"),
        UNANSWERED_NUMBER: Subscriber(Outcome.NO_ANSWER, seconds=1.0, cause="No user responding"),
    }
    numbers |= {
        number: replace(each, meter=meter.serial_number)
        for (number, each), meter in zip(outcomes.items(), failing, strict=True)
    }
    return Plan(MODEMS, numbers, bit_rate), [*meters, *failing]


def _meter(place: int, meter_type: str, password: str) -> Meter:
    meter = sound(_FIRST_INDEX + place, meter_type, password)
    if meter_type == "EDMIGENIUS":
        return replace(meter, options=Options(channels=GENIUS_CHANNELS))
    return meter


def _shared(place: int, meter_type: str, password: str, address: str) -> Meter:
    meter = _meter(place, meter_type, password)
    return replace(meter, line="shared by protocols", outstation_address=address or meter.serial_number)
