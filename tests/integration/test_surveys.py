"""Ten days of half-hours over a change of season of the meter's clock, through all services, against the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import simplejson

from mts_metersim.fleet import ClockSpec, LoadSpec, Meter, Options, Rule
from mts_metersim.load import reading
from mts_stack.testing import StackUnderTest

ZONE = "Europe/London"
DAYS = 10
HALF_HOUR = timedelta(minutes=30)
CHANNELS = {
    "kWh Import": "import",
    "kWh Export": "export",
    "kvarh Q1": "q1",
    "kvarh Q2": "q2",
    "kvarh Q3": "q3",
    "kvarh Q4": "q4",
}
TYPES = ("ELSTERA1700", "LG_E650_IEC", "EMH_LZQJ", "IEC62056_21")


def changes() -> Iterator[datetime]:
    """The UTC days on which the clocks of the zone changed, newest first, that lie far enough back for a survey."""
    zone = ZoneInfo(ZONE)
    day = datetime.combine(datetime.now(UTC).date(), time(), UTC) - timedelta(days=DAYS)
    while True:
        if day.astimezone(zone).utcoffset() != (day + timedelta(days=1)).astimezone(zone).utcoffset():
            yield day
        day -= timedelta(days=1)


def recent_changes() -> list[datetime]:
    """One into summer time and one out of it."""
    found = changes()
    return [next(found), next(found)]


def meter(index: int, meter_type: str, oldest: datetime, **options: Any) -> Meter:
    return Meter(
        meter_type=meter_type,
        serial_number=f"K04M0{index:04d}" if meter_type == "ELSTERA1700" else f"{95300000 + index}",
        load=LoadSpec(seed=index + 1, kind="shop"),
        password="SIM00001",
        clock=ClockSpec(zone=ZONE),
        installed_days_ago=(datetime.now(UTC) - oldest).days + 2 * DAYS,
        options=replace(Options(), **options),
    )


def start_zoned(start_stack: Any, meters: list[Meter]) -> StackUnderTest:
    zones = simplejson.dumps(dict.fromkeys(TYPES, ZONE))
    stack: StackUnderTest = start_stack(meters, MTS_METER_ZONES=zones)
    return stack


def survey(stack: StackUnderTest, index: int, first: datetime, days: int = DAYS) -> dict[str, Any]:
    test_id = stack.request(stack.fleet.meters[index], surveyDate=f"{first:%Y-%m-%d}", surveyDays=days)
    stack.outcome(test_id, 110)
    answer = stack.http.get("/test-status", params={"testId": test_id})
    status: dict[str, Any] = simplejson.loads(answer.text, use_decimal=True)
    return status


def truth(simulated: Meter, channel: str, first: datetime, days: int = DAYS) -> list[tuple[str, Decimal]]:
    """What the site used, period by period; none where the meter recorded nothing."""
    starts = [first + number * HALF_HOUR for number in range(days * 48)]
    values = [(start, reading(simulated, CHANNELS[channel], start)) for start in starts]
    return [(f"{start:%Y-%m-%dT%H:%M:%SZ}", value) for start, value in values if value is not None]


@pytest.mark.timeout(300)
def test_ten_days_over_each_change_of_season_are_the_truth_in_utc_and_in_order(start_stack: Any) -> None:
    into, out_of = recent_changes()
    meters = [meter(index, name, min(into, out_of)) for index, name in enumerate(TYPES)]
    stack = start_zoned(start_stack, meters)
    for change in (into, out_of):
        first = change - timedelta(days=DAYS // 2)
        for index, simulated in enumerate(meters):
            status = survey(stack, index, first)
            assert status["result"] == "SUCCESS", (simulated.meter_type, status["result"])
            assert {channel["name"] for channel in status["surveyData"]} == set(CHANNELS)
            for channel in status["surveyData"]:
                read = [(each["timestamp"], each["value"]) for each in channel["readings"]]
                assert read == truth(simulated, channel["name"], first), (simulated.meter_type, channel["name"])


@pytest.mark.timeout(200)
def test_periods_that_the_meter_did_not_record_are_left_out_and_the_test_is_whole(start_stack: Any) -> None:
    first = datetime.combine(datetime.now(UTC).date(), time(), UTC) - timedelta(days=3)
    gaps = Rule(every_days=1, start_minute=600, minutes=180)
    meters = [meter(index, name, first, gaps=gaps) for index, name in enumerate(TYPES)]
    stack = start_zoned(start_stack, meters)
    for index, simulated in enumerate(meters):
        status = survey(stack, index, first, days=3)
        assert status["result"] == "SUCCESS", (simulated.meter_type, status["result"])
        [imported] = [channel for channel in status["surveyData"] if channel["name"] == "kWh Import"]
        read = [(each["timestamp"], each["value"]) for each in imported["readings"]]
        expected = truth(simulated, "kWh Import", first, days=3)
        assert len(expected) < 3 * 48
        assert read == expected, simulated.meter_type
