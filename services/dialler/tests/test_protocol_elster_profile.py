"""The A1700's load profile: elements from octets, and the periods they belong to."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

import re
import struct
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_dialler.protocols.elster.calendar import Calendar, Period
from mts_dialler.protocols.elster.layouts import A1140, A1700, Layout
from mts_dialler.protocols.elster.profile import (
    DayStart,
    Element,
    End,
    External,
    Happening,
    Marker,
    ProfileReader,
    Record,
)
from mts_dialler.protocols.errors import RemoteProtocolError

LONDON = ZoneInfo("Europe/London")
UTC_ZONE = ZoneInfo("UTC")
CAPTURES = Path(__file__).parent / "captures"
EXAMPLE = bytes.fromhex("E480397B61000109 00123453 40000050 FF")


def seconds(wall: datetime) -> bytes:
    return struct.pack("<I", int(wall.replace(tzinfo=UTC).timestamp()))


def day(wall: datetime, mask: int = 0x0001, period: int = 0x09) -> bytes:
    return b"\xe4" + seconds(wall) + struct.pack(">HB", mask, period)


def happening(marker: Marker, wall: datetime) -> bytes:
    return bytes([marker]) + seconds(wall)


def record(milliwatts: int, status: int = 0) -> bytes:
    return bytes([status]) + bytes.fromhex(f"{milliwatts:05d}0")


def captured_tails(product: str) -> list[bytes]:
    """What stands behind the time of a day's start: mask and period; a period that the source masks is 99."""
    lines = (CAPTURES / "a1700_profile_headers.txt").read_text().splitlines()
    text = next(line.partition(":")[2] if ":" in line else line for line in lines if line.startswith(product))
    return [
        bytes.fromhex(each.replace("xx", "99"))
        for each in re.findall("[0-9A-F]{2} [0-9A-F]{2} (?:[0-9A-F]{2}|xx)", text)
    ]


def elements(data: bytes, chunk: int | None = None) -> list[Element | str]:
    reader, found = ProfileReader(), list[Element | str]()
    for start in range(0, len(data), chunk or len(data) or 1):
        reader.feed(data[start : start + (chunk or len(data))])
        try:
            while (element := reader.next_element()) is not None:
                found.append(element)
        except RemoteProtocolError as error:
            return [*found, str(error)]
    return found


def periods(data: bytes, zone: ZoneInfo = UTC_ZONE) -> list[Period]:
    calendar = Calendar(zone)
    found: list[Period] = []
    for element in [*elements(data), End()]:
        assert not isinstance(element, str)
        found += calendar.place(element)
    return found


def starts(data: bytes, zone: ZoneInfo = UTC_ZONE) -> list[str]:
    return [f"{period.start:%d %H:%M}" for period in periods(data, zone)]


def test_the_example_of_the_fact_sheet() -> None:
    assert elements(EXAMPLE) == [
        DayStart(datetime(2021, 10, 29), (1,), 30, daylight_saving=False),
        Record(0, (12345000,)),
        Record(0x40, (5,)),
        End(),
    ]
    assert periods(EXAMPLE) == [
        Period(datetime(2021, 10, 29, 0, 0, tzinfo=UTC), 30, (1,), (12345000,)),
        Period(datetime(2021, 10, 29, 0, 30, tzinfo=UTC), 30, (1,), (5,), ("phase failure",)),
    ]


@pytest.mark.parametrize(("tail", "channels"), [("033F99", 8), ("130399", 5), ("030399", 4), ("000199", 1)])
def test_published_marker_tails(tail: str, channels: int) -> None:
    (start,) = elements(b"\xe4" + bytes.fromhex("80397B61" + tail))
    assert isinstance(start, DayStart)
    assert len(start.sources) == channels
    assert start.minutes == 30


def test_every_marker_is_known() -> None:
    at = datetime(2024, 1, 1, 10)
    markers = [marker for marker in Marker if marker not in {Marker.DAY, Marker.CONFIGURATION, Marker.EXTERNAL}]
    data = day(at) + b"".join(happening(marker, at) for marker in markers) + b"\xe8" + day(at, 0x0003)[1:]
    assert elements(data)[1:] == [
        *(Happening(marker, at) for marker in markers),
        DayStart(at, (1, 2), 30, daylight_saving=False),
    ]


