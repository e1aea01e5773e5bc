"""Run windows by the wall clock of their zone, across both changes of the clock, in three zones."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_common.messages import RunWindow
from mts_scheduler.windows import missed_since, next_opening, open_since, open_until

LONDON, NEW_YORK, LORD_HOWE = "Europe/London", "America/New_York", "Australia/Lord_Howe"


def window(opens: str, closes: str, zone: str = LONDON) -> RunWindow:
    return RunWindow(opens=time.fromisoformat(opens), closes=time.fromisoformat(closes), zone=zone)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NIGHT = window("22:00", "06:00")

# The changes of the clock in 2026. London: 29 March from 01:00 to 02:00 and 25 October from 02:00 to 01:00, both at
# 01:00 UTC. New York: 8 March from 02:00 to 03:00 (07:00 UTC) and 1 November from 02:00 to 01:00 (06:00 UTC). Lord Howe
# by half an hour, 5 April from 02:00 to 01:30 (15:00 UTC on the 4th) and 4 October from 02:00 to 02:30 (15:30 UTC on
# the 3rd).
SPANS = [
    # an ordinary night, in winter and in summer
    (NIGHT, "2026-01-10 12:00", "2026-01-10 22:00", "2026-01-11 06:00"),
    (NIGHT, "2026-07-10 12:00", "2026-07-10 21:00", "2026-07-11 05:00"),
    (window("22:00", "06:00", NEW_YORK), "2026-01-10 18:00", "2026-01-11 03:00", "2026-01-11 11:00"),
    (window("22:00", "06:00", LORD_HOWE), "2026-01-10 04:00", "2026-01-10 11:00", "2026-01-10 19:00"),
    # the night in which the clock goes forward is an hour (Lord Howe: half an hour) shorter
    (NIGHT, "2026-03-28 12:00", "2026-03-28 22:00", "2026-03-29 05:00"),
    (window("22:00", "06:00", NEW_YORK), "2026-03-07 18:00", "2026-03-08 03:00", "2026-03-08 10:00"),
    (window("22:00", "06:00", LORD_HOWE), "2026-10-03 04:00", "2026-10-03 11:30", "2026-10-03 19:00"),
    # the night in which it goes back is longer
    (NIGHT, "2026-10-24 12:00", "2026-10-24 21:00", "2026-10-25 06:00"),
    (window("22:00", "06:00", NEW_YORK), "2026-10-31 18:00", "2026-11-01 02:00", "2026-11-01 11:00"),
    (window("22:00", "06:00", LORD_HOWE), "2026-04-04 04:00", "2026-04-04 11:00", "2026-04-04 19:30"),
    # a boundary that the clock jumps over: the jump opens or closes
    (window("01:30", "05:00"), "2026-03-28 12:00", "2026-03-29 01:00", "2026-03-29 04:00"),
    (window("22:00", "01:30"), "2026-03-28 12:00", "2026-03-28 22:00", "2026-03-29 01:00"),
    (window("02:30", "05:00", NEW_YORK), "2026-03-08 00:00", "2026-03-08 07:00", "2026-03-08 09:00"),
    (window("02:15", "05:00", LORD_HOWE), "2026-10-03 12:00", "2026-10-03 15:30", "2026-10-03 18:00"),
    # a window that lies in the hour that is left out does not open that night
    (window("01:10", "01:50"), "2026-03-29 00:30", "2026-03-30 00:10", "2026-03-30 00:50"),
    # what the clock shows twice is open, or closed, both times
    (window("01:15", "01:45"), "2026-10-24 22:00", "2026-10-25 00:15", "2026-10-25 00:45"),
    (window("01:15", "01:45"), "2026-10-25 00:45", "2026-10-25 01:15", "2026-10-25 01:45"),
    (window("01:30", "05:00"), "2026-10-25 00:00", "2026-10-25 00:30", "2026-10-25 01:00"),
    (window("01:30", "05:00"), "2026-10-25 01:00", "2026-10-25 01:30", "2026-10-25 05:00"),
    (window("22:00", "01:30"), "2026-10-25 00:30", "2026-10-25 01:00", "2026-10-25 01:30"),
    (window("22:00", "01:30", NEW_YORK), "2026-11-01 05:30", "2026-11-01 06:00", "2026-11-01 06:30"),
    (window("01:45", "05:00", LORD_HOWE), "2026-04-04 12:00", "2026-04-04 14:45", "2026-04-04 15:00"),
    (window("01:45", "05:00", LORD_HOWE), "2026-04-04 15:00", "2026-04-04 15:15", "2026-04-04 18:30"),
]


@pytest.mark.parametrize(("run_window", "asked", "opens", "closes"), SPANS)
def test_a_window_opens_and_closes_by_its_wall_clock(
    run_window: RunWindow, asked: str, opens: str, closes: str
) -> None:
    second = timedelta(seconds=1)
    assert open_until([run_window], at(asked)) is None
    assert next_opening([run_window], at(asked)) == at(opens)
    assert open_until([run_window], at(opens) - second) is None
    assert open_until([run_window], at(opens)) == at(closes)
    assert open_until([run_window], at(closes) - second) == at(closes)
    assert open_until([run_window], at(closes)) is None
    assert open_since([run_window], at(asked)) is None
    assert open_since([run_window], at(opens)) == at(opens)
    assert open_since([run_window], at(closes) - second) == at(opens)


def test_overlapping_and_adjoining_windows_are_open_as_one() -> None:
    windows = [window("20:00", "23:00"), window("22:00", "02:00"), window("02:00", "04:00"), window("05:00", "06:00")]
    assert open_until(windows, at("2026-01-10 20:00")) == at("2026-01-11 04:00")
    assert next_opening(windows, at("2026-01-11 04:00")) == at("2026-01-11 05:00")


def test_windows_of_different_zones_are_open_while_any_is() -> None:
    windows = [window("22:00", "23:00"), window("18:00", "20:00", NEW_YORK)]
    assert open_until(windows, at("2026-01-10 22:00")) == at("2026-01-11 01:00")


def test_a_window_that_closes_when_it_opens_is_always_open() -> None:
    always = [window("00:00", "00:00")]
    now = at("2026-03-29 00:30")
    assert open_until(always, now) == now + timedelta(days=2)
    assert open_since(always, now) == now - timedelta(days=2)
    assert next_opening(always, now) == now


def test_no_windows_never_open() -> None:
    assert open_until([], at("2026-01-10 22:00")) is None
    assert next_opening([], at("2026-01-10 22:00")) is None


@pytest.mark.parametrize(
    ("now", "count", "since"),
    [
        ("2026-01-11 06:00", 1, "2026-01-10 22:00"),  # closed a moment ago
        ("2026-01-11 05:59", 1, "2026-01-09 22:00"),  # still open: not missed yet
        ("2026-01-11 12:00", 7, "2026-01-04 22:00"),
        ("2026-03-30 12:00", 2, "2026-03-28 22:00"),  # over the change of the clock
        ("2026-10-26 12:00", 3, "2026-10-23 21:00"),
    ],
)
def test_missed_windows_are_those_that_opened_and_closed_meanwhile(now: str, count: int, since: str) -> None:
    assert missed_since([NIGHT], at(now), count) == at(since)


def test_windows_that_never_close_are_missed_by_the_day() -> None:
    now = at("2026-01-11 12:00")
    assert missed_since([window("00:00", "00:00")], now, 7) == now - timedelta(days=7)


_TIMES = st.times().map(lambda moment: moment.replace(microsecond=0))
_WINDOWS = st.lists(
    st.builds(
        lambda opens, closes, zone: RunWindow(opens=opens, closes=closes, zone=zone),
        _TIMES,
        _TIMES,
        st.sampled_from([LONDON, NEW_YORK, LORD_HOWE, "Asia/Kathmandu"]),
    ),
    min_size=1,
    max_size=3,
)
_MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 28)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001


@given(_WINDOWS, _MOMENTS)
def test_what_is_said_of_opening_and_closing_agrees(windows: list[RunWindow], now: datetime) -> None:
    closes = open_until(windows, now)
    if closes is None:
        opens = next_opening(windows, now)
        assert opens is not None or all(one.opens == one.closes for one in windows)
        if opens is not None:
            assert opens > now
            assert open_until(windows, opens) is not None
            assert open_until(windows, opens - timedelta(microseconds=1)) is None
    else:
        assert next_opening(windows, now) == now
        assert closes > now
        assert open_until(windows, closes - timedelta(microseconds=1)) is not None
        assert closes == now + timedelta(days=2) or open_until(windows, closes) is None
