"""The report of one test as a metering engineer reads it. Passwords are not part of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.text import Text

from mts_client.models import MeterTestStatus, RegisterGroup
from mts_client.rendering.layout import column_lines, outcome_text, paragraph, time_text, values_in_line, visible
from mts_client.rendering.survey import survey_section

_INDENT = "  "


def report(status: MeterTestStatus) -> Text:
    """The whole report; every time in it is UTC."""
    text = Text.assemble((f"Test {status.test_id}", "bold"), "  ", outcome_text(status.result_summary, status.outcome))
    text.append("\n")
    text.append_text(paragraph(column_lines(_header(status)), _INDENT))
    properties = [(item.name, item.value) for item in status.meter_properties or ()]
    _section(text, "Status events", map(visible, status.status_events or ()))
    _section(text, "Meter properties", column_lines(properties))
    _section(text, "Profile configuration", map(visible, status.profile_configuration or ()))
    for category, lines in _registers(status.register_groups):
        _section(text, category, lines)
    if status.survey_data is not None:
        _section(text, *survey_section(status, status.survey_data))
    return text


def _section(text: Text, title: str, lines: Iterable[str]) -> None:
    content = paragraph(lines, _INDENT)
    if content:
        text.append(f"\n{title}\n", style="bold")
        text.append_text(content)


def _header(status: MeterTestStatus) -> list[tuple[str, str]]:
    entries = [
        ("Reference", status.request_reference),
        ("Meter type", status.meter_type),
        ("Remote address", status.remote_address),
        ("Coms settings", status.coms_settings),
        ("Outstation address", status.outstation_address),
        ("Serial number", status.serial_number),
        ("Meter time", status.meter_time),
        ("Survey asked for", _survey_asked(status)),
        ("Requested", time_text(status.test_request_time)),
        ("Test", _span(status.test_start_time, status.test_end_time)),
        ("Connection", _span(status.connection_start_time, status.connection_end_time)),
    ]
    return [(name, value) for name, value in entries if value]


def _survey_asked(status: MeterTestStatus) -> str:
    if not status.survey_days:
        return ""
    days = "1 day" if status.survey_days == 1 else f"{status.survey_days} days"
    return f"{days} from {status.survey_date}" if status.survey_date else days


def _span(start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return time_text(start or end)
    return f"{time_text(start)} to {time_text(end)} ({(end - start).total_seconds():.0f} s)"


def _registers(groups: Sequence[RegisterGroup]) -> Iterable[tuple[str, Sequence[str]]]:
    """Each category and its lines; all share their columns, so that values compare down the page."""
    registers = [register for group in groups for register in group.register_values]
    timed = any(register.timestamp for register in registers)
    values = values_in_line([register.value for register in registers])
    rows = [
        (register.name, value, register.units, *([time_text(register.timestamp)] if timed else []))
        for register, value in zip(registers, values, strict=True)
    ]
    lines = iter(column_lines(rows))
    for group in groups:
        yield visible(group.category) or "Registers", [next(lines) for _ in group.register_values]
