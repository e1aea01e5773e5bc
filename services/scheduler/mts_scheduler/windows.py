"""Run windows: when overnight tests may be dialled.

A window is open while the wall clock of its zone reads `opens` or later and earlier than `closes`; over midnight if
`closes` is not later than `opens`. Nothing else is needed for daylight saving: where the clock jumps over a boundary
the window opens or closes with the jump, and an hour that comes twice is judged by what the clock shows, both times.
Several windows are open while any of them is.

The state of a window changes at a boundary's instant or at a jump of the clock across one. These moments are found for
the days around the time asked about; between two of them nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from mts_common.messages import RunWindow

_DAY = timedelta(days=1)


def open_until(windows: Sequence[RunWindow], now: datetime) -> datetime | None:
    """When the windows, open at `now`, close; None if they are closed. At most two days ahead."""
    if not _is_open(windows, now):
        return None
    moments = _moments(windows, now, now + 2 * _DAY)
    return next((moment for moment in moments if not _is_open(windows, moment)), now + 2 * _DAY)


def open_since(windows: Sequence[RunWindow], now: datetime) -> datetime | None:
    """When the windows, open at `now`, have opened; None if they are closed. At most two days back."""
    if not _is_open(windows, now):
        return None
    opened = now
    for moment in reversed(_moments(windows, now - 2 * _DAY, now)):
        if not _is_open(windows, moment):
            return opened
        opened = moment
    return now - 2 * _DAY


def next_opening(windows: Sequence[RunWindow], now: datetime) -> datetime | None:
    """When the windows, closed at `now`, next open; `now` if they are open, None if they never are."""
    if _is_open(windows, now):
        return now
    return next((moment for moment in _moments(windows, now, now + 2 * _DAY) if _is_open(windows, moment)), None)


def missed_since(windows: Sequence[RunWindow], now: datetime, count: int) -> datetime:
    """The latest time such that who has waited since then has missed `count` whole windows by `now`.

    Windows that never close are counted in days.
    """
    since = now - (count + 2) * _DAY
    spans = list(_spans(windows, since, now))
    return spans[-count] if len(spans) >= count else now - count * _DAY


def _spans(windows: Sequence[RunWindow], since: datetime, now: datetime) -> Iterator[datetime]:
    """The openings between `since` and `now` of the windows that have closed again by `now`."""
    opened: datetime | None = None
    was_open = _is_open(windows, since)
    for moment in _moments(windows, since, now):
        is_open = _is_open(windows, moment)
        if is_open and not was_open:
            opened = moment
        elif was_open and not is_open and opened is not None:
            yield opened
        was_open = is_open


def _is_open(windows: Sequence[RunWindow], moment: datetime) -> bool:
    return any(_shows(window, moment.astimezone(ZoneInfo(window.zone)).time()) for window in windows)


def _shows(window: RunWindow, wall: time) -> bool:
    if window.opens < window.closes:
        return window.opens <= wall < window.closes
    return wall >= window.opens or wall < window.closes


def _moments(windows: Sequence[RunWindow], after: datetime, until: datetime) -> list[datetime]:
    """Every instant in (after, until] at which the state may change, in order."""
    found: set[datetime] = set()
    for window in windows:
        zone = ZoneInfo(window.zone)
        day, last = (moment.astimezone(zone).date() for moment in (after - _DAY, until + _DAY))
        while day <= last:
            found.update(_instants(day, window.opens, zone))
            found.update(_instants(day, window.closes, zone))
            day += _DAY
    return sorted(moment for moment in found if after < moment <= until)


def _instants(day: date, wall: time, zone: ZoneInfo) -> set[datetime]:
    """When the clock shows `wall` on `day`, and the jump that makes it show it twice or not at all (PEP 495)."""
    local = datetime.combine(day, wall, zone)
    first, second = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return {first}
    return {first, second, _jump(min(first, second), max(first, second), zone)}


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The second at which the offset from UTC changes; it does so once between the two."""
    low, high = int(before.timestamp()), int(after.timestamp())
    offset = datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)
