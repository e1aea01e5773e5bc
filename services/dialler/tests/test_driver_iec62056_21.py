"""The IEC 62056-21 driver against a meter in memory: what it reads, and how it takes every fault of line and meter."""

# ruff: noqa: DTZ007 - meters show wall clocks without a zone
from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mts_common.catalogue import CATALOGUE
from mts_common.messages import RegisterCategory, Section, SectionState, SurveyChannel
from mts_dialler.drivers import iec_types
from mts_dialler.drivers.base import ReportBuilder, SurveyRange, Terms
from mts_dialler.drivers.iec62056_21 import Iec6205621Driver
from mts_dialler.drivers.registry import DRIVERS
from mts_dialler.drivers.testing import AnsweringChannel, Reply
from mts_dialler.errors import (
    BadCredentials,
    CallTooLong,
    DiallerError,
    FrameGarbled,
    LineDropped,
    MeterRefused,
    MeterSilent,
)
from mts_dialler.line import Line
from mts_dialler.protocols.iec62056_21.framing import block_check
from mts_dialler.testing import ManualClock

CAPTURES = Path(__file__).parent / "captures"
LONDON = ZoneInfo("Europe/London")
BERLIN = ZoneInfo("Europe/Berlin")
UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2024, 11, 5, 12, 0, 30, tzinfo=UTC)
PASSWORD = "00004711"
READOUT = (
    "F.F(00000000)\r\nC.1.0(54800102)\r\n0.9.1(120027)\r\n0.9.2(241105)\r\n0.2.0(B40)\r\n"
    "1.8.0(000102.28*kWh)\r\n1.8.1(000100.00*kWh)\r\n32.7.0(230.1*V)\r\n!\r\n"
)

Spoiler = Callable[[bytes, int], list[Reply]]


def framed(content: bytes) -> bytes:
    return content + bytes([block_check(content[1:])])


def data_message(text: str, end: str = "\x03") -> bytes:
    return framed(f"\x02{text}{end}".encode("latin-1"))


def captured(name: str) -> str:
    lines = (CAPTURES / name).read_text().splitlines()
    return "".join(f"{line}\r\n" for line in lines if not line.startswith(("#", "/")) and len(line) > 1) + "!\r\n"


def half_hours(request: str) -> str:
    """Rows of half-hours with a new header at each midnight, for a clock in UTC; the value is the hour of the end."""
    start, end = (datetime.strptime(text[1:11], "%y%m%d%H%M") for text in request.split(";")[:2])
    text, stamp = "", start + timedelta(minutes=(-start.minute) % 30)
    fresh = True
    while stamp <= end:
        if fresh or (stamp.hour, stamp.minute) == (0, 30):
            text += f"P.01(0{stamp:%y%m%d%H%M%S})(00000000)(30)(2)(1.5)(kW)(5.5)(kvar)\r\n"
        fresh = False
        text += f"({stamp.hour}.50)(0.02)\r\n"
        stamp += timedelta(minutes=30)
    return text or "P.01(ERROR)"


