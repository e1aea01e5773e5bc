"""The simulated modem bank of a stack, and the lines file by which a dialler takes it over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mts_metersim.fleet import Meter
from mts_metersim.modem_plan import ModemSpec, Outcome, Plan, dump_plan
from mts_stack.fleet import Simulator

Bank = tuple[Plan, Sequence[Meter]]

# Simulated modems need no time to come to themselves; what the protocol demands of a line stays as it is.
_DEFAULTS = """\
[defaults]
pause_seconds = 0.2
reset_pause_seconds = 0.1
command_pause_seconds = 0.02
dtr_seconds = 0.1
settle_seconds = 0.1
"""
_FILTERS = {"pstn": "01*", "gsm": "07*"}


class Modems(Simulator):
    """Modems on pseudo-terminals and meters behind their numbers: PSTN lines dial 01, GSM lines 07."""

    def __init__(self, directory: Path, plan: Plan, meters: Sequence[Meter]) -> None:
        folder = directory / "modems"
        self._plan_file = folder / "plan.json"
        self._devices = folder / "devices"
        command = ["modems", "--plan", str(self._plan_file), "--directory", str(self._devices)]
        super().__init__("modem-bank", directory, folder.name, command, meters)
        self.plan = plan
        self.lines_file = folder / "lines.toml"

    def start(self) -> None:
        self._devices.mkdir(parents=True, exist_ok=True)
        self._plan_file.write_text(dump_plan(self.plan), "utf-8")
        self.lines_file.write_text(_DEFAULTS + "".join(map(self._line, self.plan.modems)), "utf-8")
        super().start()

    def _line(self, modem: ModemSpec) -> str:
        device = self._devices / modem.name
        numbers = _FILTERS[modem.kind]
        return f'\n[[line]]\nname = "{modem.name}"\nkind = "{modem.kind}"\ndevice = "{device}"\nnumbers = "{numbers}"\n'

    def ready(self) -> list[dict[str, Any]]:
        """Meters whose number does not connect are special by the outcome that their number has."""
        return [
            meter if meter["outcome"] == Outcome.CONNECT else {**meter, "fault": meter["outcome"]}
            for meter in self._told()["meters"]
        ]
