"""When a meter will have counted what its contract allows (contract-meters.md §7): exact, from readings alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

LATEST = date(4712, 12, 31)
WINDOW = timedelta(days=365)
SHORTEST = timedelta(days=1)

Reading = tuple[datetime, Decimal]
"""When (aware) a counter showed how much."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


def due_date(
    readings: Sequence[Reading],
    start: Decimal,
    interval: Decimal | None,
    base_daily_rate: Decimal | None,
    contract_start: date,
) -> date | None:
    """The UTC day on which the counter reaches `start + interval`; None if that cannot be told.

    `readings` are cumulative, valid, of different times and in any order; `interval` is not negative.
    """
    if interval is None:
        return None
    end = Fraction(start) + Fraction(interval)
    counted = _since_last_fall(sorted(readings))
    reached = next((place for place, (_, value) in enumerate(counted) if value >= end), None)
    if reached is not None:
        return _day(_crossing(counted, reached, end))
    at, value = _last(counted, start, contract_start)
    rate = _measured_rate(counted) or Fraction(base_daily_rate or 0)
    return _day(at + (end - value) / rate) if rate > 0 else None


def _since_last_fall(readings: Sequence[Reading]) -> Sequence[Reading]:
    """A counter that falls was replaced or reset; what it showed before says nothing of what it shows now."""
    falls = [place for place, (before, after) in enumerate(pairwise(readings), start=1) if after[1] < before[1]]
    return readings[falls[-1] :] if falls else readings


def _crossing(readings: Sequence[Reading], place: int, end: Fraction) -> Fraction:
    """When the counter stood at `end`, which it had reached by the reading at `place`."""
    at, value = readings[place]
    if place == 0:
        return _days(at)
    before, less = readings[place - 1]
    share = (end - Fraction(less)) / (Fraction(value) - Fraction(less))
    return _days(before) + share * (_days(at) - _days(before))


def _last(readings: Sequence[Reading], start: Decimal, contract_start: date) -> tuple[Fraction, Fraction]:
    if not readings:
        return Fraction(contract_start.toordinal() - _EPOCH_DAY), Fraction(start)
    at, value = readings[-1]
    return _days(at), Fraction(value)


def _measured_rate(readings: Sequence[Reading]) -> Fraction | None:
    """Units a day over the last year's readings; None if they span no day, or nothing was counted."""
    window = [(at, value) for at, value in readings if at >= readings[-1][0] - WINDOW]
    if not window or window[-1][0] - window[0][0] < SHORTEST:
        return None
    (first, less), (last, more) = window[0], window[-1]
    return (Fraction(more) - Fraction(less)) / (_days(last) - _days(first)) or None


def _days(at: datetime) -> Fraction:
    """Days since 1970, to the microsecond."""
    return Fraction((at - _EPOCH) // _MICROSECOND, _DAY // _MICROSECOND)


def _day(days: Fraction) -> date:
    return date.fromordinal(min(_EPOCH_DAY + days.__floor__(), LATEST.toordinal()))