class Meter:
    """A mode C meter. `spoil` may change each reply, given with its number."""

    def __init__(
        self,
        readout: str = READOUT,
        identification: str = "/LGZ5\\2ZMD4054459.B40",
        profile: Callable[[str], str] = half_hours,
        log: str = "P.98(ERROR)",
        password: str = "",
        refusal: bytes = b"\x15",
        spoil: Spoiler | None = None,
    ) -> None:
        self.passwords = 0
        self.commands: list[str] = []
        self._readout = readout
        self._identification = identification
        self._profile = profile
        self._log = log
        self._password = password
        self._refusal = refusal
        self._spoil = spoil
        self._count = 0
        self._blocks: list[bytes] = []
        self._last = b""

    def __call__(self, message: bytes) -> list[Reply]:
        reply = self._answer(message)
        if not reply:
            return []
        self._count += 1
        return self._spoil(reply, self._count) if self._spoil else [reply]

    def _answer(self, message: bytes) -> bytes:
        match message[:1]:
            case b"/":
                return f"{self._identification}\r\n".encode()
            case b"\x06" if message[3:4] == b"0":
                self._last = data_message(self._readout)
            case b"\x06" if message[3:4] == b"1":
                return framed(b"\x01P0\x02(00000001)\x03")
            case b"\x06":
                self._last = self._blocks.pop(0)
            case b"\x15":
                pass
            case _:
                return self._command(message[1:3].decode(), message[4:-2].decode())
        return self._last

    def _command(self, code: str, data: str) -> bytes:
        self.commands.append(f"{code} {data}" if code != "P1" else code)
        if code == "B0":
            return b""
        if code == "P1":
            self.passwords += 1
            return b"\x06" if data == f"({self._password})" else self._refusal
        text = self._log if data.startswith("P.98") else self._profile(data[5:-1])
        if code == "R6" and text.startswith("P.01(") and not text.startswith("P.01(E"):
            lines = text.splitlines()
            parts = ["\r\n".join(lines[start : start + 8]) for start in range(0, len(lines), 8)]
            self._blocks = [data_message(part, "\x04") for part in parts[:-1]] + [data_message(parts[-1])]
            self._last = self._blocks.pop(0)
        else:
            self._last = data_message(text)
        return self._last


class Test:
    """A driver, a meter, and what came of it."""

    __test__ = False

    def __init__(self, meter: Callable[[bytes], list[Reply]], **terms: object) -> None:
        self.meter = meter
        self.clock = ManualClock(NOW)
        self.channel = AnsweringChannel(self.clock, meter)
        self.line = Line(self.channel, clock=self.clock)
        self.report = ReportBuilder()
        self.terms = Terms(**({"test_id": 1, "meter_type": "LG_E650_IEC"} | terms))  # type: ignore[arg-type]
        self.error: DiallerError | None = None

    async def run(self, driver: Iec6205621Driver | None = None) -> Test:
        reader = driver or DRIVERS[self.terms.meter_type]
        try:
            await reader.read(self.line, self.terms, self.report)
        except DiallerError as error:
            self.error = error
        self.wanted = reader.sections(self.terms)
        self.sections = self.report.sections(self.wanted, str(self.error))
        return self

    @property
    def states(self) -> dict[Section, SectionState]:
        return {section: result.state for section, result in self.sections.items()}

    def registers(self) -> dict[str, object]:
        return {r.name: r.number if r.number is not None else r.text for r in self.report.registers}

    def survey(self) -> dict[str, SurveyChannel]:
        return {channel.name: channel for channel in self.report.data().survey}

    def trace(self) -> str:
        return gzip.decompress(self.line.trace.render()).decode()


def days(count: int, start: datetime = datetime(2024, 11, 1, tzinfo=UTC)) -> SurveyRange:
    return SurveyRange(start, start + timedelta(days=count))


def all_read(test: Test) -> bool:
    return test.error is None and set(test.states.values()) == {SectionState.READ} and test.states.keys() == test.wanted


# --- what is read


