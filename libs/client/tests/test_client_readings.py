"""`mts devices` and `mts measurements` against a carbonTRACK in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from mts_client import config
from mts_client.carbontrack.testing import PASSWORD, USER, FakeCarbonTrack
from mts_client.testing import URL

DEVICE = "8796541235874587"
Run = Callable[..., Result]


@pytest.fixture
def service() -> FakeCarbonTrack:
    service = FakeCarbonTrack(most=2)
    service.add_device(
        DEVICE,
        DeviceName="Roof and\x1b house",
        CustomerRef="ABC123",
        IPAddress="10.0.0.7",
        DeviceDataUpdateDateTime="2024-01-01T01:30:00Z",
    )
    service.add_device("8796541235874588", IsRegistered=False)
    service.add_device("8796541235874589", CustomerRef="XYZ789")
    values = (("1.25", None), ("1.20", "0.50"), ("0.00", "3.50"), ("0.01", None))
    start = datetime(2024, 1, 1, tzinfo=UTC)
    service.add_records(
        DEVICE,
        [
            ((start + n * timedelta(minutes=30)).isoformat(), {"PowerUsage": usage, "Generating": generating})
            for n, (usage, generating) in enumerate(values)
        ],
    )
    return service


@pytest.fixture
def run(service: FakeCarbonTrack, run_as_user: Callable[..., Run]) -> Run:
    """Runs `mts` with these arguments against `service`."""
    return run_as_user(service.transport(), USER, PASSWORD)


def sent(service: FakeCarbonTrack) -> Any:
    return json.loads(service.requests[-1].content)


def test_devices_are_listed_over_all_pages(run: Run) -> None:
    result = run("devices")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "DEVICE            NAME                CUSTOMER  REGISTERED  IP ADDRESS  LAST TEST  LAST READING",
        "8796541235874587  Roof and\\x1b house  ABC123    yes         10.0.0.7               2024-01-01 01:30:00",
        "8796541235874588                                no",
        "8796541235874589                      XYZ789    yes",
    ]


def test_devices_are_chosen(run: Run) -> None:
    assert run("devices", "--registered").stdout.count("\n") == 3
    assert run("devices", "--customer", "XYZ789").stdout.splitlines()[1].startswith("8796541235874589")
    assert run("devices", "--customer", "NOPE").stdout.count("\n") == 1


def test_json_is_one_page_as_the_server_sent_it(run: Run, service: FakeCarbonTrack) -> None:
    first = json.loads(run("devices", "--json").stdout)
    assert (first["Count"], first["Pages"], len(first["Devices"])) == (3, 2, 2)
    assert len(json.loads(run("devices", "--json", "--page", "1").stdout)["Devices"]) == 1
    page = json.loads(run("measurements", DEVICE, "--from", "2024-01-01", "--json", "--page", "1").stdout)
    assert [record["PowerUsage"] for record in page["Measurements"]] == ["0.00", "0.01"]
    assert sent(service)["FromUTCDate"] == "2024-01-01T00:00:00Z"


def test_measurements_are_a_table_of_what_is_known(run: Run) -> None:
    result = run("measurements", DEVICE, "--from", "2024-01-01", "--to", "2024-01-01T01:00:00")
    assert result.stdout.splitlines() == [
        "STARTS AT            PowerUsage  Generating",
        "2024-01-01 00:00:00  1.25",
        "2024-01-01 00:30:00  1.20        0.50",
        "2024-01-01 01:00:00  0.00        3.50",
    ]


def test_values_stand_in_one_order_and_new_ones_last(run: Run, service: FakeCarbonTrack) -> None:
    values: list[dict[str, str | None]] = [{"Novelty": "1", "Voltage": "230"}, {"Power1": "1", "PowerExported": "2"}]
    service.add_records(DEVICE, [(f"2025-01-01T0{hour}:00:00Z", each) for hour, each in enumerate(values)])
    heading = run("measurements", DEVICE, "--from", "2025-01-01", "--to", "2025-01-02").stdout.splitlines()[0]
    assert heading.split()[2:] == ["PowerExported", "Power1", "Voltage", "Novelty"]


def test_measurements_are_of_the_last_day_by_default(run: Run, service: FakeCarbonTrack) -> None:
    assert run("measurements", DEVICE).stdout == "STARTS AT\n"
    start, end = (datetime.fromisoformat(sent(service)[name]) for name in ("FromUTCDate", "ToUTCDate"))
    assert end - start == timedelta(days=1)
    assert abs(datetime.now(UTC) - end) < timedelta(minutes=5)


def test_a_plot_shows_the_course_of_each_value_and_what_is_missing(run: Run) -> None:
    result = run("measurements", DEVICE, "--from", "2024-01-01", "--to", "2024-01-01T02:00:00Z", "--plot")
    assert result.stdout.splitlines() == [
        "Measurements  2024-01-01 00:00:00 to 2024-01-01 02:30:00, periods of 30 min, one mark = 30 min",
        "  PowerUsage",
        "    ██▁▁·",
        "    min  0.00  kW  2024-01-01 01:00:00",
        "    max  1.25  kW  2024-01-01 00:00:00",
        "    missing: 1 period in 1 gap",
        "      2024-01-01 02:00:00 to 2024-01-01 02:30:00: 1",
        "  Generating",
        "    ·▂█··",
        "    min  0.50  kW  2024-01-01 00:30:00",
        "    max  3.50  kW  2024-01-01 01:00:00",
        "    missing: 3 periods in 2 gaps",
        "      2024-01-01 00:00:00 to 2024-01-01 00:30:00: 1",
        "      2024-01-01 01:30:00 to 2024-01-01 02:30:00: 2",
    ]


def test_a_plot_of_nothing_is_an_empty_table(run: Run) -> None:
    assert run("measurements", DEVICE, "--to", "2020-01-01", "--plot").stdout == "STARTS AT\n"


def test_a_password_is_asked_for_unseen(run: Run, service: FakeCarbonTrack) -> None:
    for arguments, env in (
        (("--user", USER), {"MTS_USER": None, "MTS_USER_PASSWORD": None}),
        (("--user", USER), {"MTS_USER": "another", "MTS_USER_PASSWORD": "an0ther"}),
        (("--ask-password",), {"MTS_USER_PASSWORD": "wr0ng"}),
    ):
        result = run("devices", *arguments, env=env, stdin=f"{PASSWORD}\n")
        assert result.exit_code == 0
        assert f"Password of {USER}" in result.stderr
    assert all(b"an0ther" not in request.content for request in service.requests)


def test_a_password_of_nobody_in_particular_is_the_named_users(run: Run) -> None:
    assert run("devices", "--user", USER, env={"MTS_USER": None}).exit_code == 0


def test_no_option_takes_a_password(run: Run) -> None:
    for command in ("devices", "measurements"):
        assert run(command, "--password", PASSWORD.upper()).exit_code == 2
        assert "--password" not in run(command, "--help").stdout.replace("--ask-password", "")


def test_without_a_user_nothing_is_sent(run: Run, service: FakeCarbonTrack) -> None:
    result = run("devices", env={"MTS_USER": None})
    assert result.exit_code == 2
    assert "MTS_USER" in result.stderr
    assert not service.requests


def test_a_refusal_is_told_with_its_texts(run: Run) -> None:
    result = run("measurements", "0000000000000001")
    assert result.exit_code == 3
    assert "0000000000000001" in result.stderr
    result = run("devices", env={"MTS_USER_PASSWORD": "wr0ng"})
    assert (result.exit_code, "wr0ng" in result.output) == (3, False)


def test_users_stand_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "mts").mkdir()
    file = tmp_path / "mts" / "config.toml"
    file.write_text(f'url = "{URL}"\nuser = "{USER}"\npassword = "{PASSWORD}"\n')
    found = config.load({"XDG_CONFIG_HOME": str(tmp_path)}, tmp_path)
    assert (found.user, found.password and found.password.get_secret_value()) == (USER, PASSWORD)
    assert PASSWORD not in repr(found)


def test_a_user_goes_to_the_local_stack_if_no_other_server_is_set(tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    stack = {"gateway": "https://127.0.0.1:1/MTS", "ca": "ca.pem", "token": "t", "admin_token": "a"}
    (tmp_path / ".local" / "stack.json").write_text(json.dumps(stack))
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "MTS_USER": USER, "MTS_USER_PASSWORD": PASSWORD}
    found = config.load(environment, tmp_path)
    assert (found.url, found.user) == ("https://127.0.0.1:1/MTS", USER)
    named = tmp_path / ".local" / "stack.json"
    assert config.load(environment, tmp_path, named).user == USER
    assert config.load({**environment, "MTS_URL": URL}, tmp_path, named).user is None
