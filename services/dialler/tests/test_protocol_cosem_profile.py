"""Profiles, and scalers and units: captured buffers, and rows as meters bend them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_dialler.protocols.cosem import profile
from mts_dialler.protocols.cosem.date_time import DateTime
from mts_dialler.protocols.cosem.profile import BadRow, CaptureObject, Row
from mts_dialler.protocols.cosem.services import Attribute, Get
from mts_dialler.protocols.cosem.units import ScalerUnit, scaler_unit
from mts_dialler.protocols.cosem.values import Enumerated, Reader, Value, decode
from mts_dialler.protocols.errors import RemoteProtocolError

CAPTURES = Path(__file__).parent / "captures"
CLOCK = CaptureObject(8, bytes.fromhex("0000010000FF"), 2)
STATUS = CaptureObject(1, bytes.fromhex("0000600A01FF"), 2)
IMPORT = CaptureObject(3, bytes.fromhex("0100010800FF"), 2)
EXPORT = CaptureObject(3, bytes.fromhex("0100020800FF"), 2)
HOUR = timedelta(hours=1)


def captured(name: str) -> list[bytes]:
    lines = (CAPTURES / name).read_text().splitlines()
    return [bytes.fromhex(line[2:]) for line in lines if line.startswith("< ")]


def good(found: list[Row | BadRow]) -> list[Row]:
    assert all(isinstance(row, Row) for row in found)
    return [row for row in found if isinstance(row, Row)]


def test_captured_rows_without_times_follow_each_other_by_the_period() -> None:
    [buffer] = captured("dlms_idis_profile_buffer_null.hex")
    found = good(profile.rows(decode(buffer), (CLOCK, STATUS, IMPORT, EXPORT), HOUR, newest_first=False))
    assert [row.stamp.utc() for row in found] == [
        datetime(2019, 12, 31, 22, tzinfo=UTC) + hours * HOUR for hours in range(4)
    ]
    assert {row.cells[1:] for row in found} == {(6, 1517, 1620)}


def test_a_captured_block_of_a_long_buffer_holds_rows_of_a_quarter_hour() -> None:
    first, _ = captured("dlms_idis_get_apdus.hex")
    get = Get([Attribute(7, bytes.fromhex("0100630100FF"), 2)], invoke=1)
    assert get.receive(first) == bytes.fromhex("C002C1 00000001")
    reader = Reader(first[12:])
    assert (reader.octet(), reader.length()) == (0x01, 1440)
    rows = [reader.value() for _ in range(60)]
    found = good(profile.rows(rows, (CLOCK, STATUS, IMPORT, EXPORT), HOUR / 4, newest_first=False))
    assert found[-1].stamp.utc() == datetime(2019, 12, 19, 1, 0, tzinfo=UTC) + 59 * HOUR / 4


def test_the_captured_last_block_ends_the_answer() -> None:
    _, last = captured("dlms_idis_get_apdus.hex")
    with pytest.raises(RemoteProtocolError, match="block 19 after block 0"):
        Get([Attribute(7, bytes.fromhex("0100630100FF"), 2)], invoke=1).receive(last)


def test_captured_rows_that_change_their_width_are_bad_and_dated() -> None:
    """Of a meter that wrote rows of two and three columns into one buffer."""
    columns = (CLOCK, CaptureObject(8, CLOCK.obis, 4))
    two = Reader(bytes.fromhex("0202090C07E7010D051300000000000011070202090C07E7010D05140000000000001107"))
    three = Reader(bytes.fromhex("0203090C07E70904011700000000000000110706010409E7"))
    rows: list[Value] = [two.value(), two.value(), three.value(), (None, 7)]
    found = profile.rows(rows, columns, HOUR, newest_first=False)
    assert [type(row) for row in found] == [Row, Row, BadRow, BadRow]
    assert found[2] == BadRow("a row of 3 values in place of 2", DateTime(datetime(2023, 9, 4, 23), 0))  # noqa: DTZ001
    assert found[3] == BadRow("a row without a time after none that has one")


def test_newest_first_counts_back() -> None:
    stamp = DateTime(datetime(2026, 3, 2, 12), 0)  # noqa: DTZ001
    rows: list[Value] = [(stamp.encode(), 5), (None, 4), (None, None)]
    found = good(profile.rows(rows, (CLOCK, IMPORT), HOUR, newest_first=True))
    assert [(row.stamp.wall.hour, row.cells[1]) for row in found] == [(12, 5), (11, 4), (10, 4)]


@pytest.mark.parametrize(
    "time", [bytes.fromhex("FFFFFFFFFFFFFFFFFF8000FF"), b"short", 5, bytes.fromhex("07E70D05") * 3]
)
def test_a_row_without_a_usable_time_is_bad(time: Value) -> None:
    [row] = profile.rows([(time, 5)], (CLOCK, IMPORT), HOUR, newest_first=False)
    assert row == BadRow("a row whose time is not given")


def test_an_empty_profile_has_no_rows() -> None:
    assert profile.rows(decode(b"\x01\x00"), (CLOCK, IMPORT), HOUR, newest_first=False) == []


@pytest.mark.parametrize("buffer", [None, b"rows", (1, 2)])
def test_what_is_no_buffer_is_the_meter_s_fault(buffer: Value) -> None:
    with pytest.raises(RemoteProtocolError):
        profile.rows(buffer, (CLOCK, IMPORT), HOUR, newest_first=False)


def test_a_profile_without_a_clock_is_the_meter_s_fault() -> None:
    with pytest.raises(RemoteProtocolError, match="without a clock"):
        profile.rows([], (IMPORT,), HOUR, newest_first=False)


def test_columns_are_named_by_the_meter() -> None:
    sent: Value = [(8, CLOCK.obis, 2, 0), (3, IMPORT.obis, 2, 0)]
    assert profile.capture_objects(sent) == (CLOCK, IMPORT)
    wrongs: tuple[Value, ...] = (None, [(8, b"", 2, 0)], [(8, CLOCK.obis, 2)], [[8, CLOCK.obis, 2, 0]])
    for wrong in wrongs:
        with pytest.raises(RemoteProtocolError):
            profile.capture_objects(wrong)


def test_a_range_is_asked_for_as_captured() -> None:
    """Apator NORAX 3: one day, two of the columns."""
    text = (CAPTURES / "dlms_apator_norax3_ln_session.hex").read_text()
    day = datetime(2020, 4, 14)  # noqa: DTZ001
    start, end = (DateTime(moment, status=0xFF) for moment in (day, day + timedelta(hours=23, minutes=59, seconds=59)))  # type: ignore[arg-type]
    selection = profile.by_range(CLOCK, start, end, (CLOCK, CaptureObject(3, bytes.fromhex("01000F0800FF"), 2)))
    captured = (
        "01 01 02 04 02 04 12 00 08 09 06 00 00 01 00 00 FF 0F 02 12 00 00 09 0C 07 E4 04 0E FF 00 00 00 FF 80 00 FF"
    )
    assert captured in text
    assert selection[:35] == bytes.fromhex(captured)[1:]
    assert selection[-38:] == bytes.fromhex(
        "0102 02041200080906000001 0000FF0F02120000 020412000309060100 0F0800FF0F02120000"
    )


def test_entries_are_asked_for_with_all_columns() -> None:
    assert profile.by_entry(3, 50) == bytes.fromhex("02 0204 06 00000003 06 00000032 12 0001 12 0000")


@pytest.mark.parametrize(
    ("sent", "raw", "value", "unit"),
    [
        ((0, Enumerated(30)), 10049926, "10049.926", "kWh"),
        ((-2, Enumerated(30)), 5, "0.00005", "kWh"),
        ((3, Enumerated(32)), 12, "12", "kvarh"),
        ((6, Enumerated(30)), 12, "12000", "kWh"),
        ((-1, Enumerated(35)), 2307, "230.7", "V"),
        ((-3, Enumerated(255)), 990, "0.990", ""),
        ((0, Enumerated(30)), 2**64 - 1, "18446744073709551.615", "kWh"),
        ((2, Enumerated(27)), Decimal("0.5"), "0.05", "kW"),
        ((0, 200), 1, "1", "unit 200"),
    ],
)
def test_a_raw_value_is_scaled_exactly(sent: Value, raw: int | Decimal, value: str, unit: str) -> None:
    scale = scaler_unit(sent)
    assert scale is not None
    number, shown = scale.apply(raw)
    assert (f"{number}", shown) == (value, unit)


@pytest.mark.parametrize("sent", [None, 5, (1,), (1000, 30), ("0", 30)])
def test_what_is_no_scaler_is_never_taken_for_one(sent: Value) -> None:
    assert scaler_unit(sent) is None


@given(st.integers(-128, 127), st.integers(0, 255))
def test_any_scaler_is_bounded(scaler: int, unit: int) -> None:
    found = scaler_unit((scaler, Enumerated(unit)))
    assert found is None or isinstance(found, ScalerUnit)