async def test_a_meter_is_read_whole() -> None:
    log = "P.98(0241101080000)(0080)()(0)\r\nP.98(0241101080500)(0040)()(0)\r\n"
    test = await Test(Meter(log=log), survey=days(1)).run()
    assert all_read(test)
    report = test.report
    assert report.serial_number == "54800102"
    assert report.clock is not None
    assert report.clock.meter_time == datetime(2024, 11, 5, 12, 0, 27, tzinfo=UTC)
    assert report.clock.offset_seconds == -3
    assert report.status_events == ["Power down at 2024-11-01T08:00:00Z", "Power up at 2024-11-01T08:05:00Z"]
    assert {(p.name, p.value) for p in report.properties} == {
        ("Identification", "/LGZ5\\2ZMD4054459.B40"),
        ("Firmware", "B40"),
    }
    assert [(r.category, r.name, r.number, r.text, r.units) for r in report.registers] == [
        (RegisterCategory.MISCELLANEOUS, "Error Register", None, "00000000", ""),
        (RegisterCategory.MISCELLANEOUS, "Serial Number", None, "54800102", ""),
        (RegisterCategory.MISCELLANEOUS, "Firmware", None, "B40", ""),
        (RegisterCategory.ENERGY, "Active Energy Import", Decimal("102.28"), None, "kWh"),
        (RegisterCategory.TIME_OF_USE, "Active Energy Import T1", Decimal("100.00"), None, "kWh"),
        (RegisterCategory.INSTANTANEOUS, "Voltage L1", Decimal("230.1"), None, "V"),
    ]
    assert report.profile_configuration == ["kWh Import", "kvarh Q1"]
    channel = test.survey()["kWh Import"]
    assert len(channel.readings) == 48
    assert channel.units == "kWh"
    assert channel.readings[0].start == datetime(2024, 11, 1, tzinfo=UTC)
    assert channel.readings[0].value == Decimal("0.25")
    assert channel.readings[-1].start == datetime(2024, 11, 1, 23, 30, tzinfo=UTC)
    assert test.channel.sent[-1] == b"\x01B0\x03\x71"


async def test_without_a_survey_the_header_over_the_newest_rows_names_the_channels() -> None:
    meter = Meter()
    test = await Test(meter).run()
    assert all_read(test)
    assert meter.commands == ["R5 P.01(02411051000;02411051200)", "R5 P.98(02410051200;)", "B0 "]
    assert test.report.profile_configuration == ["kWh Import", "kvarh Q1"]


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


async def test_an_mt174_is_read_out_alone() -> None:
    digits = "".join(line for line in (CAPTURES / "iskra_mt174_frame.hex").read_text().splitlines() if line[0] != "#")
    identification, _, frame = bytes.fromhex(digits).partition(b"\r\n")

    def meter(message: bytes) -> list[Reply]:
        return [identification + b"\r\n"] if message[:1] == b"/" else [frame] if message[:1] == b"\x06" else []

    test = await Test(meter, meter_type="ISKRA_MT174", password=PASSWORD).run()
    assert test.channel.sent == [b"/?!\r\n", b"\x06050\r\n", b"\x01B0\x03\x71"]
    assert test.registers() == {
        "Active Energy Import": Decimal("502.853"),
        "Active Energy Export": Decimal("98697.318"),
    }
    assert test.states[Section.SERIAL_NUMBER] is SectionState.FAILED
    assert test.sections[Section.SERIAL_NUMBER].error == "the readout shows no serial number"
    assert test.report.clock is not None
    assert test.report.clock.meter_time == datetime(2022, 1, 27, 10, 56, 44, tzinfo=UTC)


async def test_a_meter_of_no_known_type_is_put_into_programming_mode_only_for_a_survey() -> None:
    meter = Meter()
    test = await Test(meter, meter_type="IEC62056_21").run()
    assert all_read(test)
    assert meter.commands == ["B0 "]
    assert Section.PROFILE_CONFIGURATION not in test.wanted


async def test_a_meter_on_a_shared_line_is_called_by_its_address() -> None:
    test = await Test(Meter(), outstation_address="00123").run()
    assert test.channel.sent[0] == b"/?00123!\r\n"


async def test_a_meter_that_sends_its_data_unasked_is_read() -> None:
    def meter(message: bytes) -> list[Reply]:
        return [b"/SIEC2WR5\r\n" + data_message(READOUT)] if message[:1] == b"/" else []

    test = await Test(meter, meter_type="IEC62056_21").run()
    assert all_read(test)