def test_an_external_block_holds_periods_without_status() -> None:
    block = b"\xe2" + struct.pack("<H", 10) + record(1)[1:] + record(2)[1:] + b"\xe2"
    assert elements(day(datetime(2024, 1, 1)) + block)[1:] == [External(((1,), (2,)))]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (record(1), "does not begin with a day"),
        (day(datetime(2024, 1, 1)) + b"\xf3", "unknown marker F3"),
        (day(datetime(2024, 1, 1)) + b"\xef", "unknown marker EF"),
        (day(datetime(2024, 1, 1), 0x0000), "no channels or no period"),
        (day(datetime(2024, 1, 1), 0x0001, 0x0F), "no channels or no period"),
        (day(datetime(2024, 1, 1)) + b"\xe2\x06\x00", "does not fit"),
        (day(datetime(2024, 1, 1)) + b"\xe2\x07\x00\x00\x00\x10\x00", "without its end"),
        (day(datetime(2024, 1, 1)) + b"\xe5\x00\x00\x00\x00", "without a time"),
    ],
)
def test_what_is_no_element_ends_the_reading(data: bytes, text: str) -> None:
    assert text in str(elements(data)[-1])
    reader = ProfileReader()
    reader.feed(data)
    for _ in range(2):
        with pytest.raises(RemoteProtocolError):
            while reader.next_element() is not None:
                pass


def test_a_record_cut_short_is_not_given() -> None:
    reader = ProfileReader()
    reader.feed(EXAMPLE[:-3])
    while reader.next_element() is not None:
        pass
    assert not reader.idle


def test_nothing_after_the_end_is_looked_at() -> None:
    reader = ProfileReader()
    reader.feed(EXAMPLE + b"\x00\x01\x02")
    while reader.next_element() is not None:
        pass
    reader.feed(day(datetime(2024, 1, 1)))
    assert reader.next_element() is None
    assert reader.idle


@given(st.binary(max_size=300), st.integers(1, 64))
def test_garbage_gives_the_same_in_any_packets(data: bytes, chunk: int) -> None:
    data = day(datetime(2024, 1, 1)) + data
    assert elements(data, chunk) == elements(data)


@given(st.lists(st.tuples(st.integers(0, 127), st.integers(0, 99999)), max_size=60), st.integers(1, 64))
def test_records_come_out_as_they_went_in(rows: list[tuple[int, int]], chunk: int) -> None:
    data = day(datetime(2024, 1, 1)) + b"".join(record(value, status) for status, value in rows) + b"\xff" * 7
    assert elements(data, chunk)[1:] == [*(Record(status, (value,)) for status, value in rows), End()]


# --- time of rows


def test_time_runs_on_from_the_stamp_rounded_down() -> None:
    data = day(datetime(2024, 1, 1, 10, 7, 13)) + record(1) + record(2) + day(datetime(2024, 1, 2)) + record(3)
    assert starts(data) == ["01 10:00", "01 10:30", "02 00:00"]


def test_a_short_power_cut_leaves_one_period() -> None:
    data = (
        day(datetime(2024, 1, 1))
        + record(1)
        + happening(Marker.POWER_DOWN, datetime(2024, 1, 1, 0, 37))
        + record(2)
        + happening(Marker.POWER_UP, datetime(2024, 1, 1, 0, 41))
        + record(30)
        + record(4)
    )
    assert [(f"{p.start:%H:%M}", p.values, p.status) for p in periods(data)] == [
        ("00:00", (1,), ()),
        ("00:30", (32,), ("power failure",)),
        ("01:00", (4,), ()),
    ]


def test_a_long_power_cut_leaves_a_gap_that_is_not_filled() -> None:
    data = (
        day(datetime(2024, 1, 1))
        + record(1)
        + happening(Marker.POWER_DOWN, datetime(2024, 1, 1, 0, 37))
        + record(2)
        + happening(Marker.POWER_UP, datetime(2024, 1, 1, 5, 10))
        + record(3)
    )
    assert [(f"{p.start:%H:%M}", p.values, p.status) for p in periods(data)] == [
        ("00:00", (1,), ()),
        ("00:30", (2,), ("power failure",)),
        ("05:00", (3,), ("power failure",)),
    ]


@pytest.mark.parametrize(
    ("marker", "word"),
    [(Marker.DEMAND_ENDED, "demand period ended early"), (Marker.TIME_CHANGE, "clock set")],
)
def test_a_period_cut_in_two_is_summed_and_marked(marker: Marker, word: str) -> None:
    data = (
        day(datetime(2024, 1, 1)) + record(1) + happening(marker, datetime(2024, 1, 1, 0, 12)) + record(2) + record(3)
    )
    assert [(f"{p.start:%H:%M}", p.values, p.status) for p in periods(data)] == [
        ("00:00", (3,), (word,)),
        ("00:30", (3,), ()),
    ]


def test_a_clock_set_forward_leaves_out_the_skipped_periods() -> None:
    data = (
        day(datetime(2024, 1, 1))
        + record(1)
        + record(2)
        + happening(Marker.TIME_CHANGE, datetime(2024, 1, 1, 3, 2))
        + record(3)
    )
    assert [(f"{p.start:%H:%M}", p.status) for p in periods(data)] == [
        ("00:00", ()),
        ("00:30", ("clock set",)),
        ("03:00", ("clock set",)),
    ]


