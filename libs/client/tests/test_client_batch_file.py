"""The batch CSV: what is read from it, and every fault by line and column."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_client.batch_file import BadBatchFile, Row, read_batch, server_faults, split
from mts_client.calls import test_body as body_of
from mts_client.models import MeterTest

HEADER = "MPAN,METER_TYPE,REMOTE_ADDRESS,COM_SETTINGS,OUTSTATION,PASSWORD,SURVEY_DAYS,SURVEY_DATE,SERIAL_NUMBER"
LINE = "1200012345678,ELSTERA1700,07777000000,7E1,1,AAAA0000,10,2019-12-01,12345678"
BARE = ",ELSTERA1700,07777000000,,,,,,"


def file_of(*lines: str) -> bytes:
    return "\n".join(lines).encode() + b"\n"


def faults_of(content: bytes) -> list[str]:
    with pytest.raises(BadBatchFile) as caught:
        read_batch(content)
    return [str(fault) for fault in caught.value.faults]


def test_each_column_is_a_parameter_of_the_request() -> None:
    (row,) = read_batch(file_of(HEADER, LINE), immediate=True)
    assert row.line == 2
    assert row.test.body() == {
        "requestReference": "1200012345678",
        "immediate": True,
        "meterType": "ELSTERA1700",
        "remoteAddress": "07777000000",
        "comsSettings": "7E1",
        "outstationAddress": "1",
        "password": "AAAA0000",
        "surveyDays": 10,
        "surveyDate": "2019-12-01",
        "serialNumber": "12345678",
    }


def test_blank_cells_leave_their_parameters_out() -> None:
    (row,) = read_batch(file_of(HEADER, BARE))
    assert row.test.body() == {"meterType": "ELSTERA1700", "remoteAddress": "07777000000"}
    assert (row.test.survey_days, row.test.survey_date, row.test.immediate) == (0, None, False)


def test_columns_come_in_any_order_and_case_with_others_between() -> None:
    header = (
        "notes, serial_number,Survey_Date,SURVEY_DAYS,PASSWORD,OUTSTATION,COM_SETTINGS,remote_address,METER_TYPE,MPAN"
    )
    (row,) = read_batch(file_of(header, 'x, 12345678 ,2019-12-01,10,"USER,SECRET",1,7E1, 0777 , ELSTERA1700,12'))
    assert row.test.body() == {
        "requestReference": "12",
        "meterType": "ELSTERA1700",
        "remoteAddress": "0777",
        "comsSettings": "7E1",
        "outstationAddress": "1",
        "password": "USER,SECRET",
        "surveyDays": 10,
        "surveyDate": "2019-12-01",
        "serialNumber": "12345678",
    }


def test_a_byte_order_mark_crlf_and_blank_lines_do_not_matter() -> None:
    content = b"\xef\xbb\xbf" + f"{HEADER}\r\n\r\n{LINE}\r\n,,,,,,,,\r\n{BARE}".encode()
    assert [(row.line, row.test.survey_days) for row in read_batch(content)] == [(3, 10), (5, 0)]


def test_a_quoted_password_keeps_its_blanks() -> None:
    (row,) = read_batch(file_of(HEADER, ',ELSTERA1700,0777,,," AA 00 ",,,'))
    assert row.test.body()["password"] == " AA 00 "


def test_a_line_is_counted_as_an_editor_counts_it() -> None:
    assert [row.line for row in read_batch(file_of(HEADER, '"a\nb"' + BARE, BARE))] == [2, 4]


def test_all_faults_are_told_at_once_by_line_and_column() -> None:
    content = file_of(
        HEADER,
        LINE,
        ",,0777,,,,1.5,01/12/2019,",
        "too,short",
        ",ELSTERA1700,,,,,-1,2019-02-30,",
        f"{LINE},extra",
        ",ELSTERA1700,0777,,,,٣,20191201,",
    )
    assert faults_of(content) == [
        "line 3, METER_TYPE: must not be blank",
        "line 3, SURVEY_DAYS: '1.5' is not a whole number of days",
        "line 3, SURVEY_DATE: '01/12/2019' is not in the form yyyy-MM-dd",
        "line 4: 2 cells where the header has 9",
        "line 5, REMOTE_ADDRESS: must not be blank",
        "line 5, SURVEY_DAYS: '-1' is not a whole number of days",
        "line 5, SURVEY_DATE: '2019-02-30' is not a date of the calendar",
        "line 6: 10 cells where the header has 9",
        "line 7, SURVEY_DAYS: '٣' is not a whole number of days",
        "line 7, SURVEY_DATE: '20191201' is not in the form yyyy-MM-dd",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ["the file is empty; a header line is needed"]),
        (b"\xef\xbb\xbf\r\n", ["the file is empty; a header line is needed"]),
        (file_of(HEADER), ["the file holds no tests"]),
        (
            file_of(HEADER.replace("PASSWORD", "PASWORD").replace("OUTSTATION,", ""), LINE),
            [
                "line 1, OUTSTATION: the column is missing from the header",
                "line 1, PASSWORD: the column is missing from the header",
            ],
        ),
        (file_of(f"{HEADER},mpan", LINE), ["line 1, MPAN: the column stands more than once"]),
        (file_of(HEADER, LINE) + b"caf\xe9", ["line 3: the file is not UTF-8; save it as CSV UTF-8"]),
        (file_of(HEADER, LINE, '"open'), ["line 3: this is not CSV: unexpected end of data"]),
        (file_of(HEADER, '"a"b' + BARE), ["line 2: this is not CSV: ',' expected after '\"'"]),
    ],
)
def test_a_file_that_is_no_batch_says_why(content: bytes, expected: list[str]) -> None:
    assert faults_of(content) == expected


def test_the_faults_do_not_show_passwords() -> None:
    with pytest.raises(BadBatchFile) as caught:
        read_batch(file_of(HEADER, ",,0777,,,AAAA0000,x,,"))
    assert "AAAA0000" not in str(caught.value)


def rows_of(count: int) -> list[Row]:
    return [Row(line, MeterTest(meter_type="X", remote_address=str(line))) for line in range(2, count + 2)]


def test_a_large_file_is_split_by_the_number_of_tests() -> None:
    assert [len(part) for part in split(rows_of(7), 3, 10_000)] == [3, 3, 1]
    assert [len(part) for part in split(rows_of(6), 3, 10_000)] == [3, 3]


@given(st.integers(1, 30), st.integers(1, 10), st.integers(10, 400))
def test_parts_keep_the_order_and_the_limits(count: int, max_tests: int, max_bytes: int) -> None:
    rows = rows_of(count)
    parts = list(split(rows, max_tests, max_bytes))
    assert [row for part in parts for row in part] == rows
    for part in parts:
        size = len(b"[" + b",".join(body_of(row.test) for row in part) + b"]")
        assert len(part) <= max_tests
        assert size <= max_bytes or len(part) == 1


def test_the_servers_faults_are_told_by_line_and_column() -> None:
    part = read_batch(file_of(HEADER, LINE, "", LINE, LINE))[1:]
    details = [
        "[1].comsSettings is not of the form DPS",
        "[0].remoteAddress is not in a recognised format",
        "[0]: a password is needed",
        "[1].immediate must be a boolean",
        "[9].meterType is not known",
        "the body is too large",
    ]
    assert [str(fault) for fault in server_faults(details, part)] == [
        "[9].meterType is not known",
        "the body is too large",
        "line 4, REMOTE_ADDRESS: is not in a recognised format",
        "line 4: a password is needed",
        "line 5, COM_SETTINGS: is not of the form DPS",
        "line 5, immediate: must be a boolean",
    ]
