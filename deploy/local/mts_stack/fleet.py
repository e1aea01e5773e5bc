"""The simulated meters of a stack: one metersim process and what it tells about its meters."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mts_metersim.fleet import Meter, dump_fleet
from mts_stack.processes import Process

READY_SECONDS = 30.0
STOP_SECONDS = 10.0

_METER_FIELDS = ("meterType", "remoteAddress", "outstationAddress", "serialNumber", "password")


class Fleet:
    """Simulated meters on loopback; `call_log` is the simulator's own record of who called which meter when."""

    def __init__(self, directory: Path, meters: Sequence[Meter]) -> None:
        self._file = directory / "fleet" / "fleet.json"
        self._ready_file = directory / "fleet" / "ready.json"
        self.call_log = directory / "fleet" / "calls.jsonl"
        self._meters = meters
        command = [sys.executable, "-m", "mts_metersim", "run", "--fleet", str(self._file)]
        command += ["--log", str(self.call_log), "--ready-file", str(self._ready_file)]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONUNBUFFERED": "1"}
        self.process = Process("metersim", command, directory, environment, stop_seconds=STOP_SECONDS)

    def start(self) -> None:
        """Start it; `wait_ready` before the meters are called."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(dump_fleet(self._meters), "utf-8")
        self._ready_file.unlink(missing_ok=True)
        self.process.start()

    def wait_ready(self) -> None:
        """Wait until every meter listens. Raises `StackFault`."""
        self.process.wait_ready(self._ready_file.exists, READY_SECONDS)

    def stop(self) -> None:
        """End it; calls in progress are hung up."""
        self.process.stop()

    @property
    def meters(self) -> list[dict[str, Any]]:
        """The healthy meters, as a test request names them."""
        return [_request_fields(meter) for meter in self.ready() if meter["fault"] is None]

    @property
    def faulty_meters(self) -> list[dict[str, Any]]:
        """The others."""
        return [_request_fields(meter) for meter in self.ready() if meter["fault"] is not None]

    def ready(self) -> list[dict[str, Any]]:
        """All meters in the order of the fleet, each with `fault`, the name of what is special about it, or None."""
        meters: list[dict[str, Any]] = json.loads(self._ready_file.read_text("utf-8"))
        return meters

    def calls(self) -> list[dict[str, Any]]:
        """The simulator's log: what happened on its ports, in order."""
        return [json.loads(line) for line in self.call_log.read_text("utf-8").splitlines()]


def _request_fields(meter: dict[str, Any]) -> dict[str, Any]:
    return {name: meter[name] for name in _METER_FIELDS}