async def test_a_real_list_with_tariffs_resets_and_dip_counters() -> None:
    test = await Test(Meter(captured("lg_zmd3104407_B24.txt")), meter_type="IEC62056_21", zone=BERLIN).run()
    registers = test.registers()
    assert registers["Active Energy Import"] == Decimal("102.28")
    assert registers["Active Energy Import at reset 19"] == Decimal("101.71")
    assert registers["Reactive Energy Q1 T2"] == Decimal("0.545")
    assert registers["Active Maximum Demand Import T1"] == Decimal("0.01")
    assert registers["Active Maximum Demand Import T1 Time"] == "2017-11-02T07:30:00Z"
    assert "Active Maximum Demand Export T1 Time" not in registers
    assert registers["Voltage L3"] == Decimal("239.5")
    assert registers["32.7.0"] == "0002"
    assert registers["Power Failures"] == Decimal(197)
    assert test.report.serial_number == "95316176"
    categories = {r.name: r.category for r in test.report.registers}
    assert categories["Reactive Energy Q1 T2"] is RegisterCategory.TIME_OF_USE


async def test_a_code_that_comes_three_times_is_numbered() -> None:
    test = await Test(Meter(captured("metcom_mcs301_table1.txt")), meter_type="IEC62056_21").run()
    registers = test.registers()
    assert [registers[name] for name in ("Firmware", "Firmware (2)", "Firmware (3)")] == [
        "01.01.28",
        "02.02.13",
        "2.2.8",
    ]


async def test_glued_units_commas_and_media_other_than_electricity() -> None:
    test = await Test(Meter(captured("iskra_mt382_1008.txt")), meter_type="IEC62056_21").run()
    assert test.registers()["Active Energy Import"] == Decimal("10192.57")
    heat = "6.8(0029.055*MWh)6.26(01589.28*m3)9.21(00010213)0.0(00010213)!\r\n"
    test = await Test(Meter(heat), meter_type="IEC62056_21").run()
    assert test.registers() == {
        "6.8": Decimal("29.055"),
        "6.26": Decimal("1589.28"),
        "9.21": "00010213",
        "0.0": "00010213",
    }
    assert test.report.serial_number == "00010213"
    assert test.states[Section.CLOCK] is SectionState.FAILED


@pytest.mark.parametrize(
    ("sets", "zone", "expected"),
    [
        ("0.9.1(1130027)\r\n0.9.2(1240705)", BERLIN, datetime(2024, 7, 5, 11, 0, 27, tzinfo=UTC)),
        ("0.9.1(13:00:27)\r\n0.9.2(24-07-05)", BERLIN, datetime(2024, 7, 5, 11, 0, 27, tzinfo=UTC)),
        ("0.9.1(2130027)\r\n0.9.2(2240705)", BERLIN, datetime(2024, 7, 5, 13, 0, 27, tzinfo=UTC)),
        ("1.0.0(240705130027S)", BERLIN, datetime(2024, 7, 5, 11, 0, 27, tzinfo=UTC)),
        ("0.9.1(013000)\r\n0.9.2(241027)", LONDON, datetime(2024, 10, 27, 1, 30, tzinfo=UTC)),
    ],
)
async def test_the_clock_in_its_spellings(sets: str, zone: ZoneInfo, expected: datetime) -> None:
    test = await Test(Meter(f"{sets}\r\n1.8.0(1*kWh)\r\n!\r\n"), meter_type="IEC62056_21", zone=zone).run()
    assert test.report.clock is not None
    assert test.report.clock.meter_time == expected


async def test_the_clock_counts_from_when_it_came_not_from_the_end_of_the_list() -> None:
    class Slow(AnsweringChannel):
        async def read(self, max_bytes: int, seconds: float) -> bytes:
            data = await super().read(min(max_bytes, 64), seconds)
            test.clock.advance(1)
            return data

    test = Test(Meter(), meter_type="IEC62056_21")
    test.line = Line(Slow(test.clock, test.meter), clock=test.clock)
    await test.run()
    # The identification takes one second, and one more the first 64 characters of the list, in which the clock stands;
    # half of that one was the way to the meter.
    assert test.report.clock is not None
    assert test.report.clock.offset_seconds == -4


