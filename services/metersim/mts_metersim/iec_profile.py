"""Load profile P.01 and event log P.98 of the IEC 62056-21 meters (fact sheet iec62056-21, section 8)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mts_metersim.clock import DAY, from_season, wall
from mts_metersim.fleet import CHANNELS
from mts_metersim.history import Event, Happening, Record, history
from mts_metersim.iec_list import energy_unit, fixed_point, power_unit, season_digit
from mts_metersim.makers import Maker
from mts_metersim.unit import Unit

POWER_DOWN, POWER_UP, CLOCK_SET, SEASON = 0x80, 0x40, 0x20, 0x08
EVENTS_KEPT = 60 * DAY
_C = dict(zip(CHANNELS, ("1", "2", "5", "6", "7", "8", "9"), strict=True))
_STAMP = re.compile(r"([012])?([0-9]{10})([0-9]{2})?")


class BadRange(ValueError):
    """The request's from or to is not a time."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the survey: `end` the instant of its stamp, `status` of the header it needs."""

    end: int
    status: int
    old_season: bool
    record: Record


def parse_stamp(unit: Unit, text: str) -> int | None:
    """An instant from `[s]YYMMDDhhmm[ss]`, None if empty; s as in `season_digit`, without it the wall clock
    as it stands. Raises BadRange."""
    if not text:
        return None
    parsed = _STAMP.fullmatch(text)
    if parsed is None:
        raise BadRange(text)
    season, minutes, seconds = parsed.groups()
    try:
        shown = datetime.strptime(minutes + (seconds or "00"), "%y%m%d%H%M%S")  # noqa: DTZ007 - a wall clock time
    except ValueError as fault:
        raise BadRange(text) from fault
    if season in ("0", "1"):
        return from_season(unit.zone, shown, season == "1")
    return int(shown.replace(tzinfo=UTC if season else unit.zone).timestamp())


def survey_lines(unit: Unit, maker: Maker, begin: int | None, end: int | None) -> list[str]:
    """Header and value lines of the intervals whose end stamps lie in [begin, end]; neither given: the newest
    header alone; nothing there: no lines."""
    last = unit.clock.now() if end is None else min(end, unit.clock.now())
    if begin is None and end is None:
        return _lines(unit, maker, list(_rows(unit, maker, last - DAY, last))[-1:])[:1]
    first = unit.installed if begin is None else begin - unit.period
    rows = (row for row in _rows(unit, maker, first - unit.period, last) if row.end <= last)
    return _lines(unit, maker, [row for row in rows if begin is None or row.end >= begin])


def event_lines(unit: Unit, maker: Maker, begin: int | None, end: int | None) -> list[str]:
    """The event log's lines of [begin, end]."""
    now = unit.clock.now()
    first = max(unit.installed, now - EVENTS_KEPT) if begin is None else begin
    last = now if end is None else min(end, now)
    events = (item for item in history(unit, first - unit.period, last + unit.period) if isinstance(item, Event))
    return [_event(unit, maker, event) for event in events if first <= event.at <= last]


def _rows(unit: Unit, maker: Maker, first: int, last: int) -> Iterator[Row]:
    """The intervals in order. A part that ends off the period's end because of a clock setting or a power cut that is
    over before the period is, keeps its own end as its stamp; the last part of a period is stamped on its end."""
    status = 0
    items = list(history(unit, first, last))
    for index, item in enumerate(items):
        if isinstance(item, Event):
            status |= {Happening.POWER_UP: POWER_UP, Happening.CLOCK_SET: CLOCK_SET}.get(item.what, 0)
            continue
        following = items[index + 1] if index + 1 < len(items) else None
        ends_at_change = isinstance(following, Event) and following.what is Happening.SEASON
        cut = isinstance(following, Event) and following.what is Happening.POWER_DOWN
        flags = status | (POWER_DOWN if cut else 0) | (CLOCK_SET | SEASON if ends_at_change else 0)
        parts_follow = any(
            isinstance(other, Record) and other.start == item.start for other in items[index + 1 : index + 5]
        )
        end = item.end if parts_follow else item.start + unit.period
        summer = maker.summer_status if season_digit(unit, maker, end - 1) == 1 else 0
        yield Row(end, flags | summer, ends_at_change, item)
        status = 0


