"""What a test's attempts read and when they ran, taken together. Pure.

Data are merged section by section: the better state wins, then the later attempt. Where two attempts both read a part
of a section, their parts are joined, the later attempt's values standing before the earlier's, so that nothing that
was read is lost to a later, worse attempt (mts-api.md, "PARTIAL SUCCESS").
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from mts_common.messages import MeterData, Section, SectionResult, SectionState, SurveyChannel
from mts_results.history import Attempt, Report, Sections

_WORTH = {state: worth for worth, state in enumerate(SectionState)}

_FIELDS = {
    Section.SERIAL_NUMBER: "serial_number",
    Section.CLOCK: "clock",
    Section.STATUS_EVENTS: "status_events",
    Section.PROPERTIES: "properties",
    Section.REGISTERS: "registers",
    Section.PROFILE_CONFIGURATION: "profile_configuration",
    Section.SURVEY: "survey",
}

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Merged:
    """What was read of a test: the sections that were wanted, and the data of those that were read."""

    sections: Sections = field(default_factory=dict)
    data: MeterData = field(default_factory=MeterData)


@dataclass(frozen=True, slots=True)
class Times:
    """A test's times, each None until it is known."""

    test_started_at: datetime | None = None
    test_ended_at: datetime | None = None
    connection_started_at: datetime | None = None
    connection_ended_at: datetime | None = None


def merge_reports(reports: Sequence[Report]) -> Merged:
    """The data of all `reports`, which stand in the order of their attempts.

    Two meters' data are never mixed: what a meter with another serial number than the one asked for gave (its number
    is there, but as a failed section) counts only if no other attempt read anything.
    """
    sections: dict[Section, SectionResult] = {}
    fields: dict[str, object] = {}
    for report in _of_one_meter(reports):
        for section, result in report.sections.items():
            name = _FIELDS[section]
            value = getattr(report.data, name)
            known = sections.get(section)
            if known is not None and _WORTH[result.state] < _WORTH[known.state]:
                continue
            if known is not None and known.state is result.state is SectionState.PARTIAL:
                value = _JOINS.get(section, _later)(fields[name], value)
            sections[section], fields[name] = result, value
    return Merged(sections, MeterData().model_copy(update=fields))


def merge_times(attempts: Sequence[Attempt]) -> Times:
    """The test's times from its attempts, which rise by number.

    The test runs from the start of the first attempt to the end of the last, at least to the end of the connection.
    The connection is the last attempt's that had one; where the end of the call has told its times, they are the
    call's.
    """
    reports = [attempt.report for attempt in attempts if attempt.report is not None]
    connected_at, disconnected_at = _connection(attempts)
    ended_at = reports[-1].times.ended_at if reports else None
    ends = [end for end in (ended_at, disconnected_at) if end is not None]
    return Times(
        test_started_at=reports[0].times.started_at if reports else None,
        test_ended_at=max(ends) if ended_at is not None else None,
        connection_started_at=connected_at,
        connection_ended_at=disconnected_at,
    )


def _connection(attempts: Sequence[Attempt]) -> tuple[datetime | None, datetime | None]:
    for attempt in reversed(attempts):
        connected_at = attempt.report.times.connection_started_at if attempt.report else None
        disconnected_at = attempt.report.times.connection_ended_at if attempt.report else None
        if attempt.line is not None:
            connected_at = attempt.line.connected_at or connected_at
            disconnected_at = attempt.line.disconnected_at or disconnected_at
        if connected_at is not None or disconnected_at is not None:
            return connected_at, disconnected_at
    return None, None


def _of_one_meter(reports: Sequence[Report]) -> Sequence[Report]:
    right = [report for report in reports if not _of_another_meter(report)]
    read_some = any(result.state is not SectionState.FAILED for report in right for result in report.sections.values())
    return right if read_some else reports


def _of_another_meter(report: Report) -> bool:
    serial_number = report.sections.get(Section.SERIAL_NUMBER)
    failed = serial_number is not None and serial_number.state is SectionState.FAILED
    return failed and report.data.serial_number is not None


def _later(earlier: object, later: object) -> object:
    return earlier if later is None else later


def _joined(key: Callable[[_Item], Hashable]) -> Callable[[Iterable[_Item], Iterable[_Item]], tuple[_Item, ...]]:
    def join(earlier: Iterable[_Item], later: Iterable[_Item]) -> tuple[_Item, ...]:
        kept = tuple(later)
        known = {key(item) for item in kept}
        return kept + tuple(item for item in earlier if key(item) not in known)

    return join


def _joined_survey(earlier: Sequence[SurveyChannel], later: Sequence[SurveyChannel]) -> tuple[SurveyChannel, ...]:
    """The channels of both, their readings in order of time; the later attempt's reading of a period stands."""
    before = {(channel.name, channel.units): channel for channel in earlier}
    joined = []
    for channel in later:
        other = before.pop((channel.name, channel.units), None)
        readings = {reading.start: reading for reading in (*(other.readings if other else ()), *channel.readings)}
        joined.append(channel.model_copy(update={"readings": tuple(readings[start] for start in sorted(readings))}))
    return (*joined, *before.values())


_JOINS: Mapping[Section, Callable[..., object]] = {
    Section.STATUS_EVENTS: _joined(lambda event: event),
    Section.PROPERTIES: _joined(lambda entry: entry.name),
    Section.REGISTERS: _joined(lambda register: (register.category, register.name)),
    Section.PROFILE_CONFIGURATION: _joined(lambda name: name),
    Section.SURVEY: _joined_survey,
}
