"""The batch CSV of MTS (fact sheet mts-domain.md, A3) as tests, with every fault named by line and column.

A header line names the columns in any order and case; further columns are ignored. Blanks round an unquoted cell do not
count. A blank cell leaves its parameter out; METER_TYPE and REMOTE_ADDRESS must not be blank. MPAN is the
requestReference.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any

from mts_client.calls import test_body as body_of
from mts_client.errors import MtsError
from mts_client.models import MeterTest

COLUMNS = MappingProxyType(
    {
        "MPAN": "requestReference",
        "METER_TYPE": "meterType",
        "REMOTE_ADDRESS": "remoteAddress",
        "COM_SETTINGS": "comsSettings",
        "OUTSTATION": "outstationAddress",
        "PASSWORD": "password",
        "SURVEY_DAYS": "surveyDays",
        "SURVEY_DATE": "surveyDate",
        "SERIAL_NUMBER": "serialNumber",
    }
)
_COLUMN_OF = {parameter: column for column, parameter in COLUMNS.items()}
_MANDATORY = ("METER_TYPE", "REMOTE_ADDRESS")
_SERVER_FAULT = re.compile(r"\[(?P<index>[0-9]{1,9})\](?:\.(?P<parameter>[A-Za-z]+))?:?\s*(?P<text>.*)", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where: `line` counts from 1, the header's (0 = the file as a whole); `column` "" = all."""

    line: int
    column: str
    text: str

    def __str__(self) -> str:
        place = ", ".join(part for part in (f"line {self.line}" if self.line else "", self.column) if part)
        return f"{place}: {self.text}" if place else self.text


class BadBatchFile(MtsError):
    """The file cannot be sent as it is; `faults` in the order of the lines."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = tuple(faults)


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A test and the line of the file it stands on."""

    line: int
    test: MeterTest


def read_batch(content: bytes, *, immediate: bool = False) -> tuple[Row, ...]:
    """The tests of a file (UTF-8, with or without a byte order mark); raises `BadBatchFile` with all faults."""
    records = list(csv_records(content))
    if not records:
        raise BadBatchFile([Fault(0, "", "the file is empty; a header line is needed")])
    header_line, header = records[0]
    places = _places(header_line, header)
    faults: list[Fault] = []
    rows = [
        Row(line, test)
        for line, cells in records[1:]
        if (test := _test(line, cells, len(header), places, immediate, faults)) is not None
    ]
    if not rows and not faults:
        faults.append(Fault(0, "", "the file holds no tests"))
    if faults:
        raise BadBatchFile(faults)
    return tuple(rows)


def csv_records(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Each record of a CSV file that is not blank, with the line it begins on. Raises `BadBatchFile`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadBatchFile([Fault(line, "", "the file is not UTF-8; save it as CSV UTF-8")]) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    begin = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield begin, cells
            begin = reader.line_num + 1
    except csv.Error as error:
        raise BadBatchFile([Fault(begin, "", f"this is not CSV: {error}")]) from error


def _places(line: int, header: Sequence[str]) -> Mapping[str, int]:
    names = [name.strip().upper() for name in header]
    faults = [Fault(line, name, "the column is missing from the header") for name in COLUMNS if name not in names]
    faults += [Fault(line, name, "the column stands more than once") for name in COLUMNS if names.count(name) > 1]
    if faults:
        raise BadBatchFile(faults)
    return {name: names.index(name) for name in COLUMNS}


def _test(
    line: int, cells: Sequence[str], width: int, places: Mapping[str, int], immediate: bool, faults: list[Fault]
) -> MeterTest | None:
    """The test of one record, or None after adding to `faults`."""
    if len(cells) != width:
        faults.append(Fault(line, "", f"{len(cells)} cells where the header has {width}"))
        return None
    found: list[Fault] = []
    values: dict[str, Any] = {"immediate": immediate}
    for column, place in places.items():
        # A password is taken as it stands: blanks may belong to it.
        cell = cells[place] if column == "PASSWORD" else cells[place].strip()
        if cell:
            try:
                values[COLUMNS[column]] = _READ.get(column, str)(cell)
            except ValueError as error:
                found.append(Fault(line, column, str(error)))
        elif column in _MANDATORY:
            found.append(Fault(line, column, "must not be blank"))
    faults += found
    return None if found else MeterTest.model_validate(values)


def _days(cell: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", cell):
        raise ValueError(f"{cell!r} is not a whole number of days")
    return int(cell)


def _date(cell: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", cell):
        raise ValueError(f"{cell!r} is not in the form yyyy-MM-dd")
    try:
        return date.fromisoformat(cell)
    except ValueError as error:
        raise ValueError(f"{cell!r} is not a date of the calendar") from error


_READ: Mapping[str, Callable[[str], object]] = {"SURVEY_DAYS": _days, "SURVEY_DATE": _date}


def split(rows: Sequence[Row], max_tests: int, max_bytes: int) -> Iterator[tuple[Row, ...]]:
    """The rows in order, in parts that the server's limits on a batch and on a body let pass.

    A single test over the limit makes a part of its own, which the server refuses by name.
    """
    part: list[Row] = []
    size = len(b"[]")
    for row in rows:
        length = len(body_of(row.test)) + len(b",")
        if part and (len(part) >= max_tests or size + length > max_bytes):
            yield tuple(part)
            part, size = [], len(b"[]")
        part.append(row)
        size += length
    if part:
        yield tuple(part)


def server_faults(details: Sequence[str], part: Sequence[Row]) -> tuple[Fault, ...]:
    """The server's details on a batch (`[3].remoteAddress ...`) by line and column, in the order of the lines."""
    return tuple(sorted((_server_fault(detail, part) for detail in details), key=lambda fault: fault.line))


def _server_fault(detail: str, part: Sequence[Row]) -> Fault:
    match = _SERVER_FAULT.fullmatch(detail)
    if match is None or int(match["index"]) >= len(part):
        return Fault(0, "", detail)
    parameter = match["parameter"] or ""
    return Fault(part[int(match["index"])].line, _COLUMN_OF.get(parameter, parameter), match["text"])
