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
    assert (settings.pace().lines, settings.pace().drain_seconds) == (7, 9.0)


def test_settings_do_not_show_their_secrets(read: Read) -> None:
    settings = read()
    for text in (repr(settings), str(settings.model_dump(mode="json"))):
        assert KEY not in text
        assert "hidden" not in text
