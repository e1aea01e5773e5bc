"""docker-compose.yml: in step with the services' settings and with the files and secrets it names."""

from __future__ import annotations

import ast
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mts_stack.configuration import SETTINGS, required, variable
from mts_stack.paths import ROOT

OURS = {*SETTINGS, "metersim"}
MAKE_ENV = ROOT / "deploy" / "compose" / "make_env.py"
_VARIABLE = re.compile(r"\$\{(\w+)(:\?[^}]*)?\}")


@pytest.fixture(scope="module")
def environment_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compose") / ".env"
    subprocess.run([sys.executable, str(MAKE_ENV), str(path)], check=True, timeout=30.0, capture_output=True)
    return path


@pytest.fixture(scope="module")
def made(environment_file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in environment_file.read_text("utf-8").splitlines())


@pytest.fixture(scope="module")
def services(made: dict[str, str]) -> dict[str, dict[str, Any]]:
    text = _VARIABLE.sub(lambda found: made[found[1]], (ROOT / "docker-compose.yml").read_text("utf-8"))
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)["services"]
    return found


def _service_of(described: Mapping[str, Any]) -> str:
    found = re.fullmatch(r"mts-([a-z]+):local", described["image"])
    return found[1] if found else ""


def test_the_secrets_it_wants_are_those_that_are_made(made: dict[str, str]) -> None:
    wanted = _VARIABLE.findall((ROOT / "docker-compose.yml").read_text("utf-8"))
    assert {name for name, _ in wanted} == made.keys()
    assert all(complaint for _, complaint in wanted), "a missing secret must stop compose, not become empty"


def test_made_secrets_are_new_private_and_never_overwritten(environment_file: Path, tmp_path: Path) -> None:
    before = environment_file.read_text("utf-8")
    for path in (environment_file, tmp_path / "other"):
        subprocess.run([sys.executable, str(MAKE_ENV), str(path)], check=True, timeout=30.0, capture_output=True)
    assert environment_file.read_text("utf-8") == before
    assert not set(before.splitlines()) & set((tmp_path / "other").read_text("utf-8").splitlines())
    assert stat.S_IMODE(environment_file.stat().st_mode) == 0o600
    assert ".env" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


def test_services_are_told_what_they_need_and_nothing_they_do_not_know(
    services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {name: each for name, each in services.items() if _service_of(each) in SETTINGS and name != "certificate"}
    assert len(told) == 7  # four services and three migrations
    for name, described in told.items():
        settings = SETTINGS[_service_of(described)]
        given = {key: str(value) for key, value in described["environment"].items()}
        known = {variable(field) for field in settings.model_fields}
        assert {key for key in given if key.startswith("MTS_")} <= known, name
        assert required(settings) <= given.keys(), name
        with monkeypatch.context() as patched:
            for key in known:
                patched.delenv(key, raising=False)
            for key, value in given.items():
                patched.setenv(key, value)
            settings()


def test_the_dialler_may_dial_the_simulated_meters(services: dict[str, dict[str, Any]]) -> None:
    networks = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["networks"]
    (meters,) = networks["meters"]["ipam"]["config"]
    assert services["dialler"]["environment"]["MTS_ALLOW_NETWORKS"] == meters["subnet"]
    assert services["metersim"]["networks"] == ["meters"]
    assert "meters" in services["dialler"]["networks"]


def test_no_dialler_is_told_of_the_database(services: dict[str, dict[str, Any]]) -> None:
    assert "MTS_POSTGRES_URL" not in services["dialler"]["environment"]


def test_our_containers_are_locked_down(services: dict[str, dict[str, Any]]) -> None:
    ours = {name: each for name, each in services.items() if _service_of(each) in OURS}
    assert len(ours) == 10
    for name, described in ours.items():
        assert described["read_only"] is True, name
        assert described["cap_drop"] == ["ALL"], name
        assert described["security_opt"] == ["no-new-privileges:true"], name
    assert {name for name, each in ours.items() if "user" in each} == {"certificate", "fleet"}


def test_each_of_our_images_is_built_once(services: dict[str, dict[str, Any]]) -> None:
    built = [each["build"]["args"]["SERVICE"] for each in services.values() if "build" in each]
    assert sorted(built) == sorted(OURS)


def test_foreign_images_are_pinned(services: dict[str, dict[str, Any]]) -> None:
    for described in services.values():
        assert re.fullmatch(r"[a-z0-9./-]+:(local|v?[0-9]+\.[0-9]+.*)", described["image"]), described["image"]


def test_ports_are_published_on_loopback_alone(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for each in services.values() for port in each.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_is_mounted_waited_for_and_joined_exists(services: dict[str, dict[str, Any]]) -> None:
    whole = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    for described in services.values():
        assert set(described.get("depends_on", ())) <= services.keys()
        assert set(described.get("networks", ())) <= whole["networks"].keys()
        for mount in described.get("volumes", ()):
            source = mount.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in whole["volumes"], source


def test_what_is_waited_for_to_be_healthy_says_so(services: dict[str, dict[str, Any]]) -> None:
    for described in services.values():
        waits = described.get("depends_on", {})
        for name, wait in waits.items() if isinstance(waits, dict) else ():
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in services[name] or _service_of(services[name]) in OURS
            else:
                assert services[name].get("restart", "no") == "no"


def test_a_dialler_has_time_to_drain(services: dict[str, dict[str, Any]]) -> None:
    dialler = services["dialler"]
    fields = SETTINGS["dialler"].model_fields
    needed = dialler["environment"]["MTS_DRAIN_SECONDS"] + fields["give_back_seconds"].default
    assert int(dialler["stop_grace_period"].removesuffix("s")) > needed + 10


def test_the_collector_and_the_data_sources_are_those_of_the_file(services: dict[str, dict[str, Any]]) -> None:
    deploy = ROOT / "deploy"
    collector = yaml.safe_load((deploy / "observability" / "otel-collector.yaml").read_text("utf-8"))
    (endpoint,) = {each["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] for each in services.values() if _exports(each)}
    assert endpoint == "http://otel-collector:4318"
    assert collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == "0.0.0.0:4318"
    sources = yaml.safe_load((deploy / "grafana/provisioning/datasources/mts.yaml").read_text("utf-8"))
    scrapes = yaml.safe_load((deploy / "observability" / "prometheus.yml").read_text("utf-8"))
    hosts = [re.split("[/:]+", source["url"])[1] for source in sources["datasources"]]
    hosts += [
        target.partition(":")[0] for job in scrapes["scrape_configs"] for target in job["static_configs"][0]["targets"]
    ]
    assert set(hosts) - {"localhost"} <= services.keys()


def _exports(described: Mapping[str, Any]) -> bool:
    return "OTEL_EXPORTER_OTLP_ENDPOINT" in described.get("environment", {})


def test_the_certificates_script_runs_in_an_image_without_the_stacks_other_packages() -> None:
    """It is given the source of mts_stack alone, beside what the images hold."""
    held = {*sys.stdlib_module_names, "cryptography", "mts_stack"}
    for name in ("tls", "processes"):
        tree = ast.parse((ROOT / "deploy" / "local" / "mts_stack" / f"{name}.py").read_text("utf-8"))
        imported = {
            alias.name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        imported |= {str(node.module).partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert imported <= held
