"""The dialler's settings."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from zoneinfo import ZoneInfo

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError

from mts_dialler.settings import DiallerSettings

KEY = Fernet.generate_key().decode()

Read = Callable[..., DiallerSettings]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    def read_with(**changes: str) -> DiallerSettings:
        environment = {"AMQP_URL": "amqp://u:hidden@localhost/", "METER_KEYS": KEY} | changes
        for name, value in environment.items():
            monkeypatch.setenv(f"MTS_{name}", value)
        return DiallerSettings()

    return read_with


def test_by_default_nothing_may_be_dialled(read: Read) -> None:
    assert read().allow_networks == ()


def test_networks_are_a_comma_list(read: Read) -> None:
    settings = read(ALLOW_NETWORKS="127.0.0.0/8, 2001:db8::/32,")
    assert settings.allow_networks == (ip_network("127.0.0.0/8"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize("networks", ["127.0.0.1/8", "everything", "10.0.0.0/33"])
def test_a_wrong_network_stops_the_start(read: Read, networks: str) -> None:
    with pytest.raises(ValidationError):
        read(ALLOW_NETWORKS=networks)


def test_zones_are_given_by_meter_type(read: Read) -> None:
    zones = read(METER_ZONES='{"ISKRA_MT174": "Europe/Ljubljana"}').meter_zones
    assert zones == {"ISKRA_MT174": ZoneInfo("Europe/Ljubljana")}


@pytest.mark.parametrize("zones", ['{"ISKRA_MT174": "Mars/Olympus"}', '{"NOBODYS": "UTC"}'])
def test_a_wrong_zone_or_meter_type_stops_the_start(read: Read, zones: str) -> None:
    with pytest.raises(ValidationError):
        read(METER_ZONES=zones)


def test_each_start_has_a_name_of_its_own(read: Read) -> None:
    assert read().dialler_name != read().dialler_name


def test_limits_reach_the_lines_and_the_worker(read: Read) -> None:
    settings = read(TEST_SECONDS="33", REPLY_SECONDS="2", DIALLER_LINES="7", DRAIN_SECONDS="9")
    assert (settings.limits().test_seconds, settings.limits().reply_seconds) == (33.0, 2.0)
    assert (settings.tcp_lines, settings.pace().drain_seconds) == (7, 9.0)


def test_settings_do_not_show_their_secrets(read: Read) -> None:
    settings = read()
    for text in (repr(settings), str(settings.model_dump(mode="json"))):
        assert KEY not in text
        assert "hidden" not in text


def test_with_a_lines_file_tcp_calls_are_made_only_if_asked_for(read: Read) -> None:
    assert (read().tcp_lines, read().lines_file) == (100, None)
    assert read(LINES_FILE="/etc/mts/lines.toml").tcp_lines == 0
    assert read(LINES_FILE="/etc/mts/lines.toml", DIALLER_LINES="3").tcp_lines == 3


def test_lines_over_modems_have_limits_of_their_own(read: Read) -> None:
    limits = read(MODEM_REPLY_SECONDS="21", REPLY_SECONDS="2").modem_limits()
    assert (limits.reply_seconds, limits.test_bytes) == (21.0, read().limits().test_bytes)


@pytest.mark.parametrize(
    ("country_code", "canonical", "denied"),
    [
        ("44", "+447700900001", False),
        ("44", "+449090000001", True),
        ("44", "+44999", True),
        ("44", "+447000000001", True),
        ("44", "+33123456789", True),
        ("49", "+4990900", False),
        ("49", "+447700900001", True),
    ],
)
def test_by_default_only_ordinary_national_numbers_are_dialled(
    read: Read, country_code: str, canonical: str, denied: bool
) -> None:
    assert read(COUNTRY_CODE=country_code).denied_numbers.denies(canonical, country_code) is denied


def test_the_numbers_never_dialled_can_be_given(read: Read) -> None:
    assert not read(DENY_NUMBERS="").denied_numbers.denies("+33123456789", "44")
    assert read(DENY_NUMBERS="0800*").denied_numbers.denies("+44800123", "44")
    with pytest.raises(ValidationError):
        read(DENY_NUMBERS="premium")
