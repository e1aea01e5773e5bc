"""Data sets, codes, stamps, the load profile and the logs, as captured meters write them."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_dialler.protocols.iec62056_21.data_sets import Code, DataSet, Value, parse_code, parse_data_sets
from mts_dialler.protocols.iec62056_21.error_texts import explain
from mts_dialler.protocols.iec62056_21.event_log import LogEntry, parse_event_log
from mts_dialler.protocols.iec62056_21.profile import Channel, Profile, parse_profile
from mts_dialler.protocols.iec62056_21.stamps import (
    Season,
    Stamp,
    format_stamp,
    parse_clock,
    parse_date_time,
    parse_stamp,
)

CAPTURES = Path(__file__).parent / "captures"
LONDON = ZoneInfo("Europe/London")
BERLIN = ZoneInfo("Europe/Berlin")


def capture(name: str) -> str:
    """The capture's text with line ends as on the wire, without the lines that are ours."""
    lines = (CAPTURES / name).read_text().splitlines()
    return "".join(f"{line}\r\n" for line in lines if not line.startswith("#"))


def answers(name: str) -> list[str]:
    """A capture that holds several answers, which `#` lines separate."""
    found: list[str] = []
    for line in (CAPTURES / name).read_text().splitlines():
        if line.startswith("#"):
            found.append("")
        else:
            found[-1] += f"{line}\r\n"
    return [answer for answer in found if answer]


def only(code: str, sets: list[DataSet]) -> DataSet:
    (found,) = [data_set for data_set in sets if data_set.code == code]
    return found


# --- data sets


def test_a_landis_gyr_list_keeps_order_duplicates_and_second_values() -> None:
    sets = parse_data_sets(capture("lg_zmd3104407_B24.txt"))
    assert len(sets) == 104
    assert sets[0] == DataSet("F.F", (Value("00000000"),))
    assert only("1.6.1", sets).values == (Value("000.01", "kW"), Value("17-11-02 08:30"))
    assert [data_set.values for data_set in sets if data_set.code == "32.7.0"] == [
        (Value("000.7", "V"),),
        (Value("0002"), Value("00-01-01 00:00")),
    ]
    assert only("0.2.1", sets).values == (Value(""),)
    assert only("1.8.0*19", sets).values[0].number == Decimal("101.71")


def test_a_manual_reset_is_told_from_an_automatic_one() -> None:
    sets = parse_data_sets(capture("lg_zmd4054459_B40_partial.txt"))
    codes = [parse_code(data_set.code) for data_set in sets if data_set.code.startswith("1.8.1")]
    assert codes == [
        Code("1", "8", "1"),
        Code("1", "8", "1", reset="12"),
        Code("1", "8", "1", reset="12", manual=True),
        Code("1", "8", "1", reset="00"),
    ]


def test_units_glued_to_the_number_are_parted_from_it() -> None:
    sets = parse_data_sets(capture("iskra_mt382_1008.txt"))
    assert only("1-0:1.7.0", sets).values == (Value("001.322", "kW"),)
    assert only("1-0:4.8.0", sets).values == (Value("006255.99", "kvarh"),)
    assert only("1-0:0.2.2", sets).values == (Value("Smart001"),)
    assert only("0-0:97.97.0", sets).values == (Value("00000000"),)


def test_a_comma_counts_as_a_point_and_the_end_may_follow_without_a_line_end() -> None:
    sets = parse_data_sets(capture("kam_685_382.txt"))
    assert only("1.6", sets).values[0].number == Decimal("7.4")
    assert only("1.6*1", sets).values[0].number == Decimal("13.0")


def test_a_heat_meter_puts_many_sets_on_one_line() -> None:
    digits = capture("siemens_2wr5_heat.hex")
    sets = parse_data_sets(bytes.fromhex(digits)[1:-2].decode())
    assert sets[0] == DataSet("6.8", (Value("0029.055", "MWh"),))
    assert sets[-1] == DataSet("0.0", (Value("00010213"),))
    assert only("9.4", sets).values[0].parts == (Value("088", "C"), Value("082", "C"))
    assert [part.text for part in only("9.36", sets).values[0].parts] == ["2017-01-18", "01:36:47"]
    assert len(sets) == 50


