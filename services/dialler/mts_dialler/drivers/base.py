"""What a driver is given and what it fills in."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from mts_common.messages import (
    FailureKind,
    MeterClock,
    MeterData,
    NameValue,
    RegisterReading,
    Section,
    SectionResult,
    SectionState,
    SurveyChannel,
    SurveyReading,
)
from mts_dialler.line import Line
from mts_dialler.phases import Phases
from mts_dialler.text import printable

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class SurveyRange:
    """[start, end) in aware UTC; never empty, never past the time at which it was made."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Terms:
    """What to read. The forms of address and password are those of `mts_common.catalogue`.

    `zone` is that of the meter's clock; `survey` None = none wanted. An absent text is "".
    """

    test_id: int
    meter_type: str
    outstation_address: str = ""
    serial_number: str = ""
    password: str = field(default="", repr=False)
    zone: ZoneInfo = _UTC
    survey: SurveyRange | None = None


class ReportBuilder:
    """Collects what is read, as it is read, so that it survives a call that breaks.

    Fill the lists, and give a verdict on each section when it is done. A section that has data but no verdict when
    the call ends counts as partial, one without either as failed. `failure` is the kind of the first verdict that is
    not `read`. `phases` hears of the verdicts, and is told by the driver when it has signed on.
    """

    def __init__(self, phases: Phases | None = None) -> None:
        self.phases = phases or Phases()
        self.serial_number: str | None = None
        self.clock: MeterClock | None = None
        self.status_events: list[str] = []
        self.properties: list[NameValue] = []
        self.registers: list[RegisterReading] = []
        self.profile_configuration: list[str] = []
        self._survey: dict[tuple[str, str], list[SurveyReading]] = {}
        self._verdicts: dict[Section, SectionResult] = {}
        self.failure: FailureKind | None = None

    def add_survey(self, name: str, units: str, readings: Iterable[SurveyReading] = ()) -> None:
        """Appends to the channel `name`; channels stand in the order of their first mention."""
        self._survey.setdefault((name, units), []).extend(readings)

    def read(self, section: Section) -> None:
        """The section is whole."""
        self._verdicts[section] = SectionResult(state=SectionState.READ)
        self.phases.read(section, SectionState.READ)

    def partial(self, section: Section, why: str, failure: FailureKind = FailureKind.METER_REFUSED) -> None:
        """Something that the meter has of this section could not be read."""
        self._fail(section, SectionState.PARTIAL, why, failure)

    def failed(self, section: Section, why: str, failure: FailureKind = FailureKind.METER_REFUSED) -> None:
        """Nothing of the section could be read. `failure` decides whether another attempt is worth while."""
        self._fail(section, SectionState.FAILED, why, failure)

    def _fail(self, section: Section, state: SectionState, why: str, failure: FailureKind) -> None:
        self._verdicts[section] = SectionResult(state=state, error=why)
        self.phases.read(section, state)
        self.failure = self.failure or failure

    def data(self) -> MeterData:
        """All that was read so far; what a meter sent that cannot be shown stands as U+FFFD."""
        return MeterData(
            serial_number=None if self.serial_number is None else printable(self.serial_number),
            clock=self.clock,
            status_events=tuple(map(printable, self.status_events)),
            properties=tuple(
                NameValue(name=printable(each.name), value=printable(each.value)) for each in self.properties
            ),
            registers=tuple(map(_printable_register, self.registers)),
            profile_configuration=tuple(map(printable, self.profile_configuration)),
            survey=tuple(
                SurveyChannel(name=printable(name), units=printable(units), readings=tuple(readings))
                for (name, units), readings in self._survey.items()
            ),
        )

    def sections(self, wanted: Set[Section], why: str) -> dict[Section, SectionResult]:
        """A verdict on each section of `wanted`; `why` is said of those that the driver gave none on."""
        verdicts = dict(self._verdicts)
        for section in wanted - verdicts.keys():
            state = SectionState.PARTIAL if self._holds(section) else SectionState.FAILED
            verdicts[section] = SectionResult(state=state, error=why)
        return {section: verdicts[section] for section in Section if section in verdicts}

    def _holds(self, section: Section) -> bool:
        """Has anything of `section` been read?"""
        if section is Section.SURVEY:
            return any(self._survey.values())
        return bool(getattr(self, section.value))


def _printable_register(reading: RegisterReading) -> RegisterReading:
    texts = {"name": reading.name, "units": reading.units, "text": reading.text}
    changed = {key: printable(text) for key, text in texts.items() if text is not None and not text.isprintable()}
    return reading.model_copy(update=changed) if changed else reading


class Driver(Protocol):
    """Reads one family of meters."""

    def sections(self, terms: Terms) -> frozenset[Section]:
        """What will be read for these terms."""
        ...

    async def read(self, line: Line, terms: Terms, report: ReportBuilder) -> None:
        """Signs on, fills `report`, and always signs off (after `line.begin_sign_off`).

        Raises leaves of `DiallerError` for what ends the test; what could not be read but broke nothing is marked
        failed in `report`, and the reading goes on.
        """
        ...
