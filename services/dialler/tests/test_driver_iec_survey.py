"""The IEC 62056-21 driver: the survey, from the load profile P.01."""

# ruff: noqa: DTZ007 - meters show wall clocks without a zone
from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from mts_common.messages import Section, SectionState
from mts_dialler.drivers.base import SurveyRange
from mts_dialler.errors import LineDropped, MeterRefused
from mts_dialler.testing.answering import Reply
from mts_dialler.testing.iec_bench import BERLIN, LONDON, PASSWORD, Meter, Test, days, framed, half_hours
from mts_dialler.testing.reading import all_read

UTC_ZONE = ZoneInfo("UTC")


async def test_a_survey_is_asked_for_day_by_day_over_exactly_the_wanted_range() -> None:
    meter = Meter()
    now = datetime(2024, 11, 3, 6, 20, tzinfo=UTC)
    test = await Test(meter, survey=SurveyRange(datetime(2024, 11, 1, tzinfo=UTC), now)).run()
    assert all_read(test)
    assert [command for command in meter.commands if "P.01" in command] == [
        "R5 P.01(02411010000;02411020000)",
        "R5 P.01(02411020000;02411030000)",
        "R5 P.01(02411030000;02411030620)",
    ]
    assert len(test.survey()["kWh Import"].readings) == 48 + 48 + 12


async def test_an_emh_meter_gives_its_profile_in_blocks_without_line_ends() -> None:
    meter = Meter(identification="/EMH5\\@\\201LZQJL0013F")
    test = await Test(meter, meter_type="EMH_LZQJ", survey=days(2)).run()
    assert all_read(test)
    assert "R6 P.01(0241101000000;0241102000000;24)" in meter.commands
    assert len(test.survey()["kvarh Q1"].readings) == 96


@pytest.mark.parametrize("refusal", ["P.01(ERROR)", "P.01(ER02)"])
async def test_an_emh_meter_that_takes_no_long_blocks_is_asked_for_short_ones(refusal: str) -> None:
    def profile(request: str) -> str:
        return half_hours(request) if request.endswith(";8") else refusal

    meter = Meter(identification="/EMH5\\@\\201LZQJL0013F", profile=profile)
    test = await Test(meter, meter_type="EMH_LZQJ", survey=days(2)).run()
    assert all_read(test)
    assert [command.rpartition(";")[2] for command in meter.commands if "P.01" in command] == ["24)", "8)", "8)"]
    assert len(test.survey()["kvarh Q1"].readings) == 96


async def test_an_emh_meter_with_an_empty_profile_is_asked_in_both_ways() -> None:
    meter = Meter(identification="/EMH5\\@\\201LZQJL0013F", profile=fixed("P.01(ERROR)"), password=PASSWORD)
    test = await Test(meter, meter_type="EMH_LZQJ", password=PASSWORD, survey=days(1)).run()
    assert all_read(test)
    assert test.survey() == {}


def fixed(text: str) -> Callable[[str], str]:
    return lambda _: text


async def test_demand_energy_and_cumulative_channels_are_named_and_computed_apart() -> None:
    text = (
        "P.01(0241101001500)(08)(15)(6)(1-0:1.5.0)(kW)(1-1:5.29)(kvarh)(1-0:1.8.0)(kWh)(1-2:1.29)(kWh)(9.5)(VA)(1:23.0.0)(m3)\r\n"
        "(0.18374)(0.00006)(00000.389)(0.5)(400)(7)\r\n"
    )
    test = await Test(Meter(profile=fixed(text)), survey=days(1)).run()
    assert all_read(test)
    found = {name: (channel.units, channel.readings[0].value) for name, channel in test.survey().items()}
    assert found == {
        "kWh Import": ("kWh", Decimal("0.045935")),
        "kvarh Q1": ("kvarh", Decimal("0.00006")),
        "kWh Import (total)": ("kWh", Decimal("0.389")),
        "1-2:1.29": ("kWh", Decimal("0.5")),
        "kVAh Import": ("kVAh", Decimal("0.1")),
        "1:23.0.0": ("m3", Decimal(7)),
    }
    assert all(c.readings[0].start == datetime(2024, 11, 1, tzinfo=UTC) for c in test.survey().values())


