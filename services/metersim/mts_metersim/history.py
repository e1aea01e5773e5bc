"""What a meter has put into its load survey: intervals and happenings, in the order they were stored."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from mts_metersim.clock import season_changed
from mts_metersim.fleet import CHANNELS, Rule
from mts_metersim.load import energy, interruptions
from mts_metersim.unit import Unit


class Happening(Enum):
    POWER_DOWN = auto()
    POWER_UP = auto()
    CLOCK_SET = auto()
    SEASON = auto()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the meter at an instant of its clock."""

    at: int
    what: Happening


@dataclass(frozen=True, slots=True)
class Record:
    """One stored interval, or a part [begin, end) of it where an event cut it.

    `milliwatts`: one value per stored channel, the energy of the part spread over the WHOLE period, so that
    energy = value x period length and the parts of one period add up.
    """

    start: int
    begin: int
    end: int
    milliwatts: tuple[int, ...]


def history(unit: Unit, first: int, last: int) -> Iterator[Event | Record]:
    """The survey from the period that starts at `first` (on the period grid) to the last one complete by `last`."""
    options = unit.meter.options
    if options.empty_survey:
        return
    first = max(first, unit.installed) // unit.period * unit.period
    for start in range(first, last - unit.period + 1, unit.period):
        if season_changed(unit.zone, start):
            yield Event(start, Happening.SEASON)
        if not any(True for _ in interruptions(options.gaps, start, start + unit.period)):
            yield from _period(unit, start)


def _period(unit: Unit, start: int) -> Iterator[Event | Record]:
    """One period, cut at its power cuts and clock settings."""
    at = start
    cuts = unit.meter.options.power_cuts
    powered = not any(True for _ in interruptions(cuts, start, start + 1))
    for event in _events(unit, start):
        if powered and event.at > at:
            yield _record(unit, start, at, event.at)
        yield event
        powered = {Happening.POWER_DOWN: False, Happening.POWER_UP: True}.get(event.what, powered)
        at = event.at
    if powered:
        yield _record(unit, start, at, start + unit.period)


def _events(unit: Unit, start: int) -> list[Event]:
    """The events in [start, start + period), in order."""
    options = unit.meter.options
    end = start + unit.period
    found = []
    for down, up in interruptions(options.power_cuts, start - 1, end):
        found += [Event(down, Happening.POWER_DOWN), Event(up, Happening.POWER_UP)]
    if options.clock_sets is not None:
        moments = Rule(options.clock_sets.every_days, options.clock_sets.start_minute, 1)
        found += [Event(at, Happening.CLOCK_SET) for at, _ in interruptions(moments, start, end)]
    return sorted((e for e in found if start <= e.at < end), key=lambda e: e.at)


def _record(unit: Unit, start: int, begin: int, end: int) -> Record:
    sums = dict(zip(CHANNELS, energy(unit.meter.load, begin, end), strict=True))
    return Record(start, begin, end, tuple(sums[name] * 1000 // unit.period for name in unit.meter.options.channels))
