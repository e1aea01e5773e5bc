"""The survey as all drivers build it: energies by period, each period once, only those that were asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, Inexact, localcontext

from mts_common.messages import FailureKind, Section, SurveyReading
from mts_dialler.drivers.base import ReportBuilder, SurveyRange

_ENDLESS = Decimal("1E-9")  # to which a third of a kWh is rounded


def energy(power: Decimal, minutes: int) -> Decimal:
    """kW held for `minutes`, as kWh. Exact, unless its decimals have no end: then rounded to the ninth."""
    with localcontext() as context:
        context.clear_flags()
        quotient = power * minutes / 60
        return quotient.quantize(_ENDLESS) if context.flags[Inexact] else quotient


def shown(moment: datetime) -> str:
    """A time as the API writes it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


class Gaps:
    """What of a survey the meter may have and we could not read, and why."""

    def __init__(self) -> None:
        self._ranges: list[tuple[datetime, datetime]] = []
        self._why = ""
        self._failure = FailureKind.GARBLED

    def add(self, start: datetime, end: datetime, why: str = "", failure: FailureKind = FailureKind.GARBLED) -> None:
        """[start, end); ranges come in order of time, and the first reason is the one that is told."""
        if start >= end:
            return
        if not self._why:
            self._why, self._failure = why, failure
        if self._ranges and start <= self._ranges[-1][1]:
            start = self._ranges.pop()[0]
        self._ranges.append((start, end))

    def judge(self, report: ReportBuilder, *, nothing: bool) -> None:
        """The verdict on the survey; `nothing`: not one reading came."""
        if not self._ranges:
            report.read(Section.SURVEY)
            return
        ranges = ", ".join(f"{shown(start)} to {shown(end)}" for start, end in self._ranges)
        verdict = report.failed if nothing else report.partial
        verdict(Section.SURVEY, f"{self._why}: not read: {ranges}", self._failure)


@dataclass(slots=True)
class _Channel:
    units: str
    cumulative: bool
    readings: dict[datetime, SurveyReading] = field(default_factory=dict)


class SurveyCollector:
    """Takes readings in any order, and twice; gives them in order of time.

    A second reading of a period that is the same is the same reading sent twice. One that differs is the other part of
    a period that was cut in two (clock set, power failure): energies add up, of cumulative values the later counts.
    """

    def __init__(self, wanted: SurveyRange) -> None:
        self._wanted = wanted
        self._channels: dict[str, _Channel] = {}

    @property
    def empty(self) -> bool:
        return not any(channel.readings for channel in self._channels.values())

    def channel(self, name: str, units: str, *, cumulative: bool = False) -> None:
        """Names a channel; channels stand in the order in which they were named."""
        self._channels.setdefault(name, _Channel(units, cumulative))

    def add(self, name: str, reading: SurveyReading) -> None:
        """Leaves out what begins outside the wanted range. The channel must have been named."""
        if not self._wanted.start <= reading.start < self._wanted.end:
            return
        channel = self._channels[name]
        held = channel.readings.get(reading.start)
        if held is None or channel.cumulative:
            channel.readings[reading.start] = reading
        elif held != reading:
            status = tuple(dict.fromkeys(held.status + reading.status))
            channel.readings[reading.start] = SurveyReading(reading.start, held.value + reading.value, status)

    def give(self, report: ReportBuilder) -> None:
        """Hands all channels, the empty ones too, to `report`. To be called once."""
        for name, channel in self._channels.items():
            report.add_survey(name, channel.units, (channel.readings[start] for start in sorted(channel.readings)))