def seasoned(zone: ZoneInfo, with_season: bool) -> Callable[[str], str]:
    """Half-hours of a meter whose clock follows `zone`; each row's value is its start in UTC, in minutes."""

    def rows(request: str) -> str:
        moments = []
        for text in request.split(";")[:2]:
            wall = datetime.strptime(text[1:11], "%y%m%d%H%M")
            times = [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
            moments.append(times[0] if text[0] == "1" else times[1])
        end, last = moments
        text, season = "", ""
        while end <= last:
            # The interval that ends at the change keeps the old season's clock.
            local = (end - timedelta(minutes=30)).astimezone(zone)
            now = "1" if local.dst() else "0"
            shown = local.replace(tzinfo=None) + timedelta(minutes=30)
            if now != season or (local.hour, local.minute) == (0, 0):
                text += f"P.01({now if with_season else ''}{shown:%y%m%d%H%M%S})(0000)(30)(1)(1.29)(kWh)\r\n"
            season = now
            text += f"({int(end.timestamp()) // 60 - 30})\r\n"
            end += timedelta(minutes=30)
        return text

    return rows


@pytest.mark.parametrize("with_season", [True, False])
@pytest.mark.parametrize("zone", [LONDON, BERLIN, UTC_ZONE])
@pytest.mark.parametrize("start", [datetime(2024, 3, 27, tzinfo=UTC), datetime(2024, 10, 22, tzinfo=UTC)])
async def test_ten_days_across_a_change_of_season_come_out_as_utc_period_starts(
    start: datetime, zone: ZoneInfo, with_season: bool
) -> None:
    meter = Meter(profile=seasoned(zone, with_season))
    test = await Test(meter, survey=days(10, start), zone=zone).run()
    assert all_read(test)
    readings = test.survey()["kWh Import"].readings
    assert [reading.start for reading in readings] == [start + timedelta(minutes=30 * i) for i in range(480)]
    assert all(reading.value == int(reading.start.timestamp()) // 60 for reading in readings)
    assert not any(reading.status for reading in readings)


async def test_a_period_that_was_cut_in_two_is_summed_and_marked() -> None:
    text = (
        "P.01(0241101003000)(0000)(30)(2)(1.29)(kWh)(1.8)(kWh)\r\n(1)(10)\r\n"
        "P.01(0241101004200)(0080)(30)(2)(1.29)(kWh)(1.8)(kWh)\r\n(0.25)(10.25)\r\n"
        "P.01(0241101010000)(0040)(30)(2)(1.29)(kWh)(1.8)(kWh)\r\n(0.5)(10.75)\r\n"
        "P.01(0241101033000)(0040)(30)(2)(1.29)(kWh)(1.8)(kWh)\r\n(2)(12.75)\r\n"
    )
    test = await Test(Meter(profile=fixed(text)), survey=days(1)).run()
    assert all_read(test)
    energy, total = (test.survey()[name].readings for name in ("kWh Import", "kWh Import (total)"))
    assert [(f"{r.start:%H:%M}", r.value, r.status) for r in energy] == [
        ("00:00", Decimal(1), ()),
        ("00:30", Decimal("0.75"), ("power failure", "period cut short", "power restored")),
        ("03:00", Decimal(2), ("power restored",)),
    ]
    assert [r.value for r in total] == [Decimal(10), Decimal("10.75"), Decimal("12.75")]


@pytest.mark.parametrize(("meter_type", "words"), [("EMH_LZQJ", ()), ("LG_E650_IEC", ("clock set",))])
async def test_a_change_of_season_is_nothing_to_suspect_where_the_meter_marks_it(
    meter_type: str, words: tuple[str, ...]
) -> None:
    text = "P.01(0241101003000)(00000028)(30)(1)(1.29)(kWh)\r\n(1)\r\n"
    test = await Test(Meter(profile=fixed(text)), meter_type=meter_type, survey=days(1)).run()
    assert [r.status for r in test.survey()["kWh Import"].readings] == [words]


async def test_the_same_row_twice_counts_once() -> None:
    text = "P.01(0241101003000)(0000)(30)(1)(1.29)(kWh)\r\n(1)\r\n" * 2
    test = await Test(Meter(profile=fixed(text)), survey=days(1)).run()
    assert [r.value for r in test.survey()["kWh Import"].readings] == [Decimal(1)]


async def test_nothing_stored_is_no_failure_and_nothing_is_invented() -> None:
    test = await Test(Meter(profile=fixed("P.01(ERROR)")), survey=days(3)).run()
    assert all_read(test)
    assert test.survey() == {}


async def test_a_bare_error_without_a_password_is_a_refusal_not_an_empty_profile() -> None:
    refused = await Test(Meter(profile=fixed("(ERROR)"), log="(ERROR)"), survey=days(3)).run()
    assert refused.error is None
    for section in (Section.SURVEY, Section.PROFILE_CONFIGURATION):
        assert refused.sections[section].state is SectionState.FAILED
    assert refused.sections[Section.STATUS_EVENTS].state is SectionState.PARTIAL
    meter = Meter(profile=fixed("(ERROR)"), log="(ERROR)", password=PASSWORD)
    empty = await Test(meter, survey=days(3), password=PASSWORD).run()
    assert all_read(empty)


async def test_a_meter_that_refuses_everything_has_given_nothing() -> None:
    inner = Meter(profile=fixed("(ERR1)"), log="(ERR1)")

    def refuses(message: bytes) -> list[Reply]:
        return [b"\x15"] if message.startswith(b"\x060") and message[3:4] == b"0" else inner(message)

    test = await Test(refuses, survey=days(1)).run()
    assert set(test.states.values()) == {SectionState.FAILED}


async def test_a_missing_value_leaves_out_its_own_channel_alone() -> None:
    text = "P.01(0241101003000)(0000)(30)(2)(1.29)(kWh)(2.29)(kWh)\r\n()(0.5)\r\n"
    test = await Test(Meter(profile=fixed(text)), survey=days(1)).run()
    assert test.survey()["kWh Import"].readings == ()
    assert len(test.survey()["kWh Export"].readings) == 1


async def test_an_answer_that_breaks_off_each_time_gives_its_rows_and_names_what_is_missing() -> None:
    def breaks_off(reply: bytes, _: int) -> list[Reply]:
        cut = reply.find(b"(6.50)")
        return [reply[:cut]] if b"P.01(0241102" in reply and cut > 0 else [reply]

    test = await Test(Meter(spoil=breaks_off), survey=days(3)).run()
    assert test.error is None
    assert test.states[Section.SURVEY] is SectionState.PARTIAL
    assert test.sections[Section.SURVEY].error == (
        "the answer broke off: not read: 2024-11-02T05:30:00Z to 2024-11-03T00:00:00Z"
    )
    starts = [reading.start for reading in test.survey()["kWh Import"].readings]
    # The answer of the day after begins with the row that ends at its midnight.
    assert len(starts) == 48 + 11 + 1 + 48


async def test_a_refused_profile_is_told_in_the_makers_words() -> None:
    test = await Test(Meter(profile=fixed("(ER0002)")), survey=days(1)).run()
    assert test.error is None
    assert test.sections[Section.SURVEY].error == (
        "ER0002 (wrong parameters): not read: 2024-11-01T00:00:00Z to 2024-11-02T00:00:00Z"
    )
    assert test.states[Section.SURVEY] is SectionState.FAILED
    assert test.states[Section.REGISTERS] is SectionState.READ


async def test_a_long_survey_is_given_up_when_two_days_in_a_row_cannot_be_read() -> None:
    def spoils(reply: bytes, _: int) -> list[Reply]:
        return [reply[:-1] + bytes([reply[-1] ^ 1])] if b"P.01" in reply else [reply]

    meter = Meter(spoil=spoils)
    test = await Test(meter, survey=days(30, datetime(2024, 10, 1, tzinfo=UTC))).run()
    assert test.error is None
    assert test.states[Section.SURVEY] is SectionState.FAILED
    assert "2024-10-01T00:00:00Z to 2024-10-31T00:00:00Z" in (test.sections[Section.SURVEY].error or "")
    assert sum("P.01" in command for command in meter.commands) <= 3


async def test_a_line_that_drops_in_the_survey_leaves_what_was_read() -> None:
    def drops(reply: bytes, _: int) -> list[Reply]:
        return [reply[:40], LineDropped("the line dropped")] if b"P.01(0241103" in reply else [reply]

    test = await Test(Meter(spoil=drops), survey=days(4)).run()
    assert isinstance(test.error, LineDropped)
    assert test.states[Section.SURVEY] is SectionState.PARTIAL
    assert "2024-11-03T00:00:00Z to 2024-11-05T00:00:00Z" in (test.sections[Section.SURVEY].error or "")
    assert len(test.survey()["kWh Import"].readings) == 96


async def test_a_meter_that_signs_off_in_the_survey_ends_the_test_with_what_was_read() -> None:
    def signs_off(reply: bytes, _: int) -> list[Reply]:
        return [framed(b"\x01B0\x03")] if b"P.01(0241102" in reply else [reply]

    test = await Test(Meter(spoil=signs_off), survey=days(3)).run()
    assert isinstance(test.error, MeterRefused)
    assert test.states[Section.SURVEY] is SectionState.PARTIAL
    assert len(test.survey()["kWh Import"].readings) == 48


async def test_twenty_minutes_are_rounded_to_the_ninth_decimal() -> None:
    text = "P.01(0241101002000)(0000)(20)(1)(1.5)(kW)\r\n(1.0)\r\n(3.0)\r\n"
    test = await Test(Meter(profile=fixed(text)), survey=days(1)).run()
    assert [str(r.value) for r in test.survey()["kWh Import"].readings] == ["0.333333333", "1.0"]


async def test_a_refused_profile_configuration_is_told() -> None:
    test = await Test(Meter(profile=fixed("(ER0001)"))).run()
    assert test.error is None
    assert test.sections[Section.PROFILE_CONFIGURATION].error == "ER0001 (unknown command)"
