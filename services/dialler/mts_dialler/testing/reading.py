"""A driver, a meter in memory, and what came of one test."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import datetime
from typing import Self

from mts_common.messages import Section, SectionState, SurveyChannel
from mts_dialler.drivers.base import Driver, ReportBuilder, Terms
from mts_dialler.drivers.registry import DRIVERS
from mts_dialler.errors import DiallerError
from mts_dialler.line import Line
from mts_dialler.testing import ManualClock
from mts_dialler.testing.answering import AnsweringChannel, Reply


class Reading:
    """One test at the time `now`; what fails it is kept in `error`."""

    __test__ = False

    def __init__(self, meter: Callable[[bytes], list[Reply]], now: datetime, **terms: object) -> None:
        self.meter = meter
        self.clock = ManualClock(now)
        self.channel = AnsweringChannel(self.clock, meter)
        self.line = Line(self.channel, clock=self.clock)
        self.report = ReportBuilder()
        self.terms = Terms(**({"test_id": 1} | terms))  # type: ignore[arg-type]
        self.error: DiallerError | None = None

    async def run(self, driver: Driver | None = None) -> Self:
        reader = driver or DRIVERS[self.terms.meter_type]
        try:
            await reader.read(self.line, self.terms, self.report)
        except DiallerError as error:
            self.error = error
        self.wanted = reader.sections(self.terms)
        self.sections = self.report.sections(self.wanted, str(self.error))
        return self

    @property
    def states(self) -> dict[Section, SectionState]:
        return {section: result.state for section, result in self.sections.items()}

    def registers(self) -> dict[str, object]:
        return {r.name: r.number if r.number is not None else r.text for r in self.report.registers}

    def survey(self) -> dict[str, SurveyChannel]:
        return {channel.name: channel for channel in self.report.data().survey}

    def trace(self) -> str:
        return gzip.decompress(self.line.trace.render()).decode()


def all_read(reading: Reading) -> bool:
    states = reading.states
    return reading.error is None and set(states.values()) == {SectionState.READ} and states.keys() == reading.wanted
