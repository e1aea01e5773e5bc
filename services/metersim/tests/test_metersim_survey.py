"""Both survey formats, read back by small decoders of their own, hold what `load.reading` says, and nothing else.

The decoders follow the rules for rows and markers in the fact sheets (elster-a1700 section 6, iec62056-21 section 8).
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from mts_metersim.a1700_profile import survey
from mts_metersim.fleet import STORED_CHANNELS, ClockSpec, LoadSpec, Meter, Options, Rule
from mts_metersim.iec_profile import event_lines, parse_stamp, survey_lines
from mts_metersim.load import reading
from mts_metersim.makers import EMH, LG, METCOM, Maker
from mts_metersim.unit import Unit

Readings = dict[datetime, list[Decimal]]

INTERRUPTIONS = {
    "none": Options(),
    "quarter hours": Options(period_minutes=15),
    "long cuts": Options(power_cuts=Rule(2, 610, 100)),
    "cuts on the boundary": Options(power_cuts=Rule(2, 600, 60)),
    "short cuts": Options(power_cuts=Rule(1, 610, 10)),
    "cuts over midnight": Options(power_cuts=Rule(2, 1405, 90)),
    "gaps": Options(gaps=Rule(2, 600, 90)),
    "clock sets": Options(clock_sets=Rule(1, 845)),
}
MOMENTS = {
    "summer": ("UTC", "2026-07-10T14:10:00"),
    "spring in London": ("Europe/London", "2026-03-31T14:10:00"),
    "autumn in London": ("Europe/London", "2026-10-27T14:10:00"),
    "autumn in Berlin": ("Europe/Berlin", "2026-10-27T14:10:00"),
}


def hours(number: int) -> timedelta:
    return timedelta(hours=number)


OFFSETS = {
    "UTC": {"0": hours(0), "2": hours(0)},
    "Europe/London": {"0": hours(0), "1": hours(1)},
    "Europe/Berlin": {"0": hours(1), "1": hours(2)},
}


def unit_at(zone: str, moment: str, options: Options) -> Unit:
    meter = Meter("ELSTERA1700", "K1", LoadSpec(2), clock=ClockSpec(zone), installed_days_ago=5, options=options)
    now = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())
    return Unit(meter, lambda: now * 1_000_000_000)


def truth(unit: Unit, first: int) -> Readings:
    """Everything recorded from the first period that starts at or after `first`."""
    expected = {}
    for at in range(max(first, unit.installed), unit.clock.now() - unit.period + 1, unit.period):
        start = datetime.fromtimestamp(at, UTC)
        values = [reading(unit.meter, name, start) for name in STORED_CHANNELS]
        if values[0] is not None:
            expected[start] = [value for value in values if value is not None]
    return expected


def elements(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers (with what follows them) and data records of a 550 stream with six channels."""
    at = 0
    while stream[at] != 0xFF:
        size = {0xE4: 8}.get(stream[at], 5 if stream[at] >= 0x80 else 19)
        yield stream[at], stream[at + 1 : at + size]
        at += size
    assert set(stream[at:]) == {0xFF}
    assert len(stream) % 64 == 0


def demand_in_kilowatts(data: bytes) -> Decimal:
    digits = data.hex()
    return Decimal(int(digits[:5])).scaleb(int(digits[5]) - 6)


def from_wall(zone: ZoneInfo, stamp: bytes, not_before: datetime | None) -> datetime:
    """A wall clock stamp as UTC; the repeated autumn hour is settled by the order of the records."""
    shown = datetime.fromtimestamp(int.from_bytes(stamp, "little"), UTC).replace(tzinfo=zone)
    first = shown.astimezone(UTC)
    return first if not_before is None or first >= not_before else shown.replace(fold=1).astimezone(UTC)


def read_a1700(unit: Unit, stream: bytes) -> Readings:
    """The intervals of a stream: restarts at E4, E5 and EA on the floored stamp, parts of one interval added up."""
    period = timedelta(seconds=unit.period)
    found: Readings = {}
    start: datetime | None = None
    for kind, data in elements(stream):
        if kind in (0xE4, 0xE5, 0xEA):
            at = from_wall(unit.zone, data[:4], start)
            start = at - timedelta(seconds=int(at.timestamp()) % unit.period)
        elif kind < 0x80:
            assert start is not None
            values = [demand_in_kilowatts(data[n : n + 3]) * unit.period / 3600 for n in range(0, 18, 3)]
            before = found.get(start, [Decimal(0)] * 6)
            found[start] = [old + new for old, new in zip(before, values, strict=True)]
            start += period
    return found


