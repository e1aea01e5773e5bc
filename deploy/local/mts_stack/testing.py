"""The real services as processes, for tests: on a database and a vhost of their own, with simulated meters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from mts_common.database import migrate
from mts_metersim.fleet import Meter
from mts_stack.fleet import Fleet, Simulator
from mts_stack.http import PLAIN
from mts_stack.modems import Bank, Modems
from mts_stack.postgres import ROLES, RoleUrls
from mts_stack.rabbitmq import Management, vhost_url
from mts_stack.servers import Servers
from mts_stack.services import Services
from mts_stack.tls import make_tls

CALL_SECONDS = 30.0
POLL_SECONDS = 0.1

# Tests wait for seconds where a deployment waits for minutes, and poll more often than a client may.
TEST_SETTINGS = {
    "MTS_RATE_LIMIT_CALLS": "100000",
    "MTS_RETRY_PAUSE_SECONDS": "1",
    "MTS_WANT_SECONDS": "1",
    "MTS_DRAIN_SECONDS": "5",
    "MTS_SETTLE_AFTER_SECONDS": "5",
}


class StackUnderTest:
    """All services and a fleet; a context manager that starts everything and ends it.

    `services` starts, stops, kills and restarts single services by name; `fleet` knows the meters and what was asked
    of them; `http` calls the public API with a token of scope mts, `admin` with one of scope admin.
    """

    def __init__(
        self,
        directory: Path,
        servers: Servers,
        database: RoleUrls,
        management: Management,
        meters: Sequence[Meter],
        settings: Mapping[str, str],
        bank: Bank | None = None,
    ) -> None:
        self.database = database
        self.management = management
        self.amqp_url = vhost_url(servers.amqp_url, management.vhost)
        self.fleet = Fleet(directory, meters)
        self._modems = None if bank is None else Modems(directory, *bank)
        tls = make_tls(directory / "tls")
        lines_file = None if self._modems is None else self._modems.lines_file
        self.services = Services(directory, self.amqp_url, database, tls, {**TEST_SETTINGS, **settings}, lines_file)
        self.token = ""
        self.http = self.admin = httpx.Client(verify=PLAIN)

    @property
    def modems(self) -> Modems:
        """The bank; there must be one."""
        if self._modems is None:
            raise AssertionError("this stack has no modems")
        return self._modems

    @property
    def _simulators(self) -> list[Simulator]:
        return [self.fleet] if self._modems is None else [self.fleet, self._modems]

    def __enter__(self) -> Self:
        try:
            for simulator in self._simulators:
                simulator.start()
            asyncio.run(self._migrate())
            self.token, admin_token = self.services.create_tokens("tests")
            self.http, self.admin = self.api_client(self.token), self.api_client(admin_token)
            if self._modems is not None:
                self._modems.wait_ready()  # a line whose device is not there yet would rest for a while
            self.services.start()
            self.fleet.wait_ready()
        except BaseException:
            self._end()
            raise
        return self

    async def _migrate(self) -> None:
        """What `python -m mts_… migrate` does, without a process for each service."""
        for role in ROLES:
            await migrate(self.database.url(role), role, f"mts_{role}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.services.check_alive()
        finally:
            self._end()

    def _end(self) -> None:
        self.http.close()
        self.admin.close()
        self.services.stop()
        for simulator in self._simulators:
            simulator.stop()

    def api_client(self, token: str | None) -> httpx.Client:
        """A client of the public API with that token, or with none; close it."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(
            base_url=self.services.api_url, headers=headers, verify=self.services.trust, timeout=CALL_SECONDS
        )

    def request(self, meter: Mapping[str, Any], **fields: Any) -> int:
        """Ask for an immediate test of a meter of the fleet; `fields` go over what the fleet says. The test's id."""
        names = ("meterType", "remoteAddress", "outstationAddress", "serialNumber", "password")
        body = {"immediate": True, **{name: meter[name] for name in names if meter[name]}, **fields}
        answer = self.http.post("/test-request", json=body)
        return int(_accepted(answer)["testId"])

    def status(self, test_id: int) -> dict[str, Any]:
        """The answer of test-status."""
        return _accepted(self.http.get("/test-status", params={"testId": test_id}))

    def outcome(self, test_id: int, seconds: float = 60.0) -> dict[str, Any]:
        """The answer of test-status once the test is complete."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.status(test_id)
            if status["result"] != "PENDING":
                return status
            self.services.check_alive()
            if time.monotonic() > deadline:
                raise AssertionError(f"test {test_id} is pending after {seconds:.0f} s")
            time.sleep(POLL_SECONDS)


def _accepted(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code != httpx.codes.OK:
        raise AssertionError(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")
    body: dict[str, Any] = answer.json()
    return body
