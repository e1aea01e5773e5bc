"""The spellings of dates and times (iec62056-21.md, sections 6 to 8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from zoneinfo import ZoneInfo

from mts_dialler.protocols.wall_clock import is_summer, not_before, standard_to_utc, summer_to_utc


class Season(Enum):
    """The digit before a date or time."""

    STANDARD = "0"
    SUMMER = "1"
    UTC = "2"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a meter's clock showed. `season` None: the meter did not say."""

    wall: datetime
    season: Season | None = None

    def to_utc(self, zone: ZoneInfo, earliest: datetime | None = None) -> datetime:
        """The stamp in UTC, the meter's clock being in `zone`.

        Without a season a repeated hour is the first of its two that is not before `earliest`.
        """
        match self.season:
            case Season.UTC:
                return self.wall.replace(tzinfo=UTC)
            case Season.SUMMER:
                return summer_to_utc(self.wall, zone)
            case Season.STANDARD:
                return standard_to_utc(self.wall, zone)
            case None:
                return not_before(self.wall, zone, earliest)


_STAMP = re.compile(r"([012]?)((?:[0-9]{2}){5,6})")
_TIME = re.compile(r"([012]?)([0-9]{2}):?([0-9]{2}):?([0-9]{2})")
_DATE = re.compile(r"([012]?)([0-9]{2})-?([0-9]{2})-?([0-9]{2})")
_PUNCTUATION = re.compile(r"[-: T]")
_DSMR = re.compile(r"([0-9]{12})([SW])")
_COSEM = re.compile(r"[0-9A-Fa-f]{24}")


def parse_stamp(text: str) -> Stamp | None:
    """`[s]YYMMDDhhmm[ss]`, with or without `-`, `:` and a blank between. None if it is no time, such as all zeros."""
    found = _STAMP.fullmatch(_PUNCTUATION.sub("", text))
    if found is None:
        return None
    season, digits = found.groups()
    return _stamp(season, digits.ljust(12, "0"))


def parse_clock(time: str, date: str) -> Stamp | None:
    """The data sets 0.9.1 and 0.9.2; either may carry the season."""
    clock, day = _TIME.fullmatch(time.strip()), _DATE.fullmatch(date.strip())
    if clock is None or day is None:
        return None
    return _stamp(clock[1] or day[1], "".join(day.groups()[1:] + clock.groups()[1:]))


def parse_date_time(text: str) -> Stamp | None:
    """The data set 1.0.0: `YYMMDDhhmmssX` (X = S or W), or the 12 octets of a COSEM date-time in hexadecimal.

    The deviation from UTC in the latter is left unused: makers disagree about its sign.
    """
    dsmr = _DSMR.fullmatch(text)
    if dsmr:
        return _stamp("1" if dsmr[2] == "S" else "0", dsmr[1])
    if not _COSEM.fullmatch(text):
        return None
    octets = bytes.fromhex(text)
    try:
        wall = datetime(int.from_bytes(octets[:2], "big"), *octets[2:4], *octets[5:8])  # noqa: DTZ001 - a wall clock
    except ValueError:
        return None
    return Stamp(wall, Season.SUMMER if octets[11] & 0x80 else Season.STANDARD)


def format_stamp(moment: datetime, zone: ZoneInfo, *, seconds: bool) -> str:
    """`moment` (aware) as a request names it: `sYYMMDDhhmm[ss]` on a clock in `zone`."""
    season = Season.SUMMER if is_summer(moment, zone) else Season.STANDARD
    return season.value + moment.astimezone(zone).strftime("%y%m%d%H%M%S" if seconds else "%y%m%d%H%M")


def _stamp(season: str, digits: str) -> Stamp | None:
    try:
        wall = datetime.strptime(digits, "%y%m%d%H%M%S")  # noqa: DTZ007 - a wall clock, the zone is not in it
    except ValueError:
        return None
    return Stamp(wall.replace(year=2000 + wall.year % 100), Season(season) if season else None)
