"""What an EDMI meter's load survey holds: a record for every period, recorded or not (fact sheet edmi, 5 and 6)."""

from dataclasses import dataclass, replace

from mts_metersim.history import Event, Happening, Record, history
from mts_metersim.unit import Unit


@dataclass(frozen=True, slots=True)
class SurveyRecord:
    """One period: whether it was recorded, what happened in it, mWh per channel."""

    present: bool = False
    incomplete: bool = False
    power_failed: bool = False
    milliwatt_hours: tuple[int, ...] = ()


def stored(unit: Unit) -> int:
    """How many periods have ended since the installation."""
    if unit.meter.options.empty_survey:
        return 0
    return (unit.clock.now() - unit.installed) // unit.period


def records(unit: Unit, first: int, count: int) -> list[SurveyRecord]:
    """The records of the periods from number `first` (0 = the first after the installation), contiguous."""
    begin = unit.installed + first * unit.period
    end = begin + count * unit.period
    nothing = SurveyRecord(milliwatt_hours=(0,) * len(unit.meter.options.channels))
    found = [nothing] * count
    for item in history(unit, begin, end):
        at = item.at if isinstance(item, Event) else item.start
        place = (at - begin) // unit.period
        if 0 <= place < count:
            found[place] = _with_part(unit, found[place], item)
    return found


def _with_part(unit: Unit, record: SurveyRecord, item: Event | Record) -> SurveyRecord:
    if isinstance(item, Record):
        energies = (milliwatts * unit.period // 3600 for milliwatts in item.milliwatts)
        sums = tuple(old + new for old, new in zip(record.milliwatt_hours, energies, strict=True))
        whole = item.end - item.begin == unit.period
        return replace(record, present=True, incomplete=record.incomplete or not whole, milliwatt_hours=sums)
    power = item.what in (Happening.POWER_DOWN, Happening.POWER_UP) and item.at % unit.period != 0
    return replace(record, power_failed=record.power_failed or power)


def energy_resolution(unit: Unit) -> tuple[int, int]:
    """(scaling, decimals): a survey value is counted in 1000^scaling Wh / 10^decimals, so that 16 bits hold it."""
    return {"house": (0, 0), "shop": (1, 3)}.get(unit.meter.load.kind, (1, 2))


def counts(unit: Unit, milliwatt_hours: int) -> int:
    """An energy in that resolution."""
    scaling, decimals = energy_resolution(unit)
    thousandths: int = 1000 ** (scaling + 1)
    return milliwatt_hours * int(10**decimals) // thousandths
