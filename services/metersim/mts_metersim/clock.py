"""A meter's own clock. Instants are whole seconds since 1970-01-01 UTC as the METER reckons them."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from mts_metersim.fleet import ClockSpec

DAY = 86_400
Nanoseconds = Callable[[], int]


class MeterClock:
    """True time, shifted by the meter's offset and by its drift since the clock was made."""

    def __init__(self, spec: ClockSpec, true_time: Nanoseconds = time.time_ns) -> None:
        self._spec = spec
        self._true_time = true_time
        self._started = true_time()

    def now(self) -> int:
        true = self._true_time()
        drift = (true - self._started) * self._spec.drift_ppm // 1_000_000
        return (true + drift) // 1_000_000_000 + self._spec.offset_seconds


def wall(zone: ZoneInfo, instant: int) -> datetime:
    """What the meter's display shows at an instant (aware)."""
    return datetime.fromtimestamp(instant, zone)


def wall_seconds(zone: ZoneInfo, instant: int) -> int:
    """Seconds since 1970-01-01 counted in wall clock time, summer time included."""
    return instant + _offset(zone, instant)


def from_season(zone: ZoneInfo, shown: datetime, summer: bool) -> int:
    """The instant of a wall clock time told with its season, also where the zone's calendar says otherwise: the
    interval that ends at a season change is stamped by the old season's clock."""
    near = shown.replace(tzinfo=zone)
    standard = (near.utcoffset() or timedelta()) - (near.dst() or timedelta())
    return int((shown - standard - timedelta(hours=summer)).replace(tzinfo=UTC).timestamp())


def is_summer(zone: ZoneInfo, instant: int) -> bool:
    return bool(wall(zone, instant).dst())


def has_summer_time(zone: ZoneInfo, instant: int) -> bool:
    """Whether the zone changes its clocks in the year around the instant."""
    return len({_offset(zone, instant + days * DAY) for days in (0, 91, 182, 273)}) > 1


def season_changed(zone: ZoneInfo, instant: int) -> bool:
    """Whether the clocks changed at this very instant."""
    return _offset(zone, instant) != _offset(zone, instant - 1)


def midnight(zone: ZoneInfo, instant: int, days_back: int = 0) -> int:
    """The start of the wall clock day that holds the instant, or of one `days_back` days earlier."""
    day = wall(zone, instant).date() - timedelta(days=days_back)
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def month_start(zone: ZoneInfo, instant: int, months_back: int = 0) -> int:
    """The first midnight of the wall clock month that holds the instant, or of an earlier month."""
    shown = wall(zone, instant)
    months = shown.year * 12 + shown.month - 1 - months_back
    return int(datetime(months // 12, months % 12 + 1, 1, tzinfo=zone).timestamp())


def utc(instant: int) -> datetime:
    return datetime.fromtimestamp(instant, UTC)


def _offset(zone: ZoneInfo, instant: int) -> int:
    offset = wall(zone, instant).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
