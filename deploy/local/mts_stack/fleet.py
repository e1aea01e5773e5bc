"""The simulated meters of a stack: metersim processes and what they tell about their meters."""

from __future__ import annotations

import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mts_metersim.fleet import Meter, dump_fleet
from mts_stack.processes import Process

READY_SECONDS = 30.0
STOP_SECONDS = 10.0

_METER_FIELDS = ("meterType", "remoteAddress", "outstationAddress", "serialNumber", "password")


class Simulator(ABC):
    """One metersim process; `call_log` is its own record of who called which meter when."""

    def __init__(
        self, name: str, directory: Path, folder: str, command: Sequence[str], meters: Sequence[Meter]
    ) -> None:
        self.folder = directory / folder
        self.call_log = self.folder / "calls.jsonl"
        self._fleet_file = self.folder / "fleet.json"
        self._ready_file = self.folder / "ready.json"
        self._meters = meters
        program = [sys.executable, "-m", "mts_metersim", *command, "--fleet", str(self._fleet_file)]
        program += ["--log", str(self.call_log), "--ready-file", str(self._ready_file)]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONUNBUFFERED": "1"}
        self.process = Process(name, program, directory, environment, stop_seconds=STOP_SECONDS)

    def start(self) -> None:
        """Start it; `wait_ready` before the meters are called."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._fleet_file.write_text(dump_fleet(self._meters), "utf-8")
        self._ready_file.unlink(missing_ok=True)
        self.process.start()

    def wait_ready(self) -> None:
        """Wait until every meter can be called. Raises `StackFault`."""
        self.process.wait_ready(self._ready_file.exists, READY_SECONDS)

    def stop(self) -> None:
        """End it; calls in progress are hung up."""
        self.process.stop()

    @abstractmethod
    def ready(self) -> list[dict[str, Any]]:
        """All meters in the order of the fleet, each with `fault`, the name of what is special about it, or None."""

    @property
    def meters(self) -> list[dict[str, Any]]:
        """The healthy meters, as a test request names them."""
        return [_request_fields(meter) for meter in self.ready() if meter["fault"] is None]

    @property
    def faulty_meters(self) -> list[dict[str, Any]]:
        """The others."""
        return [_request_fields(meter) for meter in self.ready() if meter["fault"] is not None]

    def calls(self) -> list[dict[str, Any]]:
        """The simulator's log: what happened on its ports and modems, in order."""
        return [json.loads(line) for line in self.call_log.read_text("utf-8").splitlines()]

    def _told(self) -> Any:
        """What the ready file says."""
        return json.loads(self._ready_file.read_text("utf-8"))


class Fleet(Simulator):
    """Meters on TCP ports of loopback."""

    def __init__(self, directory: Path, meters: Sequence[Meter]) -> None:
        super().__init__("metersim", directory, "fleet", ["run"], meters)

    def ready(self) -> list[dict[str, Any]]:
        meters: list[dict[str, Any]] = self._told()
        return meters


def _request_fields(meter: dict[str, Any]) -> dict[str, Any]:
    return {name: meter[name] for name in _METER_FIELDS}