async def test_a_list_that_is_given_again_has_the_clock_of_the_second_time() -> None:
    def damaged_once(reply: bytes, number: int) -> list[Reply]:
        if number == 2:
            return [reply[:-1] + bytes([reply[-1] ^ 0x55])]
        if number == 3:
            test.clock.advance(20)
            return [data_message(READOUT.replace("120027", "120037"))]
        return [reply]

    test = Test(Meter(spoil=damaged_once), meter_type="IEC62056_21")
    await test.run()
    assert test.report.clock is not None
    assert test.report.clock.offset_seconds == -3


async def test_an_error_register_is_told_as_an_event() -> None:
    readout = READOUT.replace("F.F(00000000)", "F.F(00000042)")
    test = await Test(Meter(readout), meter_type="ISKRA_MT174").run()
    assert test.report.status_events == ["Error register 00000042: Parameter checksum error, Maintenance due"]
    test = await Test(Meter(readout), meter_type="IEC62056_21").run()
    assert test.report.status_events == ["Error register 00000042"]


async def test_transformer_ratios_are_a_property() -> None:
    readout = READOUT.replace("!\r\n", "0.4.2(600)\r\n0.4.5(5)\r\n0.4.3(1)\r\n!\r\n")
    test = await Test(Meter(readout), meter_type="IEC62056_21").run()
    assert {p.name: p.value for p in test.report.properties}["CT\\VT ratios"] == "CT: 600:5 VT: 1:1"


# --- the survey


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


# --- the event log


@pytest.mark.parametrize(
    ("log", "error"),
    [
        ("P.98(ER0001)", "event log: ER0001 (unknown command)"),
        ("P.98(ERROR)", None),
    ],
)
async def test_a_log_that_is_refused_is_partial_and_one_that_is_empty_is_not(log: str, error: str | None) -> None:
    test = await Test(Meter(log=log)).run()
    assert test.error is None
    assert test.sections[Section.STATUS_EVENTS].error == error


@pytest.mark.parametrize("reply", [[], [b"\x15"], [b"\x02P.98(024110108"]])
async def test_a_log_that_cannot_be_read_costs_nothing_else(reply: list[Reply]) -> None:
    inner = Meter()

    def no_log(message: bytes) -> list[Reply]:
        return reply if b"P.98" in message else inner(message)

    test = await Test(no_log, survey=days(1)).run()
    assert test.error is None
    states = test.states
    assert states.pop(Section.STATUS_EVENTS) is SectionState.PARTIAL
    assert set(states.values()) == {SectionState.READ}


async def test_events_without_a_status_are_told_by_their_values_in_order_of_time() -> None:
    log = (
        "P.98(0241104234904)(00)()(2)(0-0:C.11.0)()(0-0:C.11.10)()(4)(0)\r\n"
        "P.98(0241104234849)(00)()(1)(0-0:C.11.0)()(5)\r\n"
        "P.98(0241103000000)(8000)()(0)\r\n"
    )
    test = await Test(Meter(log=log)).run()
    assert test.report.status_events == [
        "Status 8000 at 2024-11-03T00:00:00Z",
        "Event 0-0:C.11.0 5 at 2024-11-04T23:48:49Z",
        "Event 0-0:C.11.0 4, 0-0:C.11.10 0 at 2024-11-04T23:49:04Z",
    ]


# --- passwords


async def test_a_password_is_given_once_before_the_first_command_and_is_struck_out_of_the_trace() -> None:
    meter = Meter(password=PASSWORD)
    test = await Test(meter, password=PASSWORD, survey=days(1)).run()
    assert all_read(test)
    assert meter.commands[0] == "P1"
    assert meter.passwords == 1
    assert PASSWORD.encode().hex() not in test.trace()
    assert PASSWORD not in test.trace()


