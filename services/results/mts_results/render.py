"""The texts and JSON values that clients read (mts-api.md, "test-status"). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from mts_common.messages import (
    Outcome,
    RegisterReading,
    Section,
    SectionState,
    SurveyChannel,
    SurveyReading,
    TestFinished,
)
from mts_results.merge import Merged

PENDING = "PENDING"
NO_TIME = "ERROR: no time was read"

# Beyond these powers of ten a double overflows or vanishes: such a value is shown as text, digit for digit.
_LEAST_EXPONENT, _GREATEST_EXPONENT = -300, 300

Json = str | Decimal | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The data of a completed test; None for what was not asked for or could not be read."""

    serial_number: str | None = None
    meter_time: str | None = None
    status_events: Json | None = None
    meter_properties: Json | None = None
    profile_configuration: Json | None = None
    registers: Json | None = None
    survey: Json | None = None


def summary(finished: TestFinished) -> str:
    """`SUCCESS`, `PARTIAL SUCCESS` or `ERROR: details`."""
    match finished.outcome:
        case Outcome.SUCCESS:
            return "SUCCESS"
        case Outcome.PARTIAL:
            return "PARTIAL SUCCESS"
        case Outcome.ERROR:
            kind = finished.failure.value.replace("_", " ") if finished.failure else "the test failed"
            return f"ERROR: {finished.detail or kind}"


def render(merged: Merged) -> Rendered:
    """What clients are shown of `merged`."""
    data = merged.data
    clock = None if data.clock is None else meter_time(data.clock.meter_time, data.clock.offset_seconds)
    return Rendered(
        serial_number=_text(merged, Section.SERIAL_NUMBER, data.serial_number),
        meter_time=_text(merged, Section.CLOCK, clock) or NO_TIME,
        status_events=_list(merged, Section.STATUS_EVENTS, data.status_events),
        meter_properties=_list(
            merged, Section.PROPERTIES, ({"name": entry.name, "value": entry.value} for entry in data.properties)
        ),
        profile_configuration=_list(merged, Section.PROFILE_CONFIGURATION, data.profile_configuration),
        registers=_list(merged, Section.REGISTERS, map(register, data.registers)),
        survey=_list(merged, Section.SURVEY, map(channel, data.survey)),
    )


def meter_time(shown: datetime, offset_seconds: int) -> str:
    """What the meter showed, in UTC, and its offset with the sign always there: `2014-10-31T23:33:32 -203s`."""
    return f"{_utc(shown)} {offset_seconds:+d}s"


def register(reading: RegisterReading) -> Json:
    """One register's value, a number exactly as the meter showed it."""
    value = reading.text or "" if reading.number is None else number(reading.number)
    return {
        "category": reading.category.value,
        "name": reading.name,
        "timestamp": timestamp(reading.read_at),
        "value": value,
        "units": reading.units,
    }


def channel(survey: SurveyChannel) -> Json:
    """One survey channel with its readings; `status` only with those that the meter flagged."""
    return {"name": survey.name, "units": survey.units, "readings": [_reading(entry) for entry in survey.readings]}


def number(value: Decimal) -> Decimal | str:
    """`value` for a JSON number with all its digits, or its text where a reader of JSON could not hold it."""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < _LEAST_EXPONENT or value.adjusted() > _GREATEST_EXPONENT:
        return str(value)
    return value


def timestamp(moment: datetime) -> str:
    """`YYYY-MM-DDTHH:mm:ssZ`."""
    return _utc(moment) + "Z"


def _reading(reading: SurveyReading) -> Json:
    shown: dict[str, Json] = {"timestamp": timestamp(reading.start), "value": number(reading.value)}
    if reading.status:
        shown["status"] = list(reading.status)
    return shown


def _utc(moment: datetime) -> str:
    """ISO 8601 to the second; a moment without a zone is UTC already (messages.SurveyReading)."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.replace(tzinfo=None).isoformat(timespec="seconds")


def _text(merged: Merged, section: Section, value: str | None) -> str | None:
    result = merged.sections.get(section)
    if result is None:
        return None
    if value is not None and (result.state is SectionState.READ or result.error is None):
        return value
    return f"ERROR: {result.error or 'could not be read'}"


def _list(merged: Merged, section: Section, items: Iterable[Json]) -> Json | None:
    result = merged.sections.get(section)
    if result is None or result.state is SectionState.FAILED:
        return None
    return list(items)
