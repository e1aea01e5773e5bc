"""The texts and JSON values of the published views."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from mts_common.messages import (
    FailureKind,
    MeterClock,
    MeterData,
    NameValue,
    Outcome,
    RegisterCategory,
    RegisterReading,
    Section,
    SectionResult,
    SectionState,
    SurveyChannel,
    SurveyReading,
    TestFinished,
)
from mts_results.merge import Merged
from mts_results.render import NO_TIME, Rendered, channel, meter_time, number, register, render, summary

NOON = datetime(2026, 3, 1, 12, 0, 0, 900_000, tzinfo=UTC)
FAILED, PARTIAL, READ = SectionState


@pytest.mark.parametrize(
    ("outcome", "failure", "detail", "shown"),
    [
        (Outcome.SUCCESS, None, "", "SUCCESS"),
        (Outcome.PARTIAL, FailureKind.DROPPED, "the line dropped", "PARTIAL SUCCESS"),
        (Outcome.ERROR, FailureKind.BUSY, "the number is busy", "ERROR: the number is busy"),
        (Outcome.ERROR, FailureKind.NO_ANSWER, "", "ERROR: no answer"),
        (Outcome.ERROR, None, "", "ERROR: the test failed"),
    ],
)
def test_an_outcome_is_shown_in_the_documents_words(
    outcome: Outcome, failure: FailureKind | None, detail: str, shown: str
) -> None:
    finished = TestFinished(test_id=1, outcome=outcome, failure=failure, detail=detail, finished_at=NOON)
    assert summary(finished) == shown


@pytest.mark.parametrize(
    ("offset", "shown"),
    [(-203, "2014-10-31T23:33:32 -203s"), (10, "2014-10-31T23:33:32 +10s"), (0, "2014-10-31T23:33:32 +0s")],
)
def test_a_meters_time_shows_its_offset_with_the_sign(offset: int, shown: str) -> None:
    assert meter_time(datetime(2014, 10, 31, 23, 33, 32, tzinfo=UTC), offset) == shown


@pytest.mark.parametrize(
    ("state", "error", "value", "shown"),
    [
        (READ, None, "K123", "K123"),
        (PARTIAL, None, "K123", "K123"),
        (FAILED, "asked for 1, the meter is 2", "2", "ERROR: asked for 1, the meter is 2"),
        (PARTIAL, "asked for 1, the meter is 2", "2", "ERROR: asked for 1, the meter is 2"),
        (FAILED, "the line dropped", None, "ERROR: the line dropped"),
        (FAILED, None, None, "ERROR: could not be read"),
    ],
)
def test_a_serial_number_is_shown_or_why_it_is_not(
    state: SectionState, error: str | None, value: str | None, shown: str
) -> None:
    merged = Merged({Section.SERIAL_NUMBER: SectionResult(state=state, error=error)}, MeterData(serial_number=value))
    assert render(merged) == Rendered(serial_number=shown, meter_time=NO_TIME)


def test_a_clock_that_was_not_read_says_why() -> None:
    merged = Merged({Section.CLOCK: SectionResult(state=FAILED, error="no reply")}, MeterData())
    assert render(merged).meter_time == "ERROR: no reply"


def test_all_that_was_read_is_shown() -> None:
    data = MeterData(
        serial_number="K123",
        clock=MeterClock(meter_time=NOON, offset_seconds=-1),
        status_events=("cover open",),
        properties=(NameValue(name="CT ratio", value="600:5"),),
        registers=(RegisterReading(category=RegisterCategory.ENERGY, name="A", number=Decimal("1.50"), read_at=NOON),),
        profile_configuration=("kWh Import",),
        survey=(SurveyChannel(name="kWh Import", units="kWh", readings=()),),
    )
    sections = {section: SectionResult(state=READ) for section in Section}
    assert render(Merged(sections, data)) == Rendered(
        serial_number="K123",
        meter_time="2026-03-01T12:00:00 -1s",
        status_events=["cover open"],
        meter_properties=[{"name": "CT ratio", "value": "600:5"}],
        profile_configuration=["kWh Import"],
        registers=[
            {
                "category": "Energy",
                "name": "A",
                "timestamp": "2026-03-01T12:00:00Z",
                "value": Decimal("1.50"),
                "units": "",
            }
        ],
        survey=[{"name": "kWh Import", "units": "kWh", "readings": []}],
    )


def test_a_list_that_failed_is_not_shown_as_empty() -> None:
    merged = Merged({Section.STATUS_EVENTS: SectionResult(state=FAILED)}, MeterData())
    assert render(merged).status_events is None


def test_a_list_that_was_read_and_is_empty_is_shown_empty() -> None:
    merged = Merged({Section.STATUS_EVENTS: SectionResult(state=READ)}, MeterData())
    assert render(merged).status_events == []


def test_a_register_that_is_no_number_is_shown_as_text() -> None:
    reading = RegisterReading(category=RegisterCategory.MISCELLANEOUS, name="Firmware", text="B40", read_at=NOON)
    shown = register(reading)
    assert isinstance(shown, dict)
    assert shown["value"] == "B40"


def test_only_a_flagged_reading_has_a_status() -> None:
    survey = SurveyChannel(
        name="kWh Import",
        units="kWh",
        readings=(SurveyReading(NOON, Decimal("0.10")), SurveyReading(NOON, Decimal(2), ("power failed",))),
    )
    assert channel(survey) == {
        "name": "kWh Import",
        "units": "kWh",
        "readings": [
            {"timestamp": "2026-03-01T12:00:00Z", "value": Decimal("0.10")},
            {"timestamp": "2026-03-01T12:00:00Z", "value": Decimal(2), "status": ["power failed"]},
        ],
    }


@pytest.mark.parametrize("text", ["0", "0.00000", "-1990.000", "1E+300", "1E-300", "123456789.123456789123456789"])
def test_a_number_a_reader_of_json_can_hold_stays_one(text: str) -> None:
    shown = number(Decimal(text))
    assert isinstance(shown, Decimal)
    assert str(shown) == str(Decimal(text))


@pytest.mark.parametrize("text", ["1E+301", "1E-301", "0E-99999", "9E+999999"])
def test_a_number_beyond_that_is_shown_as_its_text(text: str) -> None:
    assert number(Decimal(text)) == text
