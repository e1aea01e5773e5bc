"""What a driver collected, and what is made of it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from mts_common.messages import (
    FailureKind,
    NameValue,
    Outcome,
    RegisterCategory,
    RegisterReading,
    Section,
    SectionResult,
    SectionState,
    SurveyReading,
)
from mts_dialler.drivers.base import ReportBuilder, Terms
from mts_dialler.errors import BadCredentials, DiallerError, LineDropped
from mts_dialler.verdict import judge

AT = datetime(2026, 3, 2, tzinfo=UTC)
WANTED = frozenset({Section.SERIAL_NUMBER, Section.REGISTERS, Section.SURVEY})
DROPPED = LineDropped("the far end closed the connection")


def report_of(*read: Section, serial_number: str | None = "E123") -> ReportBuilder:
    report = ReportBuilder()
    report.serial_number = serial_number
    for section in read:
        report.read(section)
    return report


def test_everything_read_is_a_success() -> None:
    verdict = judge(WANTED, report_of(*WANTED), "", None)
    assert (verdict.outcome, verdict.failure, verdict.detail) == (Outcome.SUCCESS, None, "")
    assert set(verdict.sections.values()) == {SectionResult(state=SectionState.READ)}


def test_everything_read_is_a_success_though_the_line_dropped_afterwards() -> None:
    assert judge(WANTED, report_of(*WANTED), "", DROPPED).outcome is Outcome.SUCCESS


def test_nothing_read_is_an_error_that_says_why() -> None:
    verdict = judge(WANTED, report_of(serial_number=None), "", DROPPED)
    assert (verdict.outcome, verdict.failure, verdict.detail) == (Outcome.ERROR, FailureKind.DROPPED, str(DROPPED))
    assert {result.state for result in verdict.sections.values()} == {SectionState.FAILED}
    assert {result.error for result in verdict.sections.values()} == {str(DROPPED)}


def test_what_was_read_before_the_line_dropped_is_partial() -> None:
    report = report_of(Section.SERIAL_NUMBER)
    report.add_survey("kWh Import", "kWh", [SurveyReading(AT, Decimal("1.5"))])
    verdict = judge(WANTED, report, "", DROPPED)
    assert (verdict.outcome, verdict.failure) == (Outcome.PARTIAL, FailureKind.DROPPED)
    assert {section: result.state for section, result in verdict.sections.items()} == {
        Section.SERIAL_NUMBER: SectionState.READ,
        Section.REGISTERS: SectionState.FAILED,
        Section.SURVEY: SectionState.PARTIAL,
    }


def test_a_survey_channel_without_readings_is_nothing_read() -> None:
    report = report_of(serial_number=None)
    report.add_survey("kWh Import", "kWh")
    assert judge(WANTED, report, "", DROPPED).outcome is Outcome.ERROR


def test_a_section_that_the_driver_failed_makes_the_rest_partial() -> None:
    report = report_of(Section.SERIAL_NUMBER, Section.SURVEY)
    report.failed(Section.REGISTERS, "the meter refused 1.8.0", FailureKind.GARBLED)
    verdict = judge(WANTED, report, "", None)
    assert (verdict.outcome, verdict.failure) == (Outcome.PARTIAL, FailureKind.GARBLED)
    assert verdict.detail == "the meter refused 1.8.0"


def test_the_first_section_that_failed_gives_the_kind() -> None:
    report = report_of(Section.SERIAL_NUMBER)
    report.partial(Section.REGISTERS, "one of two")
    report.failed(Section.SURVEY, "bad blocks", FailureKind.GARBLED)
    assert judge(WANTED, report, "", None).failure is FailureKind.METER_REFUSED


def test_a_driver_that_forgets_a_section_is_at_fault() -> None:
    verdict = judge(WANTED, report_of(Section.SERIAL_NUMBER, Section.SURVEY), "", None)
    assert (verdict.outcome, verdict.failure) == (Outcome.PARTIAL, FailureKind.INTERNAL)


@pytest.mark.parametrize("asked", ["E123", " e123 ", "E123 ", ""])
def test_the_meter_asked_for_is_recognised(asked: str) -> None:
    assert judge(WANTED, report_of(*WANTED), asked, None).outcome is Outcome.SUCCESS


def test_another_meter_than_the_one_asked_for_is_partial_and_named() -> None:
    verdict = judge(WANTED, report_of(*WANTED), "E124", None)
    assert (verdict.outcome, verdict.failure) == (Outcome.PARTIAL, FailureKind.WRONG_METER)
    serial_number = verdict.sections[Section.SERIAL_NUMBER]
    assert serial_number.state is SectionState.FAILED
    assert serial_number.error is not None
    assert "E123" in serial_number.error
    assert "E124" in serial_number.error
    assert verdict.detail == serial_number.error


def test_a_part_of_the_serial_number_is_another_meter() -> None:
    assert judge(WANTED, report_of(*WANTED), "123", None).failure is FailureKind.WRONG_METER


@pytest.mark.parametrize("error", [DROPPED, BadCredentials("the meter refused the password")])
def test_a_broken_call_to_the_wrong_meter_is_told_as_broken(error: DiallerError) -> None:
    assert judge(WANTED, report_of(Section.SERIAL_NUMBER), "E124", error).failure is error.failure


def test_a_test_that_was_never_prepared_is_an_error() -> None:
    verdict = judge(frozenset(), ReportBuilder(), "", DROPPED)
    assert (verdict.outcome, verdict.failure, verdict.sections) == (Outcome.ERROR, FailureKind.DROPPED, {})


def test_survey_channels_keep_their_order_and_their_readings() -> None:
    report = ReportBuilder()
    first, second = SurveyReading(AT, Decimal("1.50")), SurveyReading(AT, Decimal(2), ("clock adjusted",))
    report.add_survey("kWh Import", "kWh", [first])
    report.add_survey("kWh Export", "kWh")
    report.add_survey("kWh Import", "kWh", [second])
    survey = report.data().survey
    assert [(channel.name, channel.readings) for channel in survey] == [
        ("kWh Import", (first, second)),
        ("kWh Export", ()),
    ]
    assert str(survey[0].readings[0].value) == "1.50"


def test_control_characters_from_a_meter_are_not_passed_on() -> None:
    report = ReportBuilder()
    report.serial_number = "E1\x00\ud800"
    report.status_events.append("power\nfail")
    report.properties.append(NameValue(name="a\x1b", value="\x07"))
    report.registers.append(
        RegisterReading(category=RegisterCategory.ENERGY, name="x\x00", text="\x01", units="k\x02", read_at=AT)
    )
    report.profile_configuration.append("kWh\x00")
    report.add_survey("kWh\x00", "\x00")
    text = report.data().model_dump_json()
    assert "\\u00" not in text
    assert text.count("\ufffd") == 11


def test_terms_do_not_show_their_password() -> None:
    assert "SECRET" not in repr(Terms(test_id=1, meter_type="ELSTERA1700", password="SECRET"))
