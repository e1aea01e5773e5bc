"""The preset `families`: meters of every protocol that is not in the other presets."""

from dataclasses import replace

from mts_metersim.families import Family, family_of
from mts_metersim.fleet import DlmsOptions, EdmiOptions, LoadSpec, Meter, Options, Rule

KINDS = ("house", "shop", "factory")
INSTALLED_DAYS_AGO = 40
FIRST_SERIAL = 70_000_000
GENIUS_CHANNELS = ("import", "export", "q1", "q2")

# Meter type, password form ("" = none, "lls" = 8 characters, "gmac", "user" = USER,PASSWORD), what is special about
# it, options.
_SPECIMENS: tuple[tuple[str, str, str | None, Options], ...] = (
    ("DLMS", "lls", None, Options()),
    ("DLMS", "", "null_data", Options(dlms=DlmsOptions(nulls="all"))),
    ("DLMS_WRAPPER", "lls", None, Options()),
    ("DLMS_WRAPPER", "gmac", "gmac", Options(dlms=DlmsOptions(last_counter=4711))),
    ("LG_DLMS", "lls", None, Options()),
    ("LG_DLMS", "lls", "power_cuts", Options(power_cuts=Rule(2, 610, 100), dlms=DlmsOptions(irregular_rows=True))),
    ("ISKRA_MX37X", "lls", None, Options()),
    ("ISKRA_MT880", "gmac", "gmac", Options()),
    ("ISKRA_MT880", "lls", "selection_refused", Options(dlms=DlmsOptions(selection="refused"))),
    ("ITRON_SL7000", "lls", None, Options()),
    ("ITRON_SL7000", "lls", "deviation_refused", Options(dlms=DlmsOptions(range_deviation="refused"))),
    ("CEWEPRO100", "lls", None, Options()),
    ("CEWEPRO100", "lls", "newest_first", Options(dlms=DlmsOptions(lifo=True))),
    ("ELSTERA1140", "lls", None, Options()),
    ("ELSTERA1140", "lls", "power_cuts", Options(power_cuts=Rule(2, 610, 100))),
    ("EDMIATLAS", "user", None, Options()),
    ("EDMIATLAS", "user", "data_not_ready", Options(edmi=EdmiOptions(not_ready=1, duplicates=True))),
    ("EDMIGENIUS", "user", None, Options(channels=GENIUS_CHANNELS)),
    ("EDMIGENIUS", "user", "survey_gaps", Options(channels=GENIUS_CHANNELS, gaps=Rule(3, 600, 90))),
)
# Meters of several protocols on one line.
_SHARED = (
    ("DLMS", "lls", "1/1/17"),
    ("ISKRA_MT880", "lls", "1/1/18"),
    ("IEC62056_21", "lls", "003"),
    ("ITRON_SL7000", "lls", "1/1/19/4"),
    ("EDMIATLAS", "user", ""),
)
DEFAULT_COUNT = len(_SPECIMENS) + len(_SHARED)


def families(count: int) -> list[Meter]:
    """The first `count` of: each specimen on a line of its own, then the shared line; beyond them the specimens
    again."""
    return [_meter(index) for index in range(count)]


def _meter(index: int) -> Meter:
    shared = index - len(_SPECIMENS)
    if 0 <= shared < len(_SHARED):
        meter_type, password, address = _SHARED[shared]
        meter = sound(index, meter_type, password)
        return replace(meter, line="shared", outstation_address=address or meter.serial_number)
    meter_type, password, special, options = _SPECIMENS[index % len(_SPECIMENS)]
    return replace(sound(index, meter_type, password), special=special, options=options)


def sound(index: int, meter_type: str, password: str) -> Meter:
    """A sound meter with a serial number and secret of its own; `password` as in the list of specimens."""
    secrets = {"lls": f"SIM{index:05d}", "user": f"READER,SIM{index:05d}", "gmac": _keys(index)}
    serial = str(FIRST_SERIAL + index)
    return Meter(
        meter_type=meter_type,
        serial_number=serial,
        outstation_address=serial if family_of(meter_type) is Family.EDMI else "",
        load=LoadSpec(seed=index + 1, kind=KINDS[index % len(KINDS)]),
        password=secrets.get(password, ""),
        installed_days_ago=INSTALLED_DAYS_AGO,
    )


def _keys(index: int) -> str:
    """Made-up keys, of which no two meters have the same."""
    return f"gmac:{index:032X}:{index + 0xA000:032X}"
