"""What a DLMS/COSEM meter keeps, read back as a host would: survey, registers and clock hold the truth."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from mts_metersim import axdr
from mts_metersim.axdr import Value
from mts_metersim.dlms_manners import address_of
from mts_metersim.dlms_objects import obis
from mts_metersim.fleet import STORED_CHANNELS, ClockSpec, DlmsOptions, Fault, FaultKind, LoadSpec, Meter, Options, Rule
from mts_metersim.load import reading
from mts_metersim.testing import HdlcHost, attribute_of, call_to, get_request, low_level_aarq, value_of
from mts_metersim.unit import Unit

PERIODS = {
    "none": Options(),
    "quarter hours": Options(period_minutes=15),
    "cuts": Options(power_cuts=Rule(2, 610, 100)),
    "short cuts": Options(power_cuts=Rule(1, 610, 10)),
    "gaps": Options(gaps=Rule(2, 600, 90)),
    "clock sets": Options(clock_sets=Rule(1, 845)),
}
SURVEYS = {"DLMS": "1.0.99.1.0", "ISKRA_MT880": "1.0.99.1.0", "ITRON_SL7000": "0.0.99.1.0", "CEWEPRO100": "1.0.99.1.0"}


def unit_at(meter_type: str, moment: str, options: Options, zone: str = "UTC") -> Unit:
    meter = Meter(meter_type, "12345678", LoadSpec(2), clock=ClockSpec(zone), installed_days_ago=4, options=options)
    now = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())
    return Unit(meter, lambda: now * 1_000_000_000)


def host_of(unit: Unit, snrm_info: bytes = b"") -> HdlcHost:
    address = address_of(unit.meter)
    host = HdlcHost(call_to([unit]), address.clients[0], address.server, snrm_info)
    assert host.ask(low_level_aarq("ANY"))[0] == 0x61
    return host


def rows_of(data: bytes) -> list[list[Value]]:
    found = value_of(data)
    assert isinstance(found, list)
    rows = [row for row in found if isinstance(row, list)]
    assert len(rows) == len(found)
    return rows


def instant(octets: Value) -> datetime:
    """A date-time whose deviation is given the standard's way."""
    assert isinstance(octets, bytes)
    year, (month, day, _, hour, minute, second) = int.from_bytes(octets[:2], "big"), octets[2:8]
    shown = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    assert octets[4] == shown.isoweekday()
    return shown + timedelta(minutes=int.from_bytes(octets[9:11], "big", signed=True))


def expand(rows: list[list[Value]], period: timedelta) -> list[tuple[datetime, list[int]]]:
    """Stamps and values with null-data written out, the status column left away."""
    found: list[tuple[datetime, list[int]]] = []
    for clock, _, *cells in rows:
        at = found[-1][0] + period if clock is None else instant(clock)
        old = found[-1][1] if found else []
        found.append((at, [old[place] if cell is None else number(cell) for place, cell in enumerate(cells)]))
    return found


def number(value: Value) -> int:
    assert isinstance(value, int)
    return value


def truth(unit: Unit) -> dict[datetime, list[Decimal]]:
    """Energies by the period's end."""
    expected = {}
    for at in range(unit.installed, unit.clock.now() - unit.period + 1, unit.period):
        start = datetime.fromtimestamp(at, UTC)
        values = [reading(unit.meter, name, start) for name in STORED_CHANNELS]
        if values[0] is not None:
            expected[start + timedelta(seconds=unit.period)] = [value for value in values if value is not None]
    return expected


def survey(unit: Unit, selection: bytes = b"") -> list[list[Value]]:
    name = obis(SURVEYS[unit.meter.meter_type])
    return rows_of(attribute_of(host_of(unit), get_request(7, name, 2, selection)))


def by_range(first: bytes, last: bytes, columns: bytes = b"\x01\x00") -> bytes:
    clock = axdr.structure(axdr.unsigned(8, 2), axdr.octets(obis("0.0.1.0.0")), axdr.signed(2, 1), axdr.unsigned(0, 2))
    return b"\x01" + axdr.structure(clock, axdr.octets(first), axdr.octets(last), columns)