def _lines(unit: Unit, maker: Maker, rows: list[Row]) -> list[str]:
    """A new header wherever status, day, season or the grid changes."""
    found: list[str] = []
    previous: Row | None = None
    for row in rows:
        if previous is None or not _continues(unit, previous, row):
            found.append(_header(unit, maker, row))
        found.append("".join(f"({value})" for value in _values(unit, maker, row)))
        previous = row
    return found


def _kind(unit: Unit) -> str:
    return unit.meter.options.profile or "demand"


def _continues(unit: Unit, previous: Row, row: Row) -> bool:
    same_day = wall(unit.zone, previous.end - 1).date() == wall(unit.zone, row.end - 1).date()
    quiet = previous.status == row.status and not previous.old_season and not row.old_season
    return same_day and quiet and row.end == previous.end + unit.period


def _header(unit: Unit, maker: Maker, row: Row) -> str:
    options = unit.meter.options
    status = f"{row.status:0{maker.status_digits}X}"
    de = {"demand": "5", "energy": "29", "cumulative": "8"}[_kind(unit)]
    channels = "".join(
        f"({maker.channel.format(c=_C[name], de=de)})"
        f"({power_unit(_C[name]) if _kind(unit) == 'demand' else energy_unit(_C[name])})"
        for name in options.channels
    )
    return f"P.01({_stamp(unit, maker, row)})({status})({options.period_minutes})({len(options.channels)}){channels}"


def _stamp(unit: Unit, maker: Maker, row: Row) -> str:
    """The end of the interval; the interval that ends at a season change keeps the old season's clock."""
    if not row.old_season:
        return f"{season_digit(unit, maker, row.end)}{wall(unit.zone, row.end):%y%m%d%H%M%S}"
    shown = wall(unit.zone, row.end - 1) + timedelta(seconds=1)
    return f"{season_digit(unit, maker, row.end - 1)}{shown:%y%m%d%H%M%S}"


def _values(unit: Unit, maker: Maker, row: Row) -> Iterator[str]:
    """Demand in kW, the interval's energy in kWh, or the register at the interval's end in kWh."""
    kind, decimals = _kind(unit), maker.survey_decimals
    for name, milliwatts in zip(unit.meter.options.channels, row.record.milliwatts, strict=True):
        if kind == "demand":
            yield fixed_point(milliwatts, 6, (1, decimals))
        elif kind == "energy":
            yield fixed_point(milliwatts * unit.period // 3600, 6, (1, 5))
        else:
            yield fixed_point(unit.total(name, row.end), 6, (5, 3))


def _event(unit: Unit, maker: Maker, event: Event) -> str:
    """Power and clock events; a season change is no entry of its own but a clock setting."""
    stamp = (
        f"{season_digit(unit, maker, event.at - 1)}{wall(unit.zone, event.at - 1) + timedelta(seconds=1):%y%m%d%H%M%S}"
    )
    if maker.event_style == "code":
        code = {Happening.POWER_DOWN: 4, Happening.POWER_UP: 5}.get(event.what, 17)
        return f"P.98({stamp})(00)()(2)(0-0:C.11.0)()(0-0:C.11.10)()({code})(0)"
    if event.what in (Happening.POWER_DOWN, Happening.POWER_UP):
        bits = POWER_DOWN if event.what is Happening.POWER_DOWN else POWER_UP
        return f"P.98({stamp})({bits:0{maker.status_digits}X})()(0)"
    season, after = season_digit(unit, maker, event.at), wall(unit.zone, event.at)
    bits = 0x8000 | CLOCK_SET
    return (
        f"P.98({stamp})({bits:0{maker.status_digits}X})()(2)(0.9.1)()(0.9.2)()"
        f"({season}{after:%H%M%S})({season}{after:%y%m%d})"
    )
