"""How close the drivers come to the least that a full test with ten survey days costs on a modem line.

Computed, not waited for: see `paced_line`. Seconds are those of the call after CONNECT, with a meter that takes no
time to think.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.least import least
from benchmarks.paced_line import Least, PacedLine, VirtualClock
from mts_common.catalogue import CATALOGUE
from mts_common.messages import MeterData, SectionState
from mts_dialler.drivers.base import ReportBuilder, SurveyRange, Terms
from mts_dialler.drivers.registry import DRIVERS
from mts_dialler.line import Line, LineLimits
from mts_metersim import port
from mts_metersim.families import METER_TYPES
from mts_metersim.fleet import Meter
from mts_metersim.preset_families import sound
from mts_metersim.unit import Unit

BIT_RATE = 9600
DELAY_SECONDS = 0.05  # each way, as a V.32 connection has it
SURVEY_DAYS = 10
GOAL = 1.15
_TODAY = datetime(2026, 3, 12, tzinfo=UTC)
_AS_OVER_A_MODEM = LineLimits(
    reply_seconds=15.0, character_seconds=8.0, settle_seconds=1.5, test_seconds=1800.0, sign_off_seconds=10.0
)
_PASSWORDS: Mapping[str, str] = {"EDMIATLAS": "user", "EDMIGENIUS": "user", "ISKRA_MT174": ""}


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Of one call; `octets` both ways."""

    meter_type: str
    octets: int
    turns: int
    seconds: float
    least: Least

    @property
    def least_seconds(self) -> float:
        return self.least.seconds(BIT_RATE, DELAY_SECONDS)

    @property
    def ratio(self) -> float:
        return self.seconds / self.least_seconds


def efficiencies() -> Iterator[Efficiency]:
    """Of every type that the simulator has."""
    for meter_type in METER_TYPES:
        yield asyncio.run(measure(meter_type))


@dataclass(frozen=True, slots=True)
class Call:
    """A full test of a sound meter of one type, and the line that it went over."""

    meter: Meter
    line: PacedLine
    seconds: float
    data: MeterData


async def full_test(meter_type: str) -> Call:
    """Raises AssertionError where not everything was read."""
    clock = VirtualClock(_TODAY + timedelta(hours=12))
    meter = sound(1, meter_type, _PASSWORDS.get(meter_type, "lls"))
    there = port.Call([Unit(meter, clock.nanoseconds)], lambda *_: None, lambda *_: None)
    line = PacedLine(clock, there, BIT_RATE, DELAY_SECONDS)
    survey = SurveyRange(_TODAY - timedelta(days=SURVEY_DAYS), _TODAY)
    terms = Terms(
        test_id=1,
        meter_type=meter_type,
        outstation_address=meter.outstation_address,
        serial_number=meter.serial_number,
        password=meter.password,
        survey=survey if CATALOGUE[meter_type].keeps_survey else None,
    )
    driver, report = DRIVERS[meter_type], ReportBuilder()
    await driver.read(Line(line, _AS_OVER_A_MODEM, clock), terms, report)
    sections = report.sections(driver.sections(terms), "nothing was said")
    assert {section.state for section in sections.values()} == {SectionState.READ}, sections
    return Call(meter, line, clock.monotonic(), report.data())


async def measure(meter_type: str) -> Efficiency:
    """What a full test costs."""
    call = await full_test(meter_type)
    return Efficiency(
        meter_type=meter_type,
        octets=sum(len(each.sent) + len(each.received) for each in call.line.exchanges),
        turns=len(call.line.exchanges),
        seconds=call.seconds,
        least=least(call.meter, call.line.exchanges),
    )
