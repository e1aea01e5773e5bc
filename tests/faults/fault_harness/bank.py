"""A bank of simulated modems within the test's own process, so that a test can mute them and pull them out."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mts_metersim.log import CallLog
from mts_metersim.modem_bank import ModemBank, running_bank, to_host_and_port
from mts_metersim.modem_plan import ModemSpec, Plan, Subscriber

CALL_SECONDS = 10.0

# Modems that answer at once need none of the pauses that real ones are given.
_LINE_DEFAULTS = """\
[defaults]
command_seconds = 0.5
command_pause_seconds = 0.0
reset_pause_seconds = 0.0
dtr_seconds = 0.05
guard_seconds = 0.1
settle_seconds = 0.0
pause_seconds = 0.0
fault_rest_seconds = 0.5
fault_rest_most_seconds = 1.0
"""


class Bank:
    """Use as a context manager; every method may be called from any thread.

    `lines_file` describes its modems to a dialler; `numbers` may be changed at any time.
    """

    def __init__(self, names: Sequence[str], directory: Path) -> None:
        directory.mkdir(parents=True)
        self.numbers: dict[str, Subscriber] = {}
        self.lines_file = directory / "lines.toml"
        self._names = names
        self._directory = directory
        self._log = directory / "dials.jsonl"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="modem bank", daemon=True)
        self._opened = threading.Event()
        self._close = asyncio.Event()
        self._modems: ModemBank | None = None

    def __enter__(self) -> Self:
        lines = [f'[[line]]\nname = "{name}"\ndevice = "{self._directory / name}"\n' for name in self._names]
        self.lines_file.write_text("\n".join([_LINE_DEFAULTS, *lines]), "utf-8")
        self._thread.start()
        self._running = asyncio.run_coroutine_threadsafe(self._run(), self._loop)
        if not self._opened.wait(CALL_SECONDS):
            self._running.result(0.0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._close.set)
        self._running.result(CALL_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.close()

    async def _run(self) -> None:
        plan = Plan(tuple(map(ModemSpec, self._names)), self.numbers, bit_rate=0)
        with CallLog(self._log) as log:
            async with running_bank(plan, self._directory, to_host_and_port, log) as self._modems:
                self._opened.set()
                await self._close.wait()

    def mute(self, *names: str, mute: bool = True) -> None:
        """These modems answer nothing any more, or answer again."""

        def set_mute(bank: ModemBank) -> None:
            for name in names:
                bank.modems[name].mute = mute

        self._do(set_mute)

    def vanish(self, name: str) -> None:
        """That modem's device is pulled out, in the middle of whatever goes on."""
        self._do(lambda bank: bank.modems[name].vanish())

    def appear(self, name: str) -> None:
        """It is plugged in again."""
        self._do(lambda bank: bank.modems[name].appear())

    def dials(self, number: str) -> list[Mapping[str, Any]]:
        """What has been dialled to that number so far: `modem` and `outcome`, oldest first."""
        entries = [json.loads(line) for line in self._log.read_text("utf-8").splitlines()]
        return [entry for entry in entries if entry["event"] == "dial" and entry["number"] == number]

    def _do(self, deed: Callable[[ModemBank], None]) -> None:
        async def do() -> None:
            assert self._modems is not None
            deed(self._modems)

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(CALL_SECONDS)
