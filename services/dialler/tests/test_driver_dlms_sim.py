"""The DLMS driver over TCP against the simulator, which was written from the same fact sheet by other hands."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mts_common.messages import SectionState, SurveyReading
from mts_dialler.channels.tcp import connect
from mts_dialler.drivers.base import ReportBuilder, SurveyRange, Terms
from mts_dialler.drivers.registry import DRIVERS
from mts_dialler.errors import BadCredentials, DiallerError, FrameGarbled, LineDropped, MeterSilent
from mts_dialler.line import Line, LineLimits

DAYS = 4
PASSWORD = "SIM00001"
GMAC = f"gmac:{bytes(range(16)).hex()}:{bytes(range(0xD0, 0xE0)).hex()}"
DISTURBED = {
    "powerCuts": {"everyDays": 2, "startMinute": 610, "minutes": 100},
    "clockSets": {"everyDays": 3, "startMinute": 400},
    "gaps": {"everyDays": 5, "startMinute": 100, "minutes": 90},
}
SOUND: list[dict[str, Any]] = [
    {"meterType": "DLMS"},
    {"meterType": "DLMS", "clock": {"zone": "Europe/Berlin", "offsetSeconds": -203}, "options": DISTURBED},
    {"meterType": "DLMS", "options": {"dlms": {"nulls": "all"}}},
    {"meterType": "DLMS_WRAPPER"},
    {"meterType": "DLMS_WRAPPER", "password": GMAC},
    {"meterType": "ISKRA_MT880", "password": GMAC},
    {"meterType": "ISKRA_MX37X", "clock": {"zone": "Europe/London"}},
    {"meterType": "ISKRA_MT880", "options": {"periodMinutes": 15}},
    {"meterType": "ISKRA_MT880", "options": {"dlms": {"selection": "refused"}}},
    {"meterType": "ITRON_SL7000", "options": DISTURBED},
    {"meterType": "ITRON_SL7000", "options": {"dlms": {"rangeDeviation": "refused"}}},
    {"meterType": "CEWEPRO100"},
    {"meterType": "CEWEPRO100", "options": {"dlms": {"lifo": True}}},
    {"meterType": "LG_DLMS"},
    {"meterType": "LG_DLMS", "clock": {"zone": "Europe/London"}, "options": DISTURBED},
    {"meterType": "DLMS", "faults": [{"kind": "wrong_bcc", "amount": 2}]},
]
FAULTS: list[tuple[dict[str, Any], type[DiallerError]]] = [
    ({"kind": "wrong_bcc"}, FrameGarbled),
    ({"kind": "refuses_password"}, BadCredentials),
    ({"kind": "drops_line", "amount": 3000}, LineDropped),
    ({"kind": "silent"}, MeterSilent),
    ({"kind": "silent_after", "amount": 4000}, MeterSilent),
    ({"kind": "garbage"}, FrameGarbled),
    ({"kind": "echo"}, FrameGarbled),
]
FAULTY = [
    {"meterType": meter_type, "faults": [fault]}
    for meter_type in ("DLMS", "DLMS_WRAPPER")
    for fault, _ in FAULTS
    if meter_type == "DLMS" or fault["kind"] != "wrong_bcc"  # the wrapper has no check
]
ERRORS = {fault["kind"]: error for fault, error in FAULTS}
CHANNELS = {"kWh Import": "import", "kWh Export": "export"} | {f"kvarh Q{i}": f"q{i}" for i in range(1, 5)}


def metersim(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mts_metersim", *arguments]


class Fleet:
    """A running simulator."""

    def __init__(self, path: Path, meters: list[dict[str, Any]]) -> None:
        self.path = path
        self.meters = meters

    def truth(self, serial: str, start: datetime) -> dict[str, dict[datetime, Decimal]]:
        """What it says that the survey must hold: the energy of each period."""
        period = ("--from", f"{start:%Y-%m-%d}", "--days", str(DAYS))
        printed = subprocess.run(
            metersim("truth", "--fleet", str(self.path), "--serial", serial, *period), check=True, capture_output=True
        ).stdout
        return {
            name: {datetime.fromisoformat(row["start"]): Decimal(row["value"]) for row in rows if row["value"]}
            for name, rows in json.loads(printed)["channels"].items()
        }


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("metersim-dlms")
    path, ready = folder / "fleet.json", folder / "ready.json"
    meters = [
        {"serialNumber": f"7100{number:04}", "load": {"seed": number}, "password": PASSWORD, **meter}
        for number, meter in enumerate([*SOUND, *FAULTY])
    ]
    path.write_text(json.dumps(meters))
    with subprocess.Popen(
        metersim("run", "--fleet", str(path), "--ready-file", str(ready)), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert b"listen" in process.stdout.readline()
        yield Fleet(path, json.loads(ready.read_text()))
        process.terminate()


def midnight() -> datetime:
    return datetime.combine(datetime.now(UTC).date(), time(), UTC)


async def read(meter: dict[str, Any], report: ReportBuilder, patience: float = 10.0) -> Terms:
    today = midnight()
    terms = Terms(
        test_id=1,
        meter_type=meter["meterType"],
        password=meter["password"],
        serial_number=meter["serialNumber"],
        zone=ZoneInfo(meter["zone"]),
        survey=SurveyRange(today - timedelta(days=DAYS), today),
    )
    host, _, port = meter["remoteAddress"].rpartition(":")
    channel = await connect([ip_address(host)], int(port), 5.0)
    limits = LineLimits(settle_seconds=0.05, reply_seconds=patience, character_seconds=patience, sign_off_seconds=1.0)
    try:
        await DRIVERS[terms.meter_type].read(Line(channel, limits), terms, report)
    finally:
        await channel.close()
    return terms


def energies(name: str, readings: tuple[SurveyReading, ...]) -> dict[datetime, Decimal]:
    """Of each period; of a channel of totals, of those periods whose predecessor was read."""
    values = {reading.start: reading.value for reading in readings}
    if not name.endswith(" (total)"):
        return values
    starts = sorted(values)
    length = min(later - earlier for earlier, later in itertools.pairwise(starts))
    return {start: values[start] - values[start - length] for start in starts if start - length in values}


@pytest.mark.parametrize("number", range(len(SOUND)))
async def test_a_simulated_meter_is_read_as_it_is(fleet: Fleet, number: int) -> None:
    meter, report = fleet.meters[number], ReportBuilder()
    terms = await read(meter, report)
    sections = report.sections(DRIVERS[terms.meter_type].sections(terms), "nothing was said")
    assert {result.state for result in sections.values()} == {SectionState.READ}, sections
    assert report.serial_number == meter["serialNumber"]
    assert report.clock is not None
    expected_offset = SOUND[number].get("clock", {}).get("offsetSeconds", 0)
    assert abs(report.clock.offset_seconds - expected_offset) <= 1
    truth = fleet.truth(meter["serialNumber"], midnight() - timedelta(days=DAYS))
    data = report.data()
    assert {each.name for each in data.registers} >= {"Active Energy Import", "Voltage L1", "Frequency"}
    assert {CHANNELS[channel.name.removesuffix(" (total)")] for channel in data.survey} == truth.keys()
    for channel in data.survey:
        expected = truth[CHANNELS[channel.name.removesuffix(" (total)")]]
        assert {reading.start for reading in channel.readings} == set(expected)
        for start, value in energies(channel.name, channel.readings).items():
            assert value == expected[start], (channel.name, start)


@pytest.mark.parametrize("number", range(len(FAULTY)))
async def test_a_simulated_fault_ends_as_its_error(fleet: Fleet, number: int) -> None:
    with pytest.raises(ERRORS[FAULTY[number]["faults"][0]["kind"]]):  # type: ignore[index]
        await read(fleet.meters[len(SOUND) + number], ReportBuilder(), patience=0.3)
