"""What the surveys of both EDMI families have in common: record numbers to periods, and the choice of a survey."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from mts_common.messages import FailureKind, SurveyReading
from mts_dialler.drivers.base import ReportBuilder, SurveyRange
from mts_dialler.drivers.edmi_names import distinct, survey_name
from mts_dialler.drivers.edmi_session import CommandFailed
from mts_dialler.drivers.survey import Gaps, SurveyCollector
from mts_dialler.errors import DiallerError
from mts_dialler.protocols.edmi.measures import Energy
from mts_dialler.protocols.errors import RemoteProtocolError

HALF_HOUR = 30


class Stamp(Enum):
    """What the time that belongs to a record's number is. No source proves it for either family (decision 0040)."""

    START = 0
    END = 1


@dataclass(frozen=True, slots=True)
class Timeline:
    """`origin` (UTC) is the time of record 0."""

    origin: datetime
    interval: timedelta
    stamp: Stamp

    def start(self, record: int) -> datetime:
        """Where the period of the record begins."""
        return self.origin + (record - self.stamp.value) * self.interval

    def first_from(self, moment: datetime) -> int:
        """The first record whose period begins at `moment` or later."""
        return -((self.origin - moment) // self.interval) + self.stamp.value

    def records(self, wanted: SurveyRange, first: int, end: int) -> tuple[int, int]:
        """[from, to): the records of the wanted range among those that the meter keeps, which are [first, end)."""
        return max(first, 0, self.first_from(wanted.start)), min(end, self.first_from(wanted.end))


class Survey(Protocol):
    """A survey that the meter keeps. `names` are those of its channels that are in use."""

    @property
    def minutes(self) -> int: ...

    @property
    def names(self) -> list[str]: ...

    async def read(self, wanted: SurveyRange, report: ReportBuilder) -> None:
        """Fills in the survey and its verdict, whatever happens. Raises what ends the test."""
        ...


class SurveyRun:
    """Takes the readings of one survey, and what could not be read."""

    def __init__(self, wanted: SurveyRange, columns: Sequence[tuple[str, str]]) -> None:
        """`columns`: name and units of each channel."""
        self.wanted = wanted
        self.gaps = Gaps()
        self._columns = columns
        self.restart()

    def restart(self) -> None:
        """Drops the readings."""
        self._reached = self.wanted.start
        self._collector = SurveyCollector(self.wanted)
        for name, units in self._columns:
            self._collector.channel(name, units)

    def add(self, name: str, reading: SurveyReading) -> None:
        self._collector.add(name, reading)

    def reach(self, moment: datetime) -> None:
        """Everything before `moment` has been read."""
        self._reached = min(max(self._reached, moment), self.wanted.end)

    async def carry_out(self, read: Callable[[], Awaitable[None]], report: ReportBuilder) -> None:
        """Runs `read`. What the meter refuses, or gives in another form, ends the survey, not the test."""
        try:
            await read()
        except RemoteProtocolError as error:
            self.gaps.add(self._reached, self.wanted.end, str(error), FailureKind.GARBLED)
        except CommandFailed as error:
            self.gaps.add(self._reached, self.wanted.end, str(error), error.kind)
        except DiallerError as error:
            self.gaps.add(self._reached, self.wanted.end, str(error), error.failure)
            raise
        finally:
            self._collector.give(report)
            self.gaps.judge(report, nothing=self._collector.empty)


def worth(measures: Iterable[object], minutes: int) -> tuple[bool, int]:
    """By which surveys are compared: half-hours first, then the number of energies of all phases together."""
    energies = sum(1 for measure in measures if isinstance(measure, Energy) and not measure.phase)
    return minutes == HALF_HOUR and energies > 0, energies


def columns(channels: Iterable[Energy | tuple[str, str]]) -> list[tuple[str, str]]:
    """Name and units of each channel, a name that comes again being numbered."""
    taken: set[str] = set()
    pairs = [survey_name(channel) if isinstance(channel, Energy) else channel for channel in channels]
    return [(distinct(name, taken), units) for name, units in pairs]
