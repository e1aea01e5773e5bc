"""Fleets made to order: deterministic, so that a preset and a count always give the same meters."""

from collections.abc import Callable
from dataclasses import replace

from mts_metersim import preset_families
from mts_metersim.fleet import ClockSpec, Fault, FaultKind, LoadSpec, Meter, Options, Rule

TYPES = ("ELSTERA1700", "LG_E650_IEC", "EMH_LZQJ", "IEC62056_21", "ISKRA_MT174")
DEFAULT_COUNTS = {"demo": 12, "healthy": 10, "faulty": 0, "bulk": 200, "families": preset_families.DEFAULT_COUNT}
SHARED = 4
KINDS = ("house", "shop", "factory")
_PREFIXES = {"ELSTERA1700": "K", "LG_E650_IEC": "9", "EMH_LZQJ": "2", "IEC62056_21": "1", "ISKRA_MT174": "3"}


def fleet(preset: str, count: int | None = None) -> list[Meter]:
    """The meters of a preset: "demo", "healthy", "faulty", "bulk" or "families"; count None = the preset's own number.

    `faulty` with a count goes through its list again and again; the others make that many meters.
    """
    makers: dict[str, Callable[[int], list[Meter]]] = {
        "healthy": _healthy,
        "bulk": _bulk,
        "faulty": _faulty,
        "families": preset_families.families,
        "demo": lambda number: [*_healthy(number), *_demo_faults(number)],
    }
    return makers[preset](DEFAULT_COUNTS[preset] if count is None else count)


def _healthy(count: int) -> list[Meter]:
    """One of each type on a line of its own, the A1700 first; the rest in fours on shared lines."""
    single = len(TYPES)
    meters = []
    for index in range(count):
        meter = _meter(index, TYPES[index % single])
        if index >= single:
            line, place = divmod(index - single, SHARED)
            meter = replace(meter, line=f"shared {line + 1}", outstation_address=f"{place + 1:03d}")
        meters.append(meter)
    return meters


def _bulk(count: int) -> list[Meter]:
    """Meters that answer at once and have a short past: for load tests."""
    quick = Options(ready_polls=1)
    return [
        replace(_meter(index, TYPES[index % len(TYPES)]), installed_days_ago=5, options=quick) for index in range(count)
    ]


def _demo_faults(first: int) -> list[Meter]:
    kinds = (FaultKind.WRONG_SERIAL, FaultKind.REFUSES_PASSWORD, FaultKind.SILENT)
    return [replace(_meter(first + place, "ELSTERA1700"), faults=(Fault(kind),)) for place, kind in enumerate(kinds)]


def _faulty(count: int) -> list[Meter]:
    """Each fault on an A1700 and on an IEC meter, then what is special: clocks, zones, gaps, power cuts."""
    amounts = {
        FaultKind.SILENT_AFTER: 400,
        FaultKind.SLOW: 5,
        FaultKind.LATENCY: 1500,
        FaultKind.DROPS_LINE: 500,
    }
    faults = [Fault(kind, amounts.get(kind, 0)) for kind in FaultKind]
    faults += [Fault(FaultKind.WRONG_BCC, 2), Fault(FaultKind.DROPS_LINE, 500, once=True)]
    types = ("ELSTERA1700", "LG_E650_IEC", "EMH_LZQJ", "IEC62056_21")
    made: list[Meter] = []
    for index, fault in enumerate(faults):
        for meter_type in ("ELSTERA1700", types[1 + index % 3]):
            made.append(replace(_meter(1000 + len(made), meter_type, locked=True), faults=(fault,)))
    for label, clock, options in _SPECIAL:
        made += [
            replace(_meter(1000 + len(made) + place, meter_type), clock=clock, options=options, special=label)
            for place, meter_type in enumerate(types)
        ]
    return [_again(made[index % len(made)], index) for index in range(count or len(made))]


_SPECIAL = (
    ("clock_hour_fast", ClockSpec(offset_seconds=3600), Options()),
    ("clock_drifts", ClockSpec(offset_seconds=-203, drift_ppm=200), Options()),
    ("zone_with_summer_time", ClockSpec(zone="Europe/London"), Options()),
    ("survey_gaps", ClockSpec(), Options(gaps=Rule(3, 600, 90))),
    ("power_cuts", ClockSpec(), Options(power_cuts=Rule(2, 610, 100))),
    ("short_power_cuts", ClockSpec(), Options(power_cuts=Rule(2, 610, 10))),
    ("clock_sets", ClockSpec(), Options(clock_sets=Rule(2, 845))),
    ("quarter_hours", ClockSpec(), Options(period_minutes=15)),
    ("interval_energy", ClockSpec(), Options(profile="energy")),
    ("cumulative_survey", ClockSpec(), Options(profile="cumulative")),
    ("no_parity", ClockSpec(), Options(parity="none")),
    ("empty_survey", ClockSpec(), Options(empty_survey=True)),
)


def _again(meter: Meter, index: int) -> Meter:
    """The meter under a serial number of its own, wherever it stands in the list."""
    return replace(meter, serial_number=_serial(meter.meter_type, 1000 + index))


def _meter(index: int, meter_type: str, locked: bool = False) -> Meter:
    """A sound meter. An A1700 always has a password; of the others every second one, or all if `locked`."""
    has_password = meter_type == "ELSTERA1700" or locked or index % 2 == 0
    return Meter(
        meter_type=meter_type,
        serial_number=_serial(meter_type, index),
        load=LoadSpec(seed=index + 1, kind=KINDS[index % len(KINDS)]),
        password=f"SIM{index % 100_000:05d}" if has_password and meter_type != "ISKRA_MT174" else "",
    )


def _serial(meter_type: str, index: int) -> str:
    prefix = _PREFIXES[meter_type]
    return f"K04M{index + 1:05d}" if prefix == "K" else f"{prefix}{5_300_000 + index:07d}"