def read_p01(unit: Unit, lines: list[str], end_of_stamp: int) -> Readings:
    """The intervals of P.01 lines: the first row under a header ends at its stamp, each further a period later."""
    found: Readings = {}
    end = datetime.min.replace(tzinfo=UTC)
    for line in lines:
        if line.startswith("P.01"):
            shown = datetime.strptime(line[6 : 6 + end_of_stamp], "%y%m%d%H%M%S")  # noqa: DTZ007
            end = shown.replace(tzinfo=UTC) - OFFSETS[unit.meter.clock.zone][line[5]]
            continue
        values = [Decimal(value) * unit.period / 3600 for value in re.findall(r"\(([0-9.]+)\)", line)]
        start = end - timedelta(seconds=1)
        start -= timedelta(seconds=int(start.timestamp()) % unit.period)
        before = found.get(start, [Decimal(0)] * 6)
        found[start] = [old + new for old, new in zip(before, values, strict=True)]
        end += timedelta(seconds=unit.period)
    return found


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_the_a1700_stream_holds_the_truth(moment: str, interruption: str) -> None:
    unit = unit_at(*MOMENTS[moment], INTERRUPTIONS[interruption])
    assert read_a1700(unit, survey(unit, 0xFFFF)) == truth(unit, 0)


@pytest.mark.parametrize("maker", [LG, EMH, METCOM], ids=["LG", "EMH", "MetCom"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_p01_holds_the_truth(moment: str, interruption: str, maker: Maker) -> None:
    unit = unit_at(*MOMENTS[moment], INTERRUPTIONS[interruption])
    assert read_p01(unit, survey_lines(unit, maker, None, unit.clock.now()), 12) == truth(unit, 0)


def test_days_count_back_from_today_by_the_wall_clock() -> None:
    unit = unit_at("Europe/London", "2026-07-10T23:30:00", Options())
    found = read_a1700(unit, survey(unit, 2))
    assert min(found) == datetime(2026, 7, 9, 23, tzinfo=UTC)
    assert len(found) == 48 + 1


def test_each_day_of_the_stream_begins_with_a_header_at_midnight_by_the_wall_clock() -> None:
    unit = unit_at("Europe/London", "2026-10-27T14:10:00", Options())
    headers = [data for kind, data in elements(survey(unit, 4)) if kind == 0xE4]
    midnights = [datetime(2026, 10, day, tzinfo=UTC) for day in (24, 25, 26, 27)]
    assert [int.from_bytes(data[:4], "little") for data in headers] == [int(day.timestamp()) for day in midnights]
    assert {data[4:].hex() for data in headers} == {"00bf99"}


def test_a_summer_time_change_is_marked_between_the_records() -> None:
    unit = unit_at("Europe/London", "2026-10-25T14:10:00", Options())
    kinds = ["ED" if kind == 0xED else "row" for kind, _ in elements(survey(unit, 1)) if kind != 0xE4]
    assert kinds == ["row"] * 4 + ["ED"] + ["row"] * 26


def test_the_part_interval_before_a_cut_follows_its_marker() -> None:
    unit = unit_at("UTC", "2026-07-10T12:10:00", Options(power_cuts=Rule(1, 610, 100)))
    kinds = [kind if kind >= 0x80 else 0 for kind, _ in elements(survey(unit, 1))]
    assert kinds == [0xE4, *[0] * 20, 0xE6, 0, 0xE5, 0]


def test_a_clock_setting_is_marked_and_the_part_after_it_is_flagged() -> None:
    unit = unit_at("UTC", "2026-07-10T14:40:00", Options(clock_sets=Rule(1, 845)))
    tail = list(elements(survey(unit, 1)))[-3:]
    assert [kind for kind, _ in tail] == [0x00, 0xEA, 0x02]


def test_nothing_stored_is_no_block() -> None:
    unit = unit_at("UTC", "2026-07-10T14:40:00", Options(empty_survey=True))
    assert survey(unit, 5) == b""
    assert survey_lines(unit, EMH, None, unit.clock.now()) == []


def test_p01_is_asked_for_by_end_stamps_both_included() -> None:
    unit = unit_at("UTC", "2026-07-10T14:40:00", Options(channels=("import", "export")))
    begin, end = (parse_stamp(unit, text) for text in ("0260709230000", "2607100030"))
    lines = survey_lines(unit, METCOM, begin, end)
    assert [line[:38] for line in lines if line.startswith("P")] == [
        "P.01(0260709230000)(00)(30)(2)(1-0:1.5",
        "P.01(0260710003000)(00)(30)(2)(1-0:1.5",
    ]
    assert len(lines) == 2 + 4


def test_p01_headers_have_the_makers_spelling() -> None:
    unit = unit_at("UTC", "2026-07-10T14:40:00", Options(channels=("import", "q4")))
    newest = [survey_lines(unit, maker, None, None) for maker in (LG, EMH, METCOM)]
    assert newest == [
        ["P.01(0260710143000)(0000)(30)(2)(1.5.0)(kW)(8.5.0)(kvar)"],
        ["P.01(2260710143000)(00000000)(30)(2)(1.5)(kW)(8.5)(kvar)"],
        ["P.01(0260710143000)(00)(30)(2)(1-0:1.5.0)(kW)(1-0:8.5.0)(kvar)"],
    ]


def test_the_interval_at_a_season_change_keeps_the_old_clock_and_says_so() -> None:
    unit = unit_at("Europe/Berlin", "2026-03-29T04:00:00", Options(channels=("import",)))
    begin = parse_stamp(unit, "0260329013000")
    stamps = [line[:31] for line in survey_lines(unit, EMH, begin, None) if line.startswith("P")]
    assert stamps == [
        "P.01(0260329013000)(00000000)(3",
        "P.01(0260329020000)(00000028)(3",
        "P.01(1260329033000)(00000000)(3",
    ]


def test_the_repeated_hour_is_told_by_the_season_digit() -> None:
    unit = unit_at("Europe/Berlin", "2026-10-25T04:00:00", Options())
    summer, winter = (parse_stamp(unit, f"{season}261025023000") for season in (1, 0))
    assert summer is not None
    assert winter == summer + 3600


def test_metcom_shows_summer_time_in_the_status() -> None:
    unit = unit_at("Europe/Berlin", "2026-07-10T14:40:00", Options(channels=("import",)))
    assert survey_lines(unit, METCOM, None, None)[0].startswith("P.01(1260710163000)(08)(30)(1)")


def test_interval_energy_and_cumulative_values_are_exact() -> None:
    energy = unit_at("UTC", "2026-07-10T14:40:00", Options(channels=("import",), profile="energy"))
    start = parse_stamp(energy, "0260710060000")
    expected = reading(energy.meter, "import", datetime(2026, 7, 10, 5, 30, tzinfo=UTC))
    header, value = survey_lines(energy, EMH, start, start)
    assert "(1.29)(kWh)" in header
    assert Decimal(value.strip("()")) == expected
    total = unit_at("UTC", "2026-07-10T14:40:00", Options(channels=("import",), profile="cumulative"))
    header, value = survey_lines(total, METCOM, start, start)
    assert start is not None
    assert "(1-0:1.8.0)(kWh)" in header
    assert Decimal(value.strip("()")) == Decimal(total.total("import", start)).scaleb(-6)


def test_power_cuts_are_in_the_event_log_the_makers_way() -> None:
    unit = unit_at("UTC", "2026-07-10T14:40:00", Options(power_cuts=Rule(1, 610, 100)))
    since = parse_stamp(unit, "0260710000000")
    assert event_lines(unit, EMH, since, None) == [
        "P.98(2260710101000)(00000080)()(0)",
        "P.98(2260710115000)(00000040)()(0)",
    ]
    assert event_lines(unit, METCOM, since, None) == [
        "P.98(0260710101000)(00)()(2)(0-0:C.11.0)()(0-0:C.11.10)()(4)(0)",
        "P.98(0260710115000)(00)()(2)(0-0:C.11.0)()(0-0:C.11.10)()(5)(0)",
    ]


def test_a_clock_setting_is_logged_with_the_time_before_and_after() -> None:
    unit = unit_at("UTC", "2026-07-10T14:40:00", Options(clock_sets=Rule(1, 845)))
    since = parse_stamp(unit, "0260710000000")
    assert event_lines(unit, LG, since, None) == ["P.98(0260710140500)(8020)()(2)(0.9.1)()(0.9.2)()(0140500)(0260710)"]


@pytest.mark.parametrize("text", ["26", "3260710000000", "0261310000000", "x"])
def test_a_bad_time_is_told_apart_from_no_time(text: str) -> None:
    unit = unit_at("UTC", "2026-07-10T14:40:00", Options())
    assert parse_stamp(unit, "") is None
    with pytest.raises(ValueError, match=text):
        parse_stamp(unit, text)
