"""Replacing services one by one under load: nothing is lost, no accept fails, and two releases bear each other."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from mts_client import MeterTest, MtsClient
from mts_metersim.presets import fleet
from mts_stack.balancer import Balancer
from mts_stack.processes import wait_until
from mts_stack.releases import last_release, unpack
from mts_stack.services import SERVICES, Services
from mts_stack.testing import TEST_SETTINGS, StackUnderTest

METERS = 20
PAUSE_SECONDS = 0.4
DRAIN_SECONDS = 60.0
FAST = {"MTS_LEASE_SECONDS": "10", "MTS_ALIVE_SECONDS": "1", "MTS_DIALLER_LINES": "5", "MTS_DRAIN_SECONDS": "10"}

StartStack = Callable[..., StackUnderTest]

pytestmark = pytest.mark.timeout(600)


@dataclass
class Load:
    """Clients that request tests until they are stopped: one connects for each call, one keeps its connection."""

    url: str
    stack: StackUnderTest
    tests: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._run, args=(work,)) for work in (self._connect_each, self._keep)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self.failures.append(repr(error))

    def _connect_each(self) -> None:
        """A client that repeats nothing."""
        headers = {"Authorization": f"Bearer {self.stack.token}", "Connection": "close"}
        for number in self._turns():
            body = {**self._meter(number), "immediate": True}
            answer = httpx.post(
                f"{self.url}/test-request", json=body, headers=headers, verify=self.stack.services.trust, timeout=30.0
            )
            if answer.status_code != 200:
                self.failures.append(f"{answer.status_code} {answer.text}")
            else:
                self.tests.append(answer.json()["testId"])

    def _keep(self) -> None:
        """Our own client, which keeps its connection and repeats a call whose connection is lost."""
        with MtsClient(self.url, self.stack.token, trust=self.stack.services.trust) as client:
            for number in self._turns():
                test = MeterTest.model_validate({**self._meter(number + METERS // 2), "immediate": True})
                self.tests.append(client.test_request(test))

    def _turns(self) -> Iterator[int]:
        number = 0
        while not self._over.wait(PAUSE_SECONDS):
            yield number
            number += 1

    def _meter(self, number: int) -> dict[str, Any]:
        names = ("meterType", "remoteAddress", "outstationAddress", "serialNumber", "password")
        meter = self.stack.fleet.meters[number % METERS]
        return {name: meter[name] for name in names if meter[name]}

    def verify(self) -> None:
        """Every accept was answered well, and every test has ended well, once."""
        assert self.failures == []
        assert len(self.tests) == len(set(self.tests)) > METERS
        since = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        deadline = time.monotonic() + DRAIN_SECONDS
        results: Counter[str] = Counter()
        with self.stack.api_client(self.stack.token) as http:
            while results != {"SUCCESS": len(self.tests)}:
                assert time.monotonic() < deadline, results
                time.sleep(0.5)
                found = http.get("/test-search", params={"fromTime": since, "limit": 1000}).json()
                results = Counter(test["resultSummary"] for test in found["results"])


@contextmanager
def beside(stack: StackUnderTest, directory: Path, settings: dict[str, str]) -> Iterator[Services]:
    """A second process of each service on the stack's servers."""
    services = Services(directory, stack.amqp_url, stack.database, stack.services.tls, TEST_SETTINGS | settings)
    services.start()
    try:
        yield services
        services.check_alive()
    finally:
        services.stop()


def gateway_port(services: Services) -> int:
    return httpx.URL(services.api_url).port or 0


def test_a_rolling_restart_of_every_service_under_load_loses_nothing_and_fails_no_accept(
    start_stack: StartStack, tmp_path: Path
) -> None:
    settings = {**FAST, "MTS_METER_KEYS": Fernet.generate_key().decode()}
    stack = start_stack(fleet("bulk", METERS), **settings)
    with beside(stack, tmp_path / "second", settings) as second:
        ports = [gateway_port(services) for services in (stack.services, second)]
        with Balancer(ports) as balancer:
            load = Load(f"https://127.0.0.1:{balancer.port}/MTS", stack)
            with load.running():
                for name in SERVICES:
                    for place, services in enumerate((stack.services, second)):
                        before = len(load.tests)
                        if name == "gateway":
                            balancer.rotate([ports[1 - place]])
                        services.restart(name)
                        balancer.rotate(ports)
                        assert wait_until(lambda: len(load.tests) > before + 2, DRAIN_SECONDS), load.failures  # noqa: B023
            load.verify()


def test_the_services_of_the_last_release_run_beside_these_on_the_migrated_database(
    start_stack: StartStack, tmp_path: Path
) -> None:
    """One of each, sharing the work, as while a release replaces another; then the old ones go."""
    settings = {**FAST, "MTS_METER_KEYS": Fernet.generate_key().decode()}
    stack = start_stack(fleet("bulk", METERS), **settings)
    packages = ["libs/common", *(f"services/{name}" for name in SERVICES)]
    unpack(last_release(), tmp_path / "release", *packages)
    sources = [str(tmp_path / "release" / package) for package in packages]
    with beside(stack, tmp_path / "old", {**settings, "PYTHONPATH": os.pathsep.join(sources)}) as old:
        assert imported_by(old, "mts_gateway").startswith(str(tmp_path / "release"))
        with Balancer([gateway_port(stack.services), gateway_port(old)]) as balancer:
            load = Load(f"https://127.0.0.1:{balancer.port}/MTS", stack)
            with load.running():
                assert wait_until(lambda: len(load.tests) > 2 * METERS, DRAIN_SECONDS), load.failures
                balancer.rotate([gateway_port(stack.services)])
                old.stop()
            load.verify()


def imported_by(services: Services, module: str) -> str:
    """From where the services take a module."""
    program = [sys.executable, "-c", f"import {module}; print({module}.__file__)"]
    environment = services.environment("gateway")
    return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
