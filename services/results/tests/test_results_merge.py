"""What several attempts of a test come to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from mts_common.messages import (
    AttemptTimes,
    MeterClock,
    MeterData,
    RegisterReading,
    Section,
    SectionResult,
    SectionState,
    SurveyChannel,
    SurveyReading,
)
from mts_results.history import Attempt, Line, Report
from mts_results.merge import Times, merge_reports, merge_times

START = datetime(2026, 3, 1, tzinfo=UTC)
FAILED, PARTIAL, READ = SectionState


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def report(states: dict[Section, SectionState], error: str | None = None, **data: Any) -> Report:
    return Report(
        times=AttemptTimes(started_at=START, ended_at=START),
        sections={section: SectionResult(state=state, error=error) for section, state in states.items()},
        data=MeterData(**data),
    )


def timed(number: int, start: int, end: int, up: int | None = None, down: int | None = None) -> Attempt:
    times = AttemptTimes(
        started_at=at(start),
        ended_at=at(end),
        connection_started_at=None if up is None else at(up),
        connection_ended_at=None if down is None else at(down),
    )
    return Attempt(number, Report(times))


@pytest.mark.parametrize(
    ("earlier", "later", "stands"),
    [
        (FAILED, FAILED, "later"),
        (FAILED, PARTIAL, "later"),
        (FAILED, READ, "later"),
        (PARTIAL, FAILED, "earlier"),
        (PARTIAL, PARTIAL, "later"),
        (PARTIAL, READ, "later"),
        (READ, FAILED, "earlier"),
        (READ, PARTIAL, "earlier"),
        (READ, READ, "later"),
    ],
)
def test_the_better_state_of_a_section_stands_then_the_later_attempt(
    earlier: SectionState, later: SectionState, stands: str
) -> None:
    clocks = {
        name: MeterClock(meter_time=START, offset_seconds=place) for place, name in enumerate(("earlier", "later"))
    }
    merged = merge_reports(
        [
            report({Section.CLOCK: earlier}, error="earlier", clock=clocks["earlier"]),
            report({Section.CLOCK: later}, error="later", clock=clocks["later"]),
        ]
    )
    assert merged.data.clock == clocks[stands]
    assert merged.sections == {
        Section.CLOCK: SectionResult(state={"earlier": earlier, "later": later}[stands], error=stands)
    }


def test_each_section_is_merged_by_itself() -> None:
    merged = merge_reports(
        [
            report({Section.SERIAL_NUMBER: READ, Section.STATUS_EVENTS: FAILED}, serial_number="1"),
            report({Section.SERIAL_NUMBER: FAILED, Section.STATUS_EVENTS: READ}, status_events=("cover open",)),
        ]
    )
    assert merged.data == MeterData(serial_number="1", status_events=("cover open",))


def test_a_section_that_was_not_wanted_is_not_there() -> None:
    assert Section.SURVEY not in merge_reports([report({Section.CLOCK: READ})]).sections


def test_nothing_is_there_without_reports() -> None:
    merged = merge_reports([])
    assert (merged.sections, merged.data) == ({}, MeterData())


def test_two_partly_read_surveys_are_joined_in_order_of_time_and_the_later_reading_stands() -> None:
    def channel(name: str, *readings: tuple[int, str]) -> SurveyChannel:
        return SurveyChannel(
            name=name,
            units="kWh",
            readings=tuple(SurveyReading(at(1800 * period), Decimal(value)) for period, value in readings),
        )

    earlier = report(
        {Section.SURVEY: PARTIAL}, survey=(channel("kWh Import", (0, "1"), (3, "4")), channel("kWh Export", (0, "9")))
    )
    later = report({Section.SURVEY: PARTIAL}, survey=(channel("kWh Import", (3, "4.0"), (1, "2")),))
    assert merge_reports([earlier, later]).data.survey == (
        channel("kWh Import", (0, "1"), (1, "2"), (3, "4.0")),
        channel("kWh Export", (0, "9")),
    )


def test_registers_of_two_partly_read_lists_are_joined() -> None:
    def register(name: str, value: str) -> RegisterReading:
        return RegisterReading.model_validate(
            {"category": "Energy", "name": name, "number": Decimal(value), "read_at": START}
        )

    earlier = report({Section.REGISTERS: PARTIAL}, registers=(register("A", "1"), register("B", "2")))
    later = report({Section.REGISTERS: PARTIAL}, registers=(register("A", "1.5"),))
    assert merge_reports([earlier, later]).data.registers == (register("A", "1.5"), register("B", "2"))


def test_data_of_another_meter_are_not_mixed_with_those_of_the_right_one() -> None:
    right = report({Section.SERIAL_NUMBER: READ, Section.REGISTERS: FAILED}, serial_number="right")
    wrong = report(
        {Section.SERIAL_NUMBER: FAILED, Section.STATUS_EVENTS: READ},
        serial_number="wrong",
        status_events=("theirs",),
    )
    assert merge_reports([right, wrong]).data == MeterData(serial_number="right")


def test_data_of_another_meter_stand_if_no_other_attempt_read_anything() -> None:
    nothing = report({Section.SERIAL_NUMBER: FAILED, Section.STATUS_EVENTS: FAILED}, error="the line dropped")
    wrong = report(
        {Section.SERIAL_NUMBER: FAILED, Section.STATUS_EVENTS: READ},
        error="another meter",
        serial_number="wrong",
        status_events=("theirs",),
    )
    merged = merge_reports([nothing, wrong])
    assert merged.data.status_events == ("theirs",)
    assert merged.sections[Section.SERIAL_NUMBER].error == "another meter"


def test_a_test_runs_from_its_first_attempts_start_to_its_last_ones_end() -> None:
    assert merge_times([timed(1, 0, 10, 1, 9), timed(3, 100, 120, 101, 119)]) == Times(at(0), at(120), at(101), at(119))


def test_nothing_is_known_without_attempts() -> None:
    assert merge_times([]) == Times()


def test_the_connection_is_the_last_attempts_that_had_one() -> None:
    assert merge_times([timed(1, 0, 10, 1, 9), timed(2, 100, 120)]) == Times(at(0), at(120), at(1), at(9))


def test_a_last_connection_that_has_not_ended_shows_no_earlier_end() -> None:
    times = merge_times([timed(1, 0, 10, 1, 9), timed(2, 100, 120, 101)])
    assert (times.connection_started_at, times.connection_ended_at) == (at(101), None)


def test_the_end_of_the_call_tells_the_connection_and_the_test_ends_no_earlier() -> None:
    attempt = timed(1, 5, 60, 7)
    shared = Attempt(1, attempt.report, Line(at(1), at(90)))
    assert merge_times([shared]) == Times(at(5), at(90), at(1), at(90))


def test_the_end_of_a_call_alone_tells_only_the_connection() -> None:
    assert merge_times([Attempt(1, None, Line(at(1), at(90)))]) == Times(None, None, at(1), at(90))