def by_entry(*numbers: int) -> bytes:
    first, last, left, right = numbers
    return b"\x02" + axdr.structure(
        axdr.unsigned(first, 4), axdr.unsigned(last, 4), axdr.unsigned(left, 2), axdr.unsigned(right, 2)
    )


def stamp(text: str, deviation: int = -0x8000) -> bytes:
    """`YYYY-MM-DDThh:mm` with a deviation in minutes, UTC minus local."""
    shown = datetime.fromisoformat(text)
    return (
        shown.year.to_bytes(2, "big")
        + bytes([shown.month, shown.day, 0xFF, shown.hour, shown.minute, 0, 0xFF])
        + deviation.to_bytes(2, "big", signed=True)
        + b"\xff"
    )


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("happens", PERIODS)
@pytest.mark.parametrize(("meter_type", "scale"), [("ITRON_SL7000", 1000), ("CEWEPRO100", 10_000)])
def test_a_survey_of_energies_holds_the_truth(meter_type: str, scale: int, happens: str, zone: str) -> None:
    unit = unit_at(meter_type, "2026-10-27T14:10:00", PERIODS[happens], zone)
    found = expand(survey(unit), timedelta(seconds=unit.period))
    assert {at: [Decimal(value) / scale for value in values] for at, values in found} == truth(unit)