def test_the_same_code_three_times_stays_three_times() -> None:
    sets = parse_data_sets(capture("metcom_mcs301_table1.txt"))
    assert [s.values[0].text for s in sets if s.code == "0.2.0"] == ["01.01.28", "02.02.13", "2.2.8"]
    assert only("1.6.1", sets).values == (Value("0.50262", "kW"), Value("2211120730"))


def test_signs_and_blanks() -> None:
    sets = parse_data_sets(capture("metcom_mcs301_table2_instantaneous.txt"))
    assert only("81.7.20", sets).values[0].number == Decimal("-120.0")
    assert parse_data_sets("0.0.0( 20000)")[0].values[0].number == Decimal(20000)
    assert parse_data_sets("1.8.0(013925.5*)") == [DataSet("1.8.0", (Value("013925.5"),))]


def test_a_bare_value_has_no_code() -> None:
    assert parse_data_sets("(000123.4*kWh)") == [DataSet("", (Value("000123.4", "kWh"),))]
    assert parse_data_sets("1.8.0(1)\r\n(2)(3)") == [
        DataSet("1.8.0", (Value("1"),)),
        DataSet("", (Value("2"), Value("3"))),
    ]


def test_an_e350_list() -> None:
    assert [s.code for s in parse_data_sets(capture("lg_e350_manual_example.txt"))] == ["F.F", "1.8.0"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1-0:1.8.0*255", Code("1", "8", "0", "1", "0")),
        ("1-1:1.29", Code("1", "29", None, "1", "1")),
        ("1:23.0.0", Code("23", "0", "0", None, "1")),
        ("C.1.0", Code("C", "1", "0")),
        ("F.F", Code("F", "F")),
        ("0.1.0&12", Code("0", "1", "0", reset="12", manual=True)),
        ("20", Code("20")),
        ("P.01", Code("P", "01")),
        ("Smart", None),
        ("", None),
    ],
)
def test_codes(text: str, expected: Code | None) -> None:
    assert parse_code(text) == expected


@given(st.text(max_size=80))
def test_any_text_is_taken_without_an_error(text: str) -> None:
    for data_set in parse_data_sets(text):
        parse_code(data_set.code)
        for value in data_set.values:
            assert value.parts
            assert value.number is None or isinstance(value.number, Decimal)


@given(
    st.decimals(min_value=-(10**9), max_value=10**9, places=5, allow_nan=False, allow_infinity=False),
    st.sampled_from(["kWh", "kW", "kvarh", "V", "m3"]),
)
def test_a_number_is_read_exactly_as_written(number: Decimal, unit: str) -> None:
    (data_set,) = parse_data_sets(f"1.8.0({number:f}*{unit})\r\n")
    assert data_set.values[0].unit == unit
    assert str(data_set.values[0].number) == f"{number:f}"


# --- stamps


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1220823161500", Stamp(datetime(2022, 8, 23, 16, 15), Season.SUMMER)),
        ("0210115001500", Stamp(datetime(2021, 1, 15, 0, 15), Season.STANDARD)),
        ("220823161500", Stamp(datetime(2022, 8, 23, 16, 15))),
        ("12208231615", Stamp(datetime(2022, 8, 23, 16, 15), Season.SUMMER)),
        ("2211120730", Stamp(datetime(2022, 11, 12, 7, 30))),
        ("17-11-02 08:30", Stamp(datetime(2017, 11, 2, 8, 30))),
        ("2240101000000", Stamp(datetime(2024, 1, 1), Season.UTC)),
        ("00-00-00 00:00", None),
        ("1229923161500", None),
        ("", None),
        ("abc", None),
    ],
)
def test_stamps(text: str, expected: Stamp | None) -> None:
    assert parse_stamp(text) == expected


@pytest.mark.parametrize(
    ("time", "date", "expected"),
    [
        ("16:40:56", "17-11-06", Stamp(datetime(2017, 11, 6, 16, 40, 56))),
        ("105644", "0220127", Stamp(datetime(2022, 1, 27, 10, 56, 44), Season.STANDARD)),
        ("1235703", "1220826", Stamp(datetime(2022, 8, 26, 23, 57, 3), Season.SUMMER)),
        ("121752", "221113", Stamp(datetime(2022, 11, 13, 12, 17, 52))),
        ("00:00", "17-11-01", None),
        ("250000", "221113", None),
    ],
)
def test_clocks(time: str, date: str, expected: Stamp | None) -> None:
    assert parse_clock(time, date) == expected


