"""The formula of contract-meters.md §7, alone."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mts_gateway.warranty.due_date import LATEST, Reading, due_date

START = date(2022, 10, 1)
FIFTY = Decimal(50)


def at(text: str, value: object) -> Reading:
    return datetime.fromisoformat(text).replace(tzinfo=UTC), Decimal(str(value))


def due(*readings: Reading, interval: object = 100, start: object = 0, rate: Decimal | None = FIFTY) -> date | None:
    return due_date(readings, Decimal(str(start)), Decimal(str(interval)), rate, START)


def test_without_an_interval_there_is_no_due_date() -> None:
    assert due_date([at("2022-10-06", 500)], Decimal(0), None, FIFTY, START) is None


@pytest.mark.parametrize(
    ("readings", "interval", "expected"),
    [
        ([at("2022-10-06", 0)], 500, date(2022, 10, 16)),
        ([at("2022-10-28", 0)], 100000, date(2028, 4, 19)),
        ([at("2022-10-28", 0)], 1000, date(2022, 11, 17)),
        ([at("2022-10-28", 0), at("2022-11-27", 50000)], 100000, date(2022, 12, 27)),
    ],
)
def test_the_examples_of_the_contract_come_out(readings: list[Reading], interval: int, expected: date) -> None:
    assert due(*readings, interval=interval) == expected


def test_a_counter_that_starts_beyond_its_end_was_due_when_first_read() -> None:
    assert due(at("2022-10-06T23:59:59", 100), at("2022-11-06", 900)) == date(2022, 10, 6)


def test_the_day_the_end_was_passed_lies_between_two_readings() -> None:
    assert due(at("2022-10-06", 0), at("2022-10-16", 200)) == date(2022, 10, 11)
    assert due(at("2022-10-06", 0), at("2022-10-16", "200.1")) == date(2022, 10, 10)
    assert due(at("2022-10-06", 0), at("2022-10-16", 100)) == date(2022, 10, 16)


def test_a_counter_that_fell_is_a_new_counter() -> None:
    fell = [at("2022-10-01", 90), at("2022-10-06", 100), at("2022-10-07", 5), at("2022-10-17", 15)]
    assert due(*fell) == date(2022, 10, 17) + timedelta(days=85)
    assert due(*fell, at("2022-10-18", 0), rate=None) is None


def test_the_rate_is_that_of_the_last_365_days() -> None:
    readings = [at("2020-01-01", 0), at("2022-01-01", 10), at("2023-01-01", 375)]
    assert due(*readings, interval=385) == date(2023, 1, 11)
    assert due(*readings[:2], interval=20, rate=None) is None


@pytest.mark.parametrize(
    "readings",
    [
        [at("2022-10-06", 0), at("2022-10-06T23:59:59.999999", 1)],
        [at("2022-10-05", 1), at("2022-10-06T23:59:59.999999", 1)],
        [at("2022-10-06T23:59:59.999999", 1)],
    ],
    ids=["less than a day", "nothing counted", "one reading"],
)
def test_readings_that_show_no_rate_leave_it_to_the_meters_own(readings: list[Reading]) -> None:
    assert due(*readings, interval=101, rate=Decimal(50)) == date(2022, 10, 8)
    for none in (None, Decimal(0)):
        assert due(*readings, rate=none) is None


def test_without_a_reading_the_contract_starts_at_its_start_value() -> None:
    assert due(start=7, interval=500) == date(2022, 10, 11)
    assert due(start=7, interval=0) == START
    assert due(rate=None) is None


def test_nothing_is_due_later_than_the_end_of_the_calendar() -> None:
    assert due(at("2022-10-06", 0), interval=10**15) == LATEST
    assert due(interval="1e300") == LATEST


def test_days_are_those_of_utc() -> None:
    east = datetime(2022, 10, 7, 1, tzinfo=timezone(timedelta(hours=2)))
    assert due((east, Decimal(100))) == date(2022, 10, 6)


def test_no_digit_is_lost() -> None:
    third = [at("2022-10-01", 0), at("2022-10-31", "0.00000000000000000000000000000003")]
    assert due(*third, interval="0.00000000000000000000000000000004") == date(2022, 11, 10)
    assert due(*third, interval="0.0000000000000000000000000000000399999999") == date(2022, 11, 9)


moments = st.integers(0, 70 * 365 * 86_400_000_000).map(
    lambda microseconds: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
values = st.decimals(min_value=0, max_value=10**9, places=3)
counts = st.lists(st.tuples(moments, values), max_size=8, unique_by=lambda reading: reading[0])
rates = st.none() | st.decimals(min_value=0, max_value=1000, places=2)
starts = st.dates(date(1990, 1, 1), date(2060, 1, 1))


@given(counts, values, values, rates, starts, st.randoms(use_true_random=False))
def test_the_order_of_the_readings_is_nothing(
    readings: list[Reading],
    start: Decimal,
    interval: Decimal,
    rate: Decimal | None,
    begins: date,
    chance: random.Random,
) -> None:
    shuffled = list(readings)
    chance.shuffle(shuffled)
    expected = due_date(readings, start, interval, rate, begins)
    assert due_date(shuffled, start, interval, rate, begins) == expected


@given(counts, values, values, rates, starts, st.integers(-5000, 5000), values)
def test_all_that_moves_together_moves_the_due_date_by_as_much(
    readings: list[Reading],
    start: Decimal,
    interval: Decimal,
    rate: Decimal | None,
    begins: date,
    days: int,
    more: Decimal,
) -> None:
    shift = timedelta(days=days)
    before = due_date(readings, start, interval, rate, begins)
    moved = [(at + shift, value + more) for at, value in readings]
    after = due_date(moved, start + more, interval, rate, begins + shift)
    assume(LATEST not in (before, after))
    assert after == (None if before is None else before + shift)


@given(counts, values, values, rates, starts)
def test_there_is_a_due_date_exactly_where_there_is_a_rate_or_the_end_was_reached(
    readings: list[Reading], start: Decimal, interval: Decimal, rate: Decimal | None, begins: date
) -> None:
    found = due_date(readings, start, interval, rate, begins)
    assert found is None or date(1990, 1, 1) <= found <= LATEST
    if rate:
        assert found is not None
    if found is None:
        assert not rate
        ordered = sorted(readings)
        assert not ordered or ordered[-1][1] < start + interval


@given(counts, values, values, values, st.decimals(min_value="0.01", max_value=1000, places=2), starts)
def test_a_longer_interval_is_never_due_earlier(
    readings: list[Reading], start: Decimal, interval: Decimal, more: Decimal, rate: Decimal, begins: date
) -> None:
    sooner = due_date(readings, start, interval, rate, begins)
    later = due_date(readings, start, interval + more, rate, begins)
    assert sooner is not None
    assert later is not None
    assert sooner <= later