@pytest.mark.parametrize("happens", PERIODS)
def test_a_survey_of_register_values_holds_the_registers(happens: str) -> None:
    unit = unit_at("ISKRA_MT880", "2026-03-30T14:10:00", PERIODS[happens], "Europe/Ljubljana")
    found = expand(survey(unit), timedelta(seconds=unit.period))
    assert [at for at, _ in found] == list(truth(unit))
    for at, values in found:
        totals = [unit.total(name, int(at.timestamp())) // 1000 for name in STORED_CHANNELS]
        assert values == totals


def test_irregular_rows_stand_where_the_power_failed_and_add_up() -> None:
    options = Options(power_cuts=Rule(1, 610, 10), profile="energy", dlms=DlmsOptions(irregular_rows=True))
    unit = unit_at("DLMS", "2026-07-10T14:10:00", options)
    rows = survey(unit)
    found = expand(rows, timedelta(0))
    stamps = [at for at, _ in found if at.minute % 30]
    assert {(at.hour, at.minute) for at in stamps} == {(10, 10)}
    assert [row[1] for row, (at, _) in zip(rows, found, strict=True) if (at.hour, at.minute) == (10, 10)] == [0x80] * 5
    sums: dict[datetime, list[Decimal]] = {}
    for at, values in found:
        end = at + timedelta(minutes=-at.minute % 30)
        before = sums.get(end, [Decimal(0)] * 6)
        sums[end] = [old + Decimal(value) / 1000 for old, value in zip(before, values, strict=True)]
    assert sums == truth(unit)


def test_a_short_cut_is_told_by_the_status_of_its_period() -> None:
    unit = unit_at("DLMS", "2026-07-10T14:10:00", Options(power_cuts=Rule(1, 610, 10), clock_sets=Rule(1, 845)))
    told = {instant(row[0]).strftime("%H:%M"): row[1] for row in survey(unit) if row[1]}
    assert told == {"10:30": 0x80, "14:30": 0x20}


def test_start_stamps_lie_one_period_before_the_end() -> None:
    ends = unit_at("DLMS", "2026-07-10T14:10:00", Options())
    starts = unit_at("DLMS", "2026-07-10T14:10:00", Options(dlms=DlmsOptions(start_stamps=True)))
    shift = timedelta(minutes=30)
    assert [instant(row[0]) + shift for row in survey(starts)] == [instant(row[0]) for row in survey(ends)]


@pytest.mark.parametrize("nulls", ["none", "clock", "all"])
@pytest.mark.parametrize("lifo", [False, True])
def test_compressed_rows_hold_the_same_values(nulls: str, lifo: bool) -> None:
    options = Options(dlms=DlmsOptions(nulls=nulls, lifo=lifo), gaps=Rule(2, 600, 90))
    unit = unit_at("DLMS", "2026-07-10T14:10:00", options)
    step = timedelta(minutes=-30 if lifo else 30)
    rows = survey(unit)
    found = expand(rows, step)
    assert dict(found if not lifo else found[::-1]).keys() == truth(unit).keys()
    assert [at for at, _ in found] == sorted(truth(unit), reverse=lifo)
    assert any(row[0] is None for row in rows) is (nulls != "none")
    assert any(None in row[2:] for row in rows) is (nulls == "all")


def test_a_range_includes_both_its_ends() -> None:
    unit = unit_at("DLMS", "2026-07-10T14:10:00", Options())
    rows = survey(unit, by_range(stamp("2026-07-09T23:30"), stamp("2026-07-10T01:00")))
    assert [instant(row[0]).strftime("%d %H:%M") for row in rows] == ["09 23:30", "10 00:00", "10 00:30", "10 01:00"]
    assert survey(unit, by_range(stamp("2020-01-01T00:00"), stamp("2020-01-02T00:00"))) == []


@pytest.mark.parametrize(
    ("wanted", "deviation", "first"),
    [
        ("any", -0x8000, "2026-07-09T22:00"),
        ("any", 0, "2026-07-10T00:00"),
        ("any", -120, "2026-07-09T22:00"),
        ("ignored", 0, "2026-07-09T22:00"),
        ("required", -120, "2026-07-09T22:00"),
        ("refused", -0x8000, "2026-07-09T22:00"),
    ],
)
def test_a_deviation_in_a_range_is_taken_or_ignored(wanted: str, deviation: int, first: str) -> None:
    options = Options(dlms=DlmsOptions(range_deviation=wanted))
    unit = unit_at("DLMS", "2026-07-10T14:10:00", options, "Europe/Berlin")
    rows = survey(unit, by_range(stamp("2026-07-10T00:00", deviation), stamp("2026-07-10T12:00", deviation)))
    assert instant(rows[0][0]) == datetime.fromisoformat(first).replace(tzinfo=UTC)


COLUMNS = "".join(
    f"0204 12{class_id:04x} 0906{obis(name).hex()} 0f02 120000"
    for class_id, name in ((8, "0.0.1.0.0"), (3, "1.0.2.8.0"))
)


def refused(options: DlmsOptions, selection: bytes, name: str = "1.0.99.1.0") -> int:
    """The data access result."""
    unit = unit_at("DLMS", "2026-07-10T14:10:00", Options(dlms=options))
    answer = host_of(unit).ask(get_request(7, obis(name), 2, selection))
    assert answer[:4].hex() == "c401c101"
    return answer[4]


DAY = (stamp("2026-07-09T00:00"), stamp("2026-07-10T00:00"))


@pytest.mark.parametrize(
    ("options", "selection", "result"),
    [
        (DlmsOptions(selection="refused"), by_range(*DAY), 3),
        (DlmsOptions(range_deviation="refused"), by_range(stamp("2026-07-09T00:00", 0), DAY[1]), 250),
        (DlmsOptions(range_deviation="required"), by_range(*DAY), 250),
        (DlmsOptions(column_list="required"), by_range(*DAY), 250),
        (DlmsOptions(column_list="refused"), by_range(*DAY, b"\x01\x02" + bytes.fromhex(COLUMNS)), 250),
        (DlmsOptions(), by_range(*DAY, b"\x01\x01\x00"), 250),
        (DlmsOptions(), by_range(DAY[0][:11], DAY[1]), 250),
        (DlmsOptions(), by_entry(0, 5, 1, 0), 250),
        (DlmsOptions(), b"\x03\x00", 13),
    ],
)
def test_a_selection_that_the_meter_refuses_gets_a_data_access_result(
    options: DlmsOptions, selection: bytes, result: int
) -> None:
    assert refused(options, selection) == result


def test_a_meter_may_ignore_the_selection() -> None:
    unit = unit_at("DLMS", "2026-07-10T14:10:00", Options(dlms=DlmsOptions(selection="ignored")))
    assert len(survey(unit, by_range(*DAY))) == len(truth(unit))


def test_columns_and_entries_can_be_chosen() -> None:
    unit = unit_at("DLMS", "2026-07-10T14:10:00", Options())
    some = survey(unit, by_range(*DAY, b"\x01\x02" + bytes.fromhex(COLUMNS)))
    assert {len(row) for row in some} == {2}
    whole = survey(unit)
    assert survey(unit, by_entry(1, 3, 1, 0)) == whole[:3]
    assert survey(unit, by_entry(len(whole), 0, 1, 0)) == whole[-1:]
    assert survey(unit, by_entry(2, 2, 3, 3)) == [[whole[1][2]]]


def test_entry_one_is_the_newest_of_a_lifo() -> None:
    unit = unit_at("DLMS", "2026-07-10T14:10:00", Options(dlms=DlmsOptions(lifo=True)))
    whole = survey(unit)
    assert survey(unit, by_entry(1, 2, 1, 0)) == whole[:2]
    assert instant(whole[0][0]) > instant(whole[1][0])


def test_the_profile_tells_its_columns_period_order_and_entries() -> None:
    unit = unit_at("DLMS", "2026-07-10T14:10:00", Options(dlms=DlmsOptions(lifo=True)))
    host = host_of(unit)

    def attribute(which: int) -> Value:
        return value_of(attribute_of(host, get_request(7, obis("1.0.99.1.0"), which)))

    columns = attribute(3)
    assert isinstance(columns, list)
    assert columns[:3] == [[8, obis("0.0.1.0.0"), 2, 0], [1, obis("0.0.96.10.1"), 2, 0], [3, obis("1.0.1.8.0"), 2, 0]]
    assert (attribute(4), attribute(5), attribute(7)) == (1800, 2, len(truth(unit)))
    assert attribute(6) == columns[0]


@pytest.mark.parametrize("meter_type", SURVEYS)
def test_every_column_is_an_object_with_scaler_and_unit(meter_type: str) -> None:
    unit = unit_at(meter_type, "2026-07-10T14:10:00", Options())
    host = host_of(unit)
    columns = value_of(attribute_of(host, get_request(7, obis(SURVEYS[meter_type]), 3)))
    assert isinstance(columns, list)
    for column in columns[2:]:
        assert isinstance(column, list)
        class_id, name = number(column[0]), column[1]
        assert isinstance(name, bytes)
        assert value_of(attribute_of(host, get_request(class_id, name, 3))) in ([0, 30], [0, 32], [-1, 30], [-1, 32])


def test_a_meter_without_rows_gives_an_empty_array() -> None:
    unit = unit_at("DLMS", "2026-07-10T14:10:00", Options(empty_survey=True))
    assert attribute_of(host_of(unit), get_request(7, obis("1.0.99.1.0"), 2)) == b"\x01\x00"


def test_the_event_log_tells_power_failures_and_clock_settings() -> None:
    options = Options(power_cuts=Rule(1, 610, 10), clock_sets=Rule(1, 845))
    unit = unit_at("DLMS", "2026-07-10T14:10:00", options)
    rows = rows_of(attribute_of(host_of(unit), get_request(7, obis("0.0.99.98.0"), 2, by_range(*DAY))))
    assert [(instant(at).strftime("%H:%M"), code) for at, code in rows] == [("10:10", 1), ("10:20", 2), ("14:05", 5)]


def test_registers_and_survey_agree() -> None:
    unit = unit_at("CEWEPRO100", "2026-07-10T14:00:00", Options())
    host = host_of(unit)
    total = number(value_of(attribute_of(host, get_request(3, obis("1.0.1.8.0"), 2))))
    energies = [values[0] for _, values in expand(survey(unit), timedelta(minutes=30))]
    assert total == sum(energies) + unit.base("import") // 100


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (DlmsOptions(), "07ea070a051028 00 ff ff88 80"),
        (DlmsOptions(deviation="inverted"), "07ea070a051028 00 ff 0078 80"),
        (DlmsOptions(deviation="unknown", clock_status=False), "07ea070a051028 00 ff 8000 ff"),
    ],
)
def test_the_clock_shows_deviation_and_status_the_meters_way(options: DlmsOptions, expected: str) -> None:
    unit = unit_at("DLMS", "2026-07-10T14:40:00", Options(dlms=options), "Europe/Berlin")
    assert attribute_of(host_of(unit), get_request(8, obis("0.0.1.0.0"), 2)) == b"\x09\x0c" + bytes.fromhex(expected)


