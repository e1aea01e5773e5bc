"""When the records of an A1700's load profile were made (elster-a1700.md, section 6, "Time of rows")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from mts_dialler.protocols.elster.profile import DayStart, Element, End, External, Happening, Marker, Record, Values
from mts_dialler.protocols.wall_clock import candidates, not_before, standard_to_utc

_STATUS_WORDS: dict[int, str] = {
    0x01: "transient reset",
    0x02: "clock set",
    0x04: "configuration changed",
    0x08: "battery failure",
    0x10: "CT ratio changed",
    0x20: "reverse running",
    0x40: "phase failure",
}
_MARKER_WORDS = {
    Marker.POWER_UP: "power failure",
    Marker.POWER_DOWN: "power failure",
    Marker.DEMAND_ENDED: "demand period ended early",
    Marker.TIME_CHANGE: "clock set",
    Marker.CLEARED: "load profile cleared",
}
_RESTARTS = {Marker.POWER_UP, Marker.DEMAND_ENDED, Marker.TIME_CHANGE, Marker.CLEARED}
_CUTS_SHORT = {Marker.DEMAND_ENDED, Marker.TIME_CHANGE}  # the record before the marker


@dataclass(frozen=True, slots=True)
class Period:
    """The demand of [`start`, `start` + `minutes`), in UTC; `status` says in words why it is suspect."""

    start: datetime
    minutes: int
    sources: tuple[int, ...]
    values: Values
    status: tuple[str, ...] = ()


class Calendar:
    """Gives elements their periods, in the order of the stream.

    Time runs on from each stamp, rounded down to a period, in real time, so that a day of 23 or 25 hours simply has
    fewer or more periods. Two neighbouring records of one period are summed: a marker cut it in two. `zone` is that of
    the meter's clock; without the daylight-saving flag of the day marker its standard time is meant, all year.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._day: DayStart | None = None
        self._next: datetime | None = None  # start of the next record's period
        self._held: Period | None = None  # may still be added to
        self._words: tuple[str, ...] = ()  # of the next record
        self._season_changed: date | None = None  # on the meter's clock

    def place(self, element: Element) -> Iterator[Period]:
        """The periods that are complete now that `element` has come; give it `End` last."""
        match element:
            case DayStart():
                self._day = element
                self._next = self._floor(element.wall)
            case Happening():
                self._happen(element)
            case Record(status, values):
                words = tuple(word for bit, word in _STATUS_WORDS.items() if status & bit)
                yield from self._add(values, words)
            case External(periods):
                if periods and self._next is not None and self._day is not None:
                    self._next -= timedelta(minutes=self._day.minutes)
                for values in periods:
                    yield from self._add(values, ())
            case End():
                if self._held is not None:
                    yield self._held
                self._held = None

    def _happen(self, happening: Happening) -> None:
        word = _MARKER_WORDS.get(happening.marker)
        if word is not None:
            self._words = _joined(self._words, (word,))
        if self._held is not None and word is not None and happening.marker in _CUTS_SHORT:
            self._held = replace(self._held, status=_joined(self._held.status, (word,)))
        if happening.marker is Marker.SEASON_CHANGE:
            self._season_changed = happening.wall.date()
        if happening.marker in _RESTARTS:
            self._next = self._floor(happening.wall)

    def _floor(self, wall: datetime) -> datetime:
        """UTC of the period in which the meter's clock showed `wall`."""
        minutes = self._day.minutes if self._day else 1
        floored = wall - timedelta(minutes=wall.minute % minutes, seconds=wall.second)
        if self._day is not None and not self._day.daylight_saving:
            return standard_to_utc(floored, self._zone)
        if self._season_changed == wall.date():
            return candidates(floored, self._zone)[-1]
        return not_before(floored, self._zone, self._held.start if self._held else None)

    def _add(self, values: Values, words: tuple[str, ...]) -> Iterator[Period]:
        if self._day is None or self._next is None:
            return
        words, self._words = _joined(self._words, words), ()
        period = Period(self._next, self._day.minutes, self._day.sources, values, words)
        self._next += timedelta(minutes=self._day.minutes)
        held = self._held
        if held is not None and (held.start, held.sources) == (period.start, period.sources):
            self._held = replace(held, values=_summed(held.values, values), status=_joined(held.status, words))
            return
        if held is not None:
            yield held
        self._held = period


def _joined(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(first + second))


def _summed(first: Values, second: Values) -> Values:
    return tuple(None if None in (a, b) else (a or 0) + (b or 0) for a, b in zip(first, second, strict=True))
