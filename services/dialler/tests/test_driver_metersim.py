"""The drivers over TCP against the simulator, which was written from the same fact sheets by other hands."""

from __future__ import annotations

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

from mts_common.messages import SectionState
from mts_dialler.channels.tcp import connect
from mts_dialler.drivers.base import ReportBuilder, SurveyRange, Terms
from mts_dialler.drivers.registry import DRIVERS
from mts_dialler.line import Line, LineLimits

DAYS = 10
PASSWORD = "SIM00001"
CUTS = {"powerCuts": {"everyDays": 2, "startMinute": 610, "minutes": 100}}
SHORT_CUTS = {"powerCuts": {"everyDays": 2, "startMinute": 610, "minutes": 10}}
GAPS = {
    "gaps": {"everyDays": 3, "startMinute": 100, "minutes": 60},
    "clockSets": {"everyDays": 4, "startMinute": 300},
}


def edmi(serial: str) -> dict[str, str]:
    return {"serialNumber": serial, "outstationAddress": serial, "password": "READER,S3cret"}


FLEET: list[dict[str, Any]] = [
    {"meterType": "ELSTERA1700", "clock": {"zone": "Europe/London"}, "password": PASSWORD, "options": CUTS},
    {
        "meterType": "ELSTERA1700",
        "clock": {"offsetSeconds": -203},
        "password": PASSWORD,
        "options": {"periodMinutes": 15},
    },
    {"meterType": "ELSTERA1140", "clock": {"zone": "Europe/London"}, "password": PASSWORD, "options": SHORT_CUTS},
    {"meterType": "LG_E650_IEC", "clock": {"zone": "Europe/Berlin"}, "password": PASSWORD, "options": CUTS},
    {"meterType": "EMH_LZQJ", "clock": {"zone": "Europe/London"}, "password": PASSWORD, "options": SHORT_CUTS},
    {"meterType": "IEC62056_21", "options": {"profile": "energy", "parity": "none"}},
    {"meterType": "LG_E650_IEC", "faults": [{"kind": "wrong_bcc", "amount": 2}]},
    {"meterType": "ISKRA_MT174"},
    {"meterType": "EDMIATLAS", "clock": {"zone": "Europe/Berlin", "offsetSeconds": 95}, "options": CUTS}
    | edmi("251308613"),
    {"meterType": "EDMIATLAS", "load": {"seed": 20, "kind": "factory"}, "options": {"periodMinutes": 15}} | edmi("7"),
    {"meterType": "EDMIGENIUS", "clock": {"zone": "Europe/London", "offsetSeconds": -40}, "options": CUTS} | edmi("8"),
    {"meterType": "EDMIGENIUS", "faults": [{"kind": "wrong_bcc", "amount": 2}], "options": GAPS} | edmi("9"),
    {"meterType": "EDMIATLAS", "faults": [{"kind": "wrong_bcc", "amount": 2}], "options": GAPS} | edmi("4294967295"),
]
CHANNELS = {"kWh Import": "import", "kWh Export": "export"} | {f"kvarh Q{i}": f"q{i}" for i in range(1, 5)}
# Which of a Genius's registers is Q3 and which Q4 is in doubt, so those channels have the meter's own names.
CHANNELS |= {"q3 energy": "q3", "q4 energy": "q4"}


def metersim(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mts_metersim", *arguments]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """The fleet file and where its meters listen."""
    folder = tmp_path_factory.mktemp("metersim")
    path, ready = folder / "fleet.json", folder / "ready.json"
    meters = [{"serialNumber": f"TEST{number}", "load": {"seed": number}} | meter for number, meter in enumerate(FLEET)]
    path.write_text(json.dumps(meters))
    with subprocess.Popen(
        metersim("run", "--fleet", str(path), "--ready-file", str(ready)), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert b"listen" in process.stdout.readline()
        yield path, json.loads(ready.read_text())
        process.terminate()


def truth(fleet: Path, serial: str, start: datetime) -> dict[str, dict[datetime, Decimal]]:
    """What the simulator says that the survey must hold."""
    printed = subprocess.run(
        metersim(
            "truth", "--fleet", str(fleet), "--serial", serial, "--from", f"{start:%Y-%m-%d}", "--days", str(DAYS)
        ),
        check=True,
        capture_output=True,
    ).stdout
    return {
        name: {datetime.fromisoformat(row["start"]): Decimal(row["value"]) for row in rows if row["value"] is not None}
        for name, rows in json.loads(printed)["channels"].items()
    }


@pytest.mark.parametrize("number", range(len(FLEET)))
async def test_a_simulated_meter_is_read_as_it_is(fleet: tuple[Path, list[dict[str, Any]]], number: int) -> None:
    path, meters = fleet
    meter = meters[number]
    today = datetime.combine(datetime.now(UTC).date(), time(), UTC)
    start = today - timedelta(days=DAYS)
    has_survey = meter["meterType"] != "ISKRA_MT174"
    terms = Terms(
        test_id=1,
        meter_type=meter["meterType"],
        outstation_address=meter["outstationAddress"],
        password=meter["password"],
        zone=ZoneInfo(meter["zone"]),
        survey=SurveyRange(start, today) if has_survey else None,
    )
    host, _, port = meter["remoteAddress"].rpartition(":")
    driver, report = DRIVERS[terms.meter_type], ReportBuilder()
    channel = await connect([ip_address(host)], int(port), 5.0)
    try:
        await driver.read(Line(channel, LineLimits(settle_seconds=0.05)), terms, report)
    finally:
        await channel.close()
    sections = report.sections(driver.sections(terms), "nothing was said")
    assert {result.state for result in sections.values()} == {SectionState.READ}, sections
    assert report.serial_number == meter["serialNumber"]
    assert report.clock is not None
    expected_offset = FLEET[number].get("clock", {}).get("offsetSeconds", 0)
    assert abs(report.clock.offset_seconds - expected_offset) <= 1
    if has_survey:
        found = {
            CHANNELS[channel.name]: {reading.start: reading.value for reading in channel.readings}
            for channel in report.data().survey
        }
        assert found == truth(path, meter["serialNumber"], start)