def test_a_maximum_demand_comes_with_the_end_of_its_interval() -> None:
    unit = unit_at("DLMS", "2026-07-10T14:40:00", Options())
    host = host_of(unit)
    value, when = (value_of(attribute_of(host, get_request(4, obis("1.0.1.6.0"), n))) for n in (2, 5))
    best = max(reading(unit.meter, "import", end - timedelta(minutes=30)) or Decimal(0) for end in truth(unit))
    assert Decimal(number(value)) / 2000 == best
    assert reading(unit.meter, "import", instant(when) - timedelta(minutes=30)) == best


def test_rates_add_up_to_the_total() -> None:
    unit = unit_at("DLMS", "2026-07-10T14:40:00", Options())
    host = host_of(unit)
    total, first, second = (
        number(value_of(attribute_of(host, get_request(3, obis(f"1.0.1.8.{rate}"), 2)))) for rate in (0, 1, 2)
    )
    assert total - 1 <= first + second <= total


def test_a_wrong_serial_is_shown_but_does_not_change_the_address() -> None:
    sound = unit_at("ISKRA_MT880", "2026-07-10T14:40:00", Options())
    meter = replace(sound.meter, faults=(Fault(FaultKind.WRONG_SERIAL),))
    host = host_of(Unit(meter, lambda: 1_783_694_400_000_000_000))
    assert value_of(attribute_of(host, get_request(1, obis("0.0.96.1.0"), 2))) == b"12345670"


