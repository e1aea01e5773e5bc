"""What an engineer sees: a fixed report and trace against golden text, and the survey's arithmetic."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from mts_client import calls
from mts_client.models import MeterTestStatus, RegisterValue, SurveyReading, WireTrace
from mts_client.rendering import survey
from mts_client.rendering.layout import column_lines, number_text, values_in_line, visible
from mts_client.rendering.report import report
from mts_client.rendering.survey import Range
from mts_client.rendering.trace import trace

GOLDEN = Path(__file__).parent / "golden"
HALF_HOUR = timedelta(minutes=30)
MIDNIGHT = datetime(2026, 11, 19, tzinfo=UTC)


def printed(text: Text) -> str:
    output = io.StringIO()
    Console(file=output, width=40).print(text, soft_wrap=True, end="")
    return output.getvalue()


def readings(*values: str | None) -> list[SurveyReading]:
    """Half-hours from midnight; None = not recorded."""
    return [
        SurveyReading(timestamp=MIDNIGHT + place * HALF_HOUR, value=Decimal(value))
        for place, value in enumerate(values)
        if value is not None
    ]


def golden_status() -> MeterTestStatus:
    return calls.test_status(1234).parse((GOLDEN / "status.json").read_bytes())


def test_the_report_is_as_agreed() -> None:
    assert printed(report(golden_status())) == (GOLDEN / "report.txt").read_text(encoding="utf-8")


def test_the_trace_is_as_agreed() -> None:
    wire_trace = calls.test_trace(1234).parse((GOLDEN / "trace.json").read_bytes())
    assert printed(trace(wire_trace)) == (GOLDEN / "trace.txt").read_text(encoding="utf-8")


def test_a_pending_test_is_its_request_alone() -> None:
    status = MeterTestStatus(test_id=7, meter_type="EDMIATLAS", remote_address="h:1", result_summary="PENDING")
    assert printed(report(status)) == "Test 7  PENDING\n  Meter type      EDMIATLAS\n  Remote address  h:1\n"


def test_flat_registers_show_their_times() -> None:
    register = RegisterValue(name="kWh Import", timestamp=MIDNIGHT, value=Decimal("758"), units="kWh")
    status = golden_status().model_copy(update={"registers": None, "register_values": (register,), "survey_data": None})
    assert "\nRegisters\n  kWh Import  758  kWh  2026-11-19 00:00:00\n" in printed(report(status))


def test_the_report_holds_no_password() -> None:
    assert "AAAA0000" not in printed(report(golden_status()))


def test_numbers_stand_in_line_on_their_points_and_texts_on_the_left() -> None:
    values: list[Decimal | str] = [Decimal("879"), Decimal("-1990.500"), "B40", Decimal("0.0000001")]
    assert values_in_line(values) == [
        "  879        ",
        "-1990.500    ",
        "B40          ",
        "    0.0000001",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E+3", "1000"),
        ("1E-7", "0.0000001"),
        ("0.10", "0.10"),
        ("-0", "-0"),
        ("1E+999999", "1E+999999"),
        ("123456789012345678901234567890.5", "123456789012345678901234567890.5"),
    ],
)
def test_a_number_shows_all_its_digits(value: str, text: str) -> None:
    assert number_text(Decimal(value)) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain äöü 電", "plain äöü 電"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\r\x00", "a\\nb\\r\\x00"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
    ],
)
def test_control_characters_are_spelt_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_columns_count_cells_of_the_screen() -> None:
    assert column_lines([("電", "1"), ("abc", "2")]) == ["電   1", "abc  2"]
    assert column_lines([]) == []


def test_gaps_are_found_inside_and_at_both_ends_of_what_was_asked_for() -> None:
    found = survey.gaps(readings(None, "1", "1", None, None, "1"), HALF_HOUR, Range(MIDNIGHT, MIDNIGHT + 8 * HALF_HOUR))
    assert [((gap.start - MIDNIGHT) / HALF_HOUR, (gap.end - MIDNIGHT) / HALF_HOUR) for gap in found] == [
        (0, 1),
        (3, 5),
        (6, 8),
    ]


def test_what_was_read_beyond_the_range_is_no_gap() -> None:
    asked = Range(MIDNIGHT + HALF_HOUR, MIDNIGHT + 2 * HALF_HOUR)
    assert survey.gaps(readings("1", "1", "1", "1"), HALF_HOUR, asked) == []


def asked_of(**changed: object) -> Range | None:
    return survey.asked_range(golden_status().model_copy(update=changed), HALF_HOUR)


def test_the_range_asked_for_ends_when_the_meter_was_read() -> None:
    assert asked_of() == Range(MIDNIGHT, MIDNIGHT + timedelta(days=1))
    assert asked_of(survey_date=date(2026, 11, 20)) == Range(
        MIDNIGHT + timedelta(days=1), datetime(2026, 11, 20, 9, 30, 30, tzinfo=UTC)
    )
    assert asked_of(survey_date=None, survey_days=2) == Range(
        MIDNIGHT - timedelta(days=1), MIDNIGHT + timedelta(days=1)
    )
    assert asked_of(survey_date=None, test_request_time=None) is None
    assert asked_of(connection_end_time=None, test_end_time=None) is None


@pytest.mark.parametrize(
    ("periods", "step"), [(1, 1), (48, 1), (72, 1), (73, 2), (480, 8), (4800, 96), (72 * 384 + 1, 385)]
)
def test_a_range_is_drawn_in_at_most_72_marks(periods: int, step: int) -> None:
    covered = Range(MIDNIGHT, MIDNIGHT + periods * HALF_HOUR)
    assert survey.step_of(covered, HALF_HOUR) == step * HALF_HOUR


@pytest.mark.parametrize(
    ("values", "from_zero", "line"),
    [
        (["0", "1", "2", "3", "4", "5", "6", "7", "8"], True, "▁▂▃▄▅▆▇██"),
        (["8", None, "8"], True, "█·█"),
        (["8", "8"], False, "▁▁"),
        (["0", "0"], True, "▁▁"),
        (["-4", "4"], True, "▁█"),
        (["1000", "1001"], False, "▁█"),
    ],
)
def test_a_sparkline_is_as_high_as_its_readings(values: list[str | None], from_zero: bool, line: str) -> None:
    covered = Range(MIDNIGHT, MIDNIGHT + len(values) * HALF_HOUR)
    assert survey.sparkline(readings(*values), covered, HALF_HOUR, from_zero=from_zero) == line


def test_a_mark_of_several_periods_is_their_mean() -> None:
    covered = Range(MIDNIGHT, MIDNIGHT + 4 * HALF_HOUR)
    assert survey.sparkline(readings("0", "8", None, "8"), covered, 2 * HALF_HOUR, from_zero=True) == "▅█"


def test_a_total_is_exact() -> None:
    channel = {
        "name": "kWh Import",
        "units": "kWh",
        "readings": readings("1234567890123456789012345678.001", "0.0000000000000000000000000001"),
    }
    status = MeterTestStatus.model_validate(
        {"testId": 1, "meterType": "X", "remoteAddress": "1", "result": "SUCCESS", "surveyData": [channel]}
    )
    assert "total  1234567890123456789012345678.0010000000000000000000000001  kWh" in printed(report(status))


def test_many_gaps_are_counted_and_the_first_shown() -> None:
    values = ["1", None] * 8 + ["1"]
    channel = {"name": "kWh Import", "units": "kWh", "readings": readings("1", "1", *values)}
    status = golden_status().model_copy(update={"survey_days": 0, "survey_date": date(2026, 11, 19)})
    shown = printed(
        report(MeterTestStatus.model_validate({**status.model_dump(by_alias=True), "surveyData": [channel]}))
    )
    assert "missing: 8 periods in 8 gaps\n" in shown
    assert shown.count(":00:00 to 2026-11-19 ") + shown.count(":30:00 to 2026-11-19 ") == 5 + 1
    assert "and 3 gaps more\n" in shown


def survey_of(*channels: object) -> str:
    status = {"testId": 1, "meterType": "X", "remoteAddress": "1", "result": "SUCCESS", "surveyData": channels}
    return printed(report(MeterTestStatus.model_validate(status))).partition("\nSurvey")[2]


def test_a_survey_without_channels_says_so() -> None:
    assert survey_of() == "\n  no channels\n"


def test_values_that_do_not_add_up_have_no_total() -> None:
    shown = survey_of({"name": "Voltage L1", "units": "V", "readings": readings("239.7", "240")})
    assert shown.splitlines()[2:] == [
        "    ██",
        "    min  239.7  V  2026-11-19 00:00:00",
        "    max  240    V  2026-11-19 00:30:00",
    ]


def test_a_trace_that_is_not_hex_is_shown_as_it_is() -> None:
    frame = {"time": MIDNIGHT, "direction": "rx", "hex": "zz41"}
    attempt = {"attempt": 1, "frames": [frame]}
    shown = printed(trace(WireTrace.model_validate({"testId": 1, "attempts": [attempt]})))
    assert shown.splitlines()[-1].split() == ["00:00:00.000", "rx", "zz", "41", ".A"]


def test_a_note_about_the_trace_itself_has_no_time() -> None:
    frame = {"time": "", "direction": "--", "hex": "", "note": "the rest of the trace cannot be shown"}
    attempt = {"attempt": 1, "frames": [frame]}
    shown = printed(trace(WireTrace.model_validate({"testId": 1, "attempts": [attempt]})))
    assert shown.splitlines()[-1] == " " * 14 + "--  the rest of the trace cannot be shown"