def test_an_external_block_continues_the_last_period() -> None:
    block = b"\xe2" + struct.pack("<H", 10) + record(10)[1:] + record(20)[1:] + b"\xe2"
    data = day(datetime(2024, 1, 1)) + record(1) + record(2) + block + record(4)
    assert [(f"{p.start:%H:%M}", p.values) for p in periods(data)] == [
        ("00:00", (1,)),
        ("00:30", (12,)),
        ("01:00", (20,)),
        ("01:30", (4,)),
    ]


def test_a_day_that_begins_with_an_external_block_steps_back() -> None:
    block = b"\xe2" + struct.pack("<H", 10) + record(10)[1:] + record(20)[1:] + b"\xe2"
    data = day(datetime(2024, 1, 1, 23, 30)) + record(1) + day(datetime(2024, 1, 2)) + block
    assert [(f"{p.start:%d %H:%M}", p.values) for p in periods(data)] == [("01 23:30", (11,)), ("02 00:00", (20,))]


def test_an_empty_external_block_changes_nothing() -> None:
    data = day(datetime(2024, 1, 1)) + record(1) + b"\xe2\x04\x00\xe2" + record(2)
    assert starts(data) == ["01 00:00", "01 00:30"]


@pytest.mark.parametrize(("date", "count"), [((2024, 3, 31), 46), ((2024, 10, 27), 50), ((2024, 7, 1), 48)])
def test_a_day_of_the_meters_zone_has_the_periods_it_really_had(date: tuple[int, int, int], count: int) -> None:
    midnight = datetime(*date)
    data = day(midnight, 0x0081) + record(1) * count + day(midnight + timedelta(days=1), 0x0081) + record(2)
    found = periods(data, LONDON)
    assert [later.start - earlier.start for earlier, later in pairwise(found)] == [timedelta(minutes=30)] * count
    assert found[0].start == midnight.replace(tzinfo=LONDON).astimezone(UTC)


def test_without_the_daylight_saving_flag_stamps_are_standard_time() -> None:
    assert starts(day(datetime(2024, 7, 1, 12), 0x0001) + record(1), LONDON) == ["01 12:00"]
    assert starts(day(datetime(2024, 7, 1, 12), 0x0081) + record(1), LONDON) == ["01 11:00"]


def test_a_stamp_in_the_repeated_hour_is_resolved_by_the_order_of_records() -> None:
    restart = happening(Marker.POWER_UP, datetime(2024, 10, 27, 1, 40))
    in_the_first = day(datetime(2024, 10, 27), 0x0081) + record(1) * 2 + restart + record(2)
    in_the_second = day(datetime(2024, 10, 27), 0x0081) + record(1) * 5 + restart + record(2)
    assert starts(in_the_first, LONDON)[-1] == "27 00:30"
    assert starts(in_the_second, LONDON)[-1] == "27 01:30"


def test_a_stamp_in_the_repeated_hour_is_resolved_by_the_season_marker() -> None:
    data = (
        day(datetime(2024, 10, 27), 0x0081)
        + record(1)
        + happening(Marker.POWER_DOWN, datetime(2024, 10, 27, 0, 40))
        + happening(Marker.SEASON_CHANGE, datetime(2024, 10, 27, 2))
        + happening(Marker.POWER_UP, datetime(2024, 10, 27, 1, 40))
        + record(2)
    )
    assert starts(data, LONDON)[-1] == "27 01:30"


def test_a_value_that_is_no_number_spoils_only_itself() -> None:
    data = day(datetime(2024, 1, 1), 0x0003) + b"\x00" + b"\xff\xff\xff" + record(7)[1:]
    assert periods(data)[0].values == (None, 7)


@pytest.mark.parametrize(
    ("product", "layout", "channels"),
    [
        ("A1700", A1700, [(1, 2, 3, 4, 5, 6, 8, 9), (1, 2, 8, 9, 12), (1, 2, 8, 9), (1,)]),
        ("A1140", A1140, [(1, 8), (1, 2, 8, 9)]),
    ],
)
def test_the_captured_days_are_of_half_hours_and_have_these_channels(
    product: str, layout: Layout, channels: list[tuple[int, ...]]
) -> None:
    found = []
    for tail in captured_tails(product):
        reader = ProfileReader(layout)
        reader.feed(b"\xe4" + seconds(datetime(2024, 11, 5)) + tail)
        start = reader.next_element()
        assert isinstance(start, DayStart)
        assert start.minutes == 30
        found.append(start.sources)
    assert found == channels