def test_stamps_run_on_over_the_autumn_hour() -> None:
    unit = unit_at("ITRON_SL7000", "2026-10-26T14:10:00", Options(), "Europe/Berlin")
    stamps = [instant(row[0]) for row in survey(unit)]
    assert all(later - earlier == timedelta(minutes=30) for earlier, later in pairwise(stamps))


@pytest.mark.parametrize("meter_type", [*SURVEYS, "ISKRA_MX37X"])
def test_every_listed_attribute_can_be_read(meter_type: str) -> None:
    host = host_of(unit_at(meter_type, "2026-07-10T14:10:00", Options(power_cuts=Rule(1, 610, 10))))
    listed = value_of(attribute_of(host, get_request(15, obis("0.0.40.0.0"), 2)))
    assert isinstance(listed, list)
    for entry in listed:
        assert isinstance(entry, list)
        class_id, _, name, access = entry
        assert isinstance(name, bytes)
        assert isinstance(access, list)
        assert isinstance(access[0], list)
        for attribute in access[0]:
            assert isinstance(attribute, list)
            value_of(attribute_of(host, get_request(number(class_id), name, number(attribute[0]))))


def test_instantaneous_values_belong_together() -> None:
    unit = unit_at("DLMS", "2026-11-20T14:10:00", Options())
    host = host_of(unit)

    def measured(name: str) -> Decimal:
        raw, scale = (value_of(attribute_of(host, get_request(3, obis(name), n))) for n in (2, 3))
        assert isinstance(scale, list)
        return Decimal(number(raw)).scaleb(number(scale[0]))

    active, apparent = measured("1.0.1.7.0") - measured("1.0.2.7.0"), measured("1.0.9.7.0")
    assert active == unit.power("import", unit.clock.now()) - unit.power("export", unit.clock.now())
    assert abs(measured("1.0.13.7.0") * apparent - abs(active)) <= apparent / 500
    volts_by_amperes = sum(measured(f"1.0.{32 + n}.7.0") * measured(f"1.0.{31 + n}.7.0") for n in (0, 20, 40))
    assert abs(volts_by_amperes - apparent) < 3
    assert 49 < measured("1.0.14.7.0") < 51


def test_ratios_power_failures_and_status_are_told() -> None:
    options = Options(power_cuts=Rule(1, 610, 10), ct=(200, 5), status_word=6)
    host = host_of(unit_at("DLMS", "2026-07-10T14:10:00", options))

    def value(name: str) -> Value:
        return value_of(attribute_of(host, get_request(1, obis(name), 2)))

    assert [value(f"1.0.0.4.{n}") for n in (2, 3, 5, 6)] == [200, 1, 5, 1]
    assert (value("0.0.96.7.21"), value("0.0.96.11.0"), value("0.0.97.97.0")) == (5, 2, 6)
    assert value("0.0.42.0.0") == b"APA12345678"