async def test_without_a_password_none_is_given() -> None:
    meter = Meter()
    await Test(meter, survey=days(1)).run()
    assert meter.passwords == 0


@pytest.mark.parametrize("refusal", [b"\x15", framed(b"\x01B0\x03"), data_message("(ERROR02)")])
async def test_a_refused_password_is_never_repeated(refusal: bytes) -> None:
    meter = Meter(password="other", refusal=refusal)
    test = await Test(meter, password=PASSWORD, survey=days(2)).run()
    assert isinstance(test.error, BadCredentials)
    assert meter.passwords == 1
    assert PASSWORD not in str(test.error)
    assert test.states[Section.REGISTERS] is SectionState.READ
    assert test.states[Section.SURVEY] is SectionState.FAILED
    assert test.channel.sent[-1] == b"\x01B0\x03\x71"


async def test_a_password_that_gets_no_answer_is_not_repeated_either() -> None:
    def deaf(reply: bytes, _: int) -> list[Reply]:
        return [] if reply == b"\x06" else [reply]

    meter = Meter(password=PASSWORD, spoil=deaf)
    test = await Test(meter, password=PASSWORD, survey=days(1)).run()
    assert isinstance(test.error, MeterSilent)
    assert meter.passwords == 1


# --- faults


async def test_a_silent_meter_is_called_three_times_and_then_signed_off() -> None:
    test = await Test(lambda _: []).run()
    assert isinstance(test.error, MeterSilent)
    assert test.channel.sent.count(b"/?!\r\n") == 3
    assert test.channel.sent[-1] == b"\x01B0\x03\x71"
    assert test.clock.monotonic() < 40


async def test_a_line_that_only_echoes_is_a_silent_meter() -> None:
    test = await Test(lambda message: [message]).run()
    assert isinstance(test.error, MeterSilent)


async def test_an_echoing_line_with_a_meter_behind_it_is_read() -> None:
    meter = Meter()
    test = await Test(lambda message: [message, *meter(message)], survey=days(1)).run()
    assert all_read(test)


async def test_noise_without_end_does_not_keep_a_call_open() -> None:
    test = await Test(lambda _: [b"\x00" * 100] * 50).run()
    assert isinstance(test.error, FrameGarbled)
    assert test.channel.sent.count(b"/?!\r\n") == 3
    assert test.clock.monotonic() < 40


@pytest.mark.parametrize("number", [2, 4, 6])
async def test_a_damaged_block_is_asked_for_again(number: int) -> None:
    def spoils(reply: bytes, count: int) -> list[Reply]:
        return [reply[:-1] + bytes([reply[-1] ^ 1])] if count == number else [reply]

    test = await Test(Meter(spoil=spoils), survey=days(2)).run()
    assert all_read(test)


async def test_a_readout_that_is_damaged_each_time_is_garbled() -> None:
    def spoils(reply: bytes, _: int) -> list[Reply]:
        return [reply[:-1] + bytes([reply[-1] ^ 1])] if reply[:1] == b"\x02" else [reply]

    test = await Test(Meter(spoil=spoils)).run()
    assert isinstance(test.error, FrameGarbled)
    assert test.channel.sent.count(b"\x15") == 2
    assert test.report.registers == []


async def test_a_damaged_partial_block_is_asked_for_again_alone() -> None:
    def spoils(reply: bytes, count: int) -> list[Reply]:
        return [reply[:-1] + bytes([reply[-1] ^ 1])] if count % 3 == 0 and b"\x04" in reply else [reply]

    meter = Meter(spoil=spoils)
    test = await Test(meter, meter_type="EMH_LZQJ", survey=days(1)).run()
    assert all_read(test)
    assert len(test.survey()["kWh Import"].readings) == 48
    assert test.channel.sent.count(b"\x15") >= 1


