"""Set-up says exactly what to install where it may not install it itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def setup(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("setup")


def _found(*programs: str) -> Callable[[str], str | None]:
    return lambda name: f"/usr/bin/{name}" if name in programs else None


def test_without_rights_it_names_the_command(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", _found("apt-get"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(setup.CannotSetUp, match="sudo apt-get install rabbitmq-server postgresql\n"):
        setup.install(["rabbitmq-server", "postgresql"])


def test_without_apt_it_names_the_programs(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", _found())
    with pytest.raises(setup.CannotSetUp, match=r"missing: postgresql .*RabbitMQ \(3\.10 or newer\) and PostgreSQL"):
        setup.install(["postgresql"])


def test_services_are_kept_off_only_while_packages_are_installed(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(setup, "_POLICY", policy)
    with setup.services_kept_off():
        assert os.access(policy, os.X_OK)
    assert not policy.exists()


def test_a_policy_of_the_machine_stays(setup: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("theirs")
    monkeypatch.setattr(setup, "_POLICY", policy)
    with setup.services_kept_off():
        pass
    assert policy.read_text() == "theirs"


def test_every_package_of_the_repository_is_installed(setup: ModuleType) -> None:
    found = {path.parent for path in setup.ROOT.glob("*/*/pyproject.toml")}
    assert {setup.ROOT / package for package in setup.PACKAGES} == found


def test_prometheus_is_wanted_by_the_tests_alone(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", _found())
    assert "prometheus" not in setup.missing_packages(tests=False)
    assert "prometheus" in setup.missing_packages(tests=True)