def test_date_times_of_1_0_0() -> None:
    assert parse_date_time("07E50113020B031D00003C00") == Stamp(datetime(2021, 1, 19, 11, 3, 29), Season.STANDARD)
    assert parse_date_time("210528215658S") == Stamp(datetime(2021, 5, 28, 21, 56, 58), Season.SUMMER)
    assert parse_date_time("FFFF0113020B031D00003C00") is None
    assert parse_date_time("210528") is None


def test_a_season_digit_resolves_the_repeated_hour() -> None:
    wall = datetime(2024, 10, 27, 1, 30)
    first = datetime(2024, 10, 27, 0, 30, tzinfo=UTC)
    second = first + timedelta(hours=1)
    assert Stamp(wall, Season.SUMMER).to_utc(LONDON) == first
    assert Stamp(wall, Season.STANDARD).to_utc(LONDON) == second
    assert Stamp(wall, Season.UTC).to_utc(LONDON) == second
    assert Stamp(wall).to_utc(LONDON) == first
    assert Stamp(wall).to_utc(LONDON, earliest=first + timedelta(minutes=30)) == second


def test_the_switch_interval_of_spring_keeps_the_old_seasons_clock() -> None:
    assert Stamp(datetime(2022, 3, 27, 2, 0), Season.STANDARD).to_utc(BERLIN) == datetime(2022, 3, 27, 1, 0, tzinfo=UTC)


