"""What the images hold: locked, and what the services import."""

from __future__ import annotations

import http.server
import importlib.machinery
import importlib.util
import re
import threading
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from types import ModuleType

import pytest

from mts_stack.paths import ROOT

REQUIREMENTS = ROOT / "requirements"
IN_IMAGES = (
    "libs/common",
    "services/gateway",
    "services/scheduler",
    "services/dialler",
    "services/results",
    "services/metersim",
)


def _pins(name: str) -> dict[str, str]:
    text = (REQUIREMENTS / name).read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("lock", ["runtime.lock", "build.lock"])
def test_images_hold_the_versions_that_were_tested(lock: str) -> None:
    pins, tested = _pins(lock), _pins("all.lock")
    assert pins
    assert {name: tested.get(name) for name in pins} == pins, "run make lock"


@pytest.mark.parametrize("lock", ["runtime.lock", "build.lock"])
def test_every_locked_package_has_hashes_and_no_index(lock: str) -> None:
    text = (REQUIREMENTS / lock).read_text("utf-8")
    assert len(re.findall(r"^[a-z0-9._-]+==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)) == len(
        _pins(lock)
    )
    assert "://" not in text


def test_tools_are_not_in_the_images() -> None:
    assert (
        not {"pytest", "mypy", "ruff", "hypothesis", "testcontainers", "httpx", "hatchling"}
        & _pins("runtime.lock").keys()
    )


def test_what_the_services_depend_on_is_in_the_images() -> None:
    wanted = set()
    for package in IN_IMAGES:
        project = tomllib.loads((ROOT / package / "pyproject.toml").read_text("utf-8"))["project"]
        wanted |= {name for name in project["dependencies"] if not name.startswith("mts-")}
    assert wanted <= _pins("runtime.lock").keys()


def test_the_build_sees_what_the_dockerfile_copies() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text("utf-8").replace("services/${SERVICE}", "services")
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists()
            assert any(fnmatch(source, pattern) for pattern in kept), source


# The health check of the images


@pytest.fixture
def healthcheck(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader = importlib.machinery.SourceFileLoader("healthcheck", str(ROOT / "deploy" / "image" / "healthcheck"))
    spec = importlib.util.spec_from_loader("healthcheck", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


class _Service(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health/ready" else 404)
        self.end_headers()

    def log_request(self, *_: object) -> None:
        """Nothing is said on standard error."""


@pytest.fixture(params=[200, 503])
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(_Service, "status", request.param)
    with http.server.HTTPServer(("127.0.0.1", 0), _Service) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        monkeypatch.setenv("MTS_HEALTH_PORT", str(server.server_port))
        monkeypatch.setenv("MTS_HTTP_PORT", str(server.server_port))
        yield request.param
        server.shutdown()
        thread.join(timeout=10.0)


@pytest.mark.parametrize("name", ["gateway", "scheduler", "dialler", "results"])
def test_a_container_is_healthy_when_its_service_is_ready(
    healthcheck: ModuleType, service: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MTS_TLS_CERT", raising=False)
    assert healthcheck.ready(name) is (service == 200)


def test_a_container_whose_service_does_not_listen_is_not_healthy(
    healthcheck: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTS_HEALTH_PORT", "1")
    assert healthcheck.ready("scheduler") is False
