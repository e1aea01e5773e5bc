"""Fleet files, presets and the command line, the last as a real process."""

import json
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mts_metersim.__main__ import app
from mts_metersim.fleet import (
    FaultKind,
    FleetError,
    LoadSpec,
    Meter,
    Options,
    Rule,
    dump_fleet,
    load_fleet,
)
from mts_metersim.presets import DEFAULT_COUNTS, TYPES, fleet

READY_SECONDS = 20.0


def saved(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("preset", DEFAULT_COUNTS)
def test_a_preset_is_the_same_every_time_and_survives_its_file(preset: str, tmp_path: Path) -> None:
    meters = fleet(preset, 23)
    assert meters == fleet(preset, 23)
    path = tmp_path / "fleet.json"
    path.write_text(dump_fleet(meters))
    read_back = load_fleet(path)
    assert [replace(meter, line="") for meter in read_back] == [replace(meter, line="") for meter in meters]
    assert len({meter.serial_number for meter in meters}) == len(meters)


def test_healthy_meters_are_of_every_type_the_a1700_first_some_on_one_line() -> None:
    meters = fleet("healthy")
    assert tuple(meter.meter_type for meter in meters[:5]) == TYPES
    assert all(meter.label is None and meter.clock.zone == "UTC" for meter in meters)
    assert all(meter.installed_days_ago >= 40 and meter.options.gaps is None for meter in meters)
    shared = [meter.outstation_address for meter in meters if meter.line == "shared 1"]
    assert shared == ["001", "002", "003", "004"]


def test_faulty_meters_show_every_fault_and_every_special_case() -> None:
    labels = {meter.label for meter in fleet("faulty")}
    assert labels >= {kind.value for kind in FaultKind}
    assert labels >= {"clock_hour_fast", "zone_with_summer_time", "survey_gaps", "power_cuts"}


def test_the_demo_has_healthy_meters_and_some_that_must_fail() -> None:
    meters = fleet("demo", 6)
    assert [meter.label for meter in meters] == [None] * 6 + ["wrong_serial", "refuses_password", "silent"]


@pytest.mark.parametrize(
    ("item", "named"),
    [
        ({"meterType": "NOKIA", "serialNumber": "1", "load": {"seed": 1}}, "meter 0: bad meterType"),
        ({"meterType": "LG_E650_IEC", "serialNumber": "1", "load": {}}, "meter 0.load"),
        ({"meterType": "LG_E650_IEC", "serialNumber": 1, "load": {"seed": 1}}, "meter 0.serialNumber must be str"),
        ({"meterType": "LG_E650_IEC", "serialNumber": "1", "load": {"seed": 1}, "x": 1}, "meter 0: unknown field 'x'"),
        (
            {"meterType": "LG_E650_IEC", "serialNumber": "1", "load": {"seed": 1}, "faults": [{"kind": "x"}]},
            "unknown kind",
        ),
        (
            {"meterType": "LG_E650_IEC", "serialNumber": "1", "load": {"seed": 1}, "clock": {"zone": "Mars"}},
            "bad clock.zone",
        ),
        (
            {"meterType": "ELSTERA1700", "serialNumber": "1", "load": {"seed": 1}, "password": "short"},
            "bad password",
        ),
        (
            {
                "meterType": "LG_E650_IEC",
                "serialNumber": "1",
                "load": {"seed": 1},
                "options": {"gaps": {"everyDays": 1, "startMinute": 7, "minutes": 5}},
            },
            "rules",
        ),
        ("meter", "meter 0 must be a JSON object"),
    ],
)
def test_a_bad_fleet_file_is_refused_by_name(item: object, named: str, tmp_path: Path) -> None:
    with pytest.raises(FleetError, match=named):
        load_fleet(saved(tmp_path, [item]))


def test_two_meters_of_one_line_must_differ_in_address(tmp_path: Path) -> None:
    item = {"meterType": "LG_E650_IEC", "serialNumber": "1", "load": {"seed": 1}, "line": "one"}
    with pytest.raises(FleetError, match="line 'one' has 2 meters"):
        load_fleet(saved(tmp_path, [item, item]))


def test_a_meters_repr_does_not_show_its_password() -> None:
    assert "SIM00001" not in repr(Meter("LG_E650_IEC", "1", LoadSpec(1), password="SIM00001"))


def test_the_truth_is_printed_as_exact_decimals_with_null_where_nothing_is_recorded(tmp_path: Path) -> None:
    options = Options(channels=("import",), gaps=Rule(1, 60, 30))
    path = tmp_path / "fleet.json"
    path.write_text(dump_fleet([Meter("LG_E650_IEC", "42", LoadSpec(2), options=options)]))
    arguments = ["truth", "--fleet", str(path), "--serial", "42", "--from", "2026-11-16", "--days", "1"]
    answer = CliRunner().invoke(app, arguments)
    told = json.loads(answer.stdout)
    readings = told["channels"]["import"]
    assert len(readings) == 48
    assert readings[2] == {"start": "2026-11-16T01:00:00Z", "value": None}
    assert readings[36] == {"start": "2026-11-16T18:00:00Z", "value": "0.840"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["fleet", "--preset", "huge", "--out", "x.json"],
        ["run", "--fleet", "missing.json"],
        ["truth", "--fleet", "missing.json", "--serial", "1", "--from", "2026-11-16", "--days", "1"],
    ],
)
def test_a_bad_command_line_is_refused(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, arguments).exit_code == 2


def wait_for(path: Path, process: "subprocess.Popen[bytes]") -> list[dict[str, Any]]:
    deadline = time.monotonic() + READY_SECONDS
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
    ready: list[dict[str, Any]] = json.loads(path.read_text())
    return ready


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_fleet_runs_until_it_is_told_to_stop(stop: signal.Signals, tmp_path: Path) -> None:
    file, ready_file, log = (tmp_path / name for name in ("fleet.json", "ready.json", "calls.jsonl"))
    file.write_text(dump_fleet([*fleet("healthy", 6), *fleet("faulty", 1)]))
    command = [sys.executable, "-m", "mts_metersim", "run", "--fleet", str(file)]
    process = subprocess.Popen([*command, "--ready-file", str(ready_file), "--log", str(log)])
    try:
        ready = wait_for(ready_file, process)
        process.send_signal(stop)
        assert process.wait(READY_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    keys = {"meterType", "remoteAddress", "outstationAddress", "serialNumber", "password", "fault", "zone"}
    assert all(set(meter) == keys for meter in ready)
    assert [meter["fault"] for meter in ready] == [None] * 6 + ["silent"]
    ports = [int(meter["remoteAddress"].removeprefix("127.0.0.1:")) for meter in ready]
    assert len(set(ports)) == 7
    assert 0 not in ports


def test_a_taken_port_is_told_and_ends_the_command(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path.write_text(dump_fleet([replace(fleet("healthy", 1)[0], port=taken.getsockname()[1])]))
        command = [sys.executable, "-m", "mts_metersim", "run", "--fleet", str(path)]
        ended = subprocess.run(command, capture_output=True, timeout=READY_SECONDS, check=False)
    assert ended.returncode == 1
    assert b"cannot run the fleet" in ended.stderr
    assert b"Traceback" not in ended.stderr