async def test_a_block_that_is_lost_begins_its_answer_anew() -> None:
    lost: list[int] = []

    def loses(reply: bytes, count: int) -> list[Reply]:
        if b"\x04" in reply and count > 8 and not lost:
            lost.append(count)
            return []
        return [reply]

    test = await Test(Meter(spoil=loses), meter_type="EMH_LZQJ", survey=days(1)).run()
    assert lost
    assert all_read(test)
    assert len(test.survey()["kWh Import"].readings) == 48


async def test_a_meter_that_switches_its_speed_away_is_asked_to_stay() -> None:
    inner = Meter()

    def switches(message: bytes) -> list[Reply]:
        return [] if message == b"\x06050\r\n" else inner(message)

    test = await Test(switches, meter_type="IEC62056_21").run()
    assert all_read(test)
    assert b"\x06000\r\n" in test.channel.sent


async def test_a_meter_that_sends_its_list_in_place_of_programming_mode_has_none() -> None:
    inner = Meter()

    def lists(message: bytes) -> list[Reply]:
        return [data_message(READOUT)] if message == b"\x06051\r\n" else inner(message)

    test = await Test(lists, survey=days(1)).run()
    assert test.sections[Section.SURVEY].error == "the meter has no programming mode"


async def test_a_meter_without_programming_mode_still_gives_its_list() -> None:
    inner = Meter()

    def refuses(message: bytes) -> list[Reply]:
        return [b"\x15"] if message == b"\x06051\r\n" else inner(message)

    test = await Test(refuses, survey=days(1)).run()
    assert test.error is None
    assert test.states[Section.REGISTERS] is SectionState.READ
    assert test.states[Section.SURVEY] is SectionState.FAILED
    assert test.sections[Section.SURVEY].error == "the meter refused programming mode"


async def test_a_meter_that_gives_no_list_may_still_give_its_survey() -> None:
    inner = Meter()

    def refuses(message: bytes) -> list[Reply]:
        return [b"\x15"] if message == b"\x06050\r\n" else inner(message)

    test = await Test(refuses, survey=days(1)).run()
    assert test.states[Section.REGISTERS] is SectionState.FAILED
    assert test.states[Section.SURVEY] is SectionState.READ


async def test_an_endless_reply_ends_by_the_budget() -> None:
    def endless(reply: bytes, _: int) -> list[Reply]:
        return [b"\x02", *[b"1.8.0(1*kWh)\r\n" * 290] * 2000] if reply[:1] == b"\x02" else [reply]

    test = await Test(Meter(spoil=endless)).run()
    assert isinstance(test.error, CallTooLong)
    assert test.channel.sent[-1] == b"\x01B0\x03\x71"


@pytest.mark.parametrize("cut", range(0, 200, 7))
async def test_a_call_cut_anywhere_ends_in_time_with_an_error_of_ours(cut: int) -> None:
    left = [cut]

    def cuts(reply: bytes, _: int) -> list[Reply]:
        part = reply[: left[0]]
        left[0] -= len(part)
        return [part] if part else []

    test = await Test(Meter(spoil=cuts), survey=days(1)).run()
    assert isinstance(test.error, MeterSilent | FrameGarbled)
    assert test.clock.monotonic() < 120
    assert SectionState.READ not in {test.states[Section.SURVEY]}


@pytest.mark.parametrize("chunk", [1, 3, 1000])
async def test_a_line_may_deliver_in_any_pieces(chunk: int) -> None:
    def pieces(reply: bytes, _: int) -> list[Reply]:
        return [reply[start : start + chunk] for start in range(0, len(reply), chunk)]

    test = await Test(Meter(spoil=pieces), survey=days(1)).run()
    assert all_read(test)


def test_every_supported_meter_type_has_its_driver() -> None:
    supported = {name for name, meter in CATALOGUE.items() if meter.supported}
    assert DRIVERS.keys() == supported


def test_a_type_that_keeps_no_survey_is_the_one_without_a_profile_command() -> None:
    assert not CATALOGUE["ISKRA_MT174"].keeps_survey
    assert iec_types.ISKRA_MT174.profile_command is None