@given(st.datetimes(datetime(2001, 1, 1), datetime(2068, 1, 1), timezones=st.just(UTC)))
def test_a_request_names_a_time_as_the_meter_shows_it(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    for zone in (LONDON, BERLIN, ZoneInfo("UTC")):
        stamp = parse_stamp(format_stamp(moment, zone, seconds=True))
        assert stamp is not None
        assert stamp.to_utc(zone) == moment
        assert format_stamp(moment, zone, seconds=True)[:-2] == format_stamp(moment, zone, seconds=False)


# --- load profile


def profiles() -> list[Profile]:
    return [parse_profile(answer) for answer in answers("emh_metcom_P01.txt")]


def test_every_captured_profile_but_the_truncated_one_is_complete() -> None:
    assert [(len(p.blocks), sum(len(b.rows) for b in p.blocks), p.complete) for p in profiles()] == [
        (1, 2, True),
        (1, 2, True),
        (2, 10, True),
        (1, 4, True),
        (1, 2, True),
        (1, 2, False),
    ]


def test_headers_of_captured_profiles() -> None:
    emh, energy, _, metcom, both, _ = (profile.blocks[0] for profile in profiles())
    assert emh.stamp == Stamp(datetime(2022, 8, 23, 16, 15), Season.SUMMER)
    assert (emh.status, emh.minutes) == (0, 15)
    assert emh.channels[0] == Channel("1.5", "kW")
    assert energy.channels[-1] == Channel("1-3:2.29", "kWh")
    assert metcom.status == 8
    assert [channel.unit for channel in both.channels].count("kWh") == 2
    assert emh.rows[0][0] == Decimal("0.18374")
    assert both.rows[1][7] == Decimal("203.933")


def test_a_header_may_be_followed_by_its_rows_on_the_same_line_and_blocks_may_lack_line_ends() -> None:
    (first, *_) = answers("emh_metcom_P01.txt")
    assert parse_profile(first.replace("\r\n", "")) == parse_profile(first)


def test_a_folded_row_is_still_one_row() -> None:
    (first, *_) = answers("emh_metcom_P01.txt")
    folded = first.replace("(0.00078)", "(0.00078)\r\n")
    assert parse_profile(folded) == parse_profile(first)


def test_a_row_with_a_value_too_few_ends_what_can_be_trusted_under_its_header() -> None:
    answer = answers("emh_metcom_P01.txt")[2].replace("(0.05106)", "", 1)
    profile = parse_profile(answer)
    assert not profile.complete
    assert [len(block.rows) for block in profile.blocks] == [3, 3]


@pytest.mark.parametrize("text", ["P.01(ERROR)", "(ERROR)", "P.01(ER38)\r\n", "P.01(ER0002)"])
def test_an_error_in_place_of_a_profile(text: str) -> None:
    profile = parse_profile(text)
    assert profile.error.startswith("ER")
    assert profile.blocks == ()
    assert profile.complete


@pytest.mark.parametrize(
    "header",
    [
        "P.01(1220823161500)(00)(15)(1)(1.5)",
        "P.01(1229923161500)(00)(15)(1)(1.5)(kW)",
        "P.01(1220823161500)(XY)(15)(1)(1.5)(kW)",
        "P.01(1220823161500)(00)(0)(1)(1.5)(kW)",
        "P.01(1220823161500)(00)(15)(999)(1.5)(kW)",
        "P.01(1220823161500)(00)(15)(²)(1.5)(kW)",
    ],
)
def test_rows_under_an_unreadable_header_are_not_guessed_at(header: str) -> None:
    assert parse_profile(f"{header}\r\n(0.1)\r\n") == Profile((), complete=False)


def test_a_header_alone_is_a_block_without_rows() -> None:
    profile = parse_profile("P.01(220823161500)(0000)(30)(2)(1-0:1.5.0)(kW)(1-0:5.5.0)(kvar)\r\n")
    assert profile.complete
    assert profile.blocks[0].rows == ()
    assert profile.blocks[0].stamp.season is None


def test_a_missing_value_is_none() -> None:
    profile = parse_profile("P.01(220823161500)(0000)(30)(2)(1.5)(kW)(2.5)(kW)\r\n()(0.5)\r\n")
    assert profile.blocks[0].rows == ((None, Decimal("0.5")),)


@given(st.integers(0, 2000))
def test_an_answer_cut_anywhere_gives_complete_rows_alone_and_is_incomplete(cut: int) -> None:
    answer = answers("emh_metcom_P01.txt")[2]
    whole = parse_profile(answer)
    broken = parse_profile(answer[:cut], ended=False)
    assert broken.complete is False or not answer[:cut]
    for block, reference in zip(broken.blocks, whole.blocks, strict=False):
        assert block.rows == reference.rows[: len(block.rows)]
        assert block.stamp == reference.stamp


@given(st.text(alphabet="P.01()259kWX;\r\n ", max_size=120))
def test_garbage_gives_no_rows_that_are_not_there(text: str) -> None:
    for block in parse_profile(text).blocks:
        assert all(len(row) == len(block.channels) for row in block.rows)


# --- logs


def test_an_emh_log_notes_the_new_clock_with_its_event() -> None:
    entries = parse_event_log(answers("emh_metcom_P98.txt")[1])
    assert len(entries) == 11
    assert entries[0] == LogEntry(
        Stamp(datetime(2022, 8, 26, 23, 56, 46), Season.SUMMER), 0x8020, (("0.9.1", "1235703"), ("0.9.2", "1220826"))
    )
    assert [entry.status for entry in entries[3:6]] == [0x10, 0x80, 0x40]


def test_a_metcom_log_need_not_be_in_order_of_time() -> None:
    entries = parse_event_log(answers("emh_metcom_P98.txt")[2])
    assert [entry.values[0][1] for entry in entries] == ["4", "5", "4", "5", "17", "18"]
    assert entries[0].stamp.wall > entries[1].stamp.wall


def test_a_log_within_a_readout_and_an_operating_log() -> None:
    readout, *_, operating = answers("emh_metcom_P98.txt")
    assert [entry.status for entry in parse_event_log(readout)] == [0x2000, 0x4000, 0x100, 0x80]
    assert [entry.status for entry in parse_event_log(operating)] == [0x2000]


@pytest.mark.parametrize("text", ["P.98(ERROR)", "P.98(1)(2)", "P.98(1220826235646)(00)()(9)", "P.98(1)(00)()(0)"])
def test_what_is_no_log_entry_is_passed_over(text: str) -> None:
    assert parse_event_log(text) == []


# --- error texts


@pytest.mark.parametrize(
    ("maker", "text", "expected"),
    [
        ("ISk", "ER38", "ER38 (the load profile is empty)"),
        ("LGZ", "ER0001", "ER0001 (unknown command)"),
        ("GEC", "ERR2", "ERR2 (unknown identity)"),
        ("XXX", "ER38", "ER38"),
        ("ABB", "ERROR", "ERROR (general error)"),
    ],
)
def test_error_texts_by_maker(maker: str, text: str, expected: str) -> None:
    assert explain(maker, text) == expected
