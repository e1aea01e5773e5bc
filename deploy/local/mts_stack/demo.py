"""The demo: a stack of its own, tests of simulated meters through the public API, and the outcomes for people."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mts_client import BadRequest, MeterTestStatus, MtsClient, Outcome, Search, SearchStatus
from mts_client.rendering.report import report
from mts_metersim.preset_bank import bank
from mts_metersim.presets import fleet
from mts_stack.demo_cases import Case, Way, demo_cases
from mts_stack.processes import free_ports
from mts_stack.settings import run_window
from mts_stack.signals import ignore_signals
from mts_stack.stack import Description, Stack

# From when all is ready to the opening of the demo's run window, time for handing in the tests, and how long it is.
WINDOW_AFTER = timedelta(seconds=30)
WINDOW_LENGTH = timedelta(minutes=30)
# How long a meter may be silent: the silent one costs this for each wake-up of each try.
REPLY_SECONDS = "3"
MOST_SECONDS = 180.0
POLL_SECONDS = 1.0
METERS = 16
WIDE_COLUMNS = 120

_WIDE = ("test", "meter", "asked for", "started", "serial no.", "clock", "registers", "readings", "outcome", "expected")
_NARROW = ("test", "meter", "started", "serial no.", "readings", "outcome", "expected")
_UNREAD = "ERROR: "
_STYLES = {Outcome.SUCCESS: "green", Outcome.PARTIAL_SUCCESS: "yellow", Outcome.ERROR: "red"}


@dataclass
class Ended:
    """A test that has ended, or was cancelled (`status` None), and what is not as it must be."""

    test_id: int
    case: Case
    status: MeterTestStatus | None
    faults: list[str] = field(default_factory=list)


def run_demo(directory: Path, settings: Mapping[str, str], console: Console) -> bool:
    """Run the whole demo; whether every outcome was as expected. Everything started is ended. Raises `StackFault`."""
    began = time.monotonic()
    iec, families = fleet("demo", METERS), fleet("families")
    stack = Stack(directory, [*iec, *families], bank())
    try:
        console.rule("MTS demo")
        console.print("Starting RabbitMQ, PostgreSQL, the simulated meters and modems …")
        stack.prepare()
        console.print("Starting gateway, scheduler, results and two diallers: for TCP and for the modems …")
        description = stack.start({"MTS_REPLY_SECONDS": REPLY_SECONDS, **settings})
        console.print(f"Ready after {time.monotonic() - began:.0f} s at {description.gateway}\n")
        opens = (datetime.now(UTC) + WINDOW_AFTER).replace(microsecond=0)
        token = _client_with_window(stack, description, opens)
        with MtsClient(description.gateway, token, trust=stack.services.tls.ca) as client:
            (dead_port,) = free_ports(1)
            told = stack.fleet.ready()
            cases = demo_cases(told[: len(iec)], told[len(iec) :], stack.modems.ready(), f"127.0.0.1:{dead_port}")
            ended = Demo(stack, client, console, opens, cases).run()
    finally:
        ignore_signals()
        console.print("\nStopping …")
        stack.stop()
    return _as_expected(ended, console, time.monotonic() - began)


def _as_expected(ended: Sequence[Ended], console: Console, seconds: float) -> bool:
    """Say what was not."""
    wrong = [entry for entry in ended if entry.faults]
    for entry in wrong:
        console.print(
            f"[red]Test {entry.test_id}, {entry.case.title}: {'; '.join(entry.faults)}", highlight=False, soft_wrap=True
        )
    verdict = f"{len(wrong)} of {len(ended)} tests did not end" if wrong else f"All {len(ended)} tests ended"
    console.print(f"{verdict} as expected. The demo took {seconds:.0f} s.")
    return not wrong


def _client_with_window(stack: Stack, description: Description, opens: datetime) -> str:
    """The token of a client of its own, whose run window opens then."""
    headers = {"Authorization": f"Bearer {description.admin_token}"}
    with httpx.Client(base_url=description.gateway, headers=headers, verify=stack.services.trust, timeout=30) as api:
        windows = json.loads(run_window(opens, WINDOW_LENGTH))
        client = api.post("/admin/clients", json={"name": "demo", "runWindows": windows}).raise_for_status().json()
        asked = {"clientId": client["clientId"], "scopes": ["mts"]}
        return str(api.post("/admin/tokens", json=asked).raise_for_status().json()["token"])


class Demo:
    """The part between the stack's start and its end."""

    def __init__(
        self, stack: Stack, client: MtsClient, console: Console, opens: datetime, cases: Sequence[Case]
    ) -> None:
        self._stack = stack
        self._client = client
        self._console = console
        self._opens = opens
        self._cases = cases
        self._began = datetime.now(UTC)
        self._window_told = False

    def run(self) -> list[Ended]:
        """Submit, watch, show; every test with its faults, in the order of their ids."""
        tests = self._submit()
        cancelled = [self._cancel(test_id, case) for test_id, case in tests.items() if case.way is Way.CANCELLED]
        pending = {test_id: case for test_id, case in tests.items() if case.way is not Way.CANCELLED}
        ended = sorted([*cancelled, *self._watch(pending)], key=lambda entry: entry.test_id)
        self._check_never_dialled(cancelled)
        self._console.print()
        self._console.print(outcome_table(ended, wide=self._console.width >= WIDE_COLUMNS))
        full = next((entry.status for entry in ended if entry.status and entry.status.survey_data), None)
        if full is not None:
            self._console.print("\nOne report in full:\n")
            self._console.print(report(full), soft_wrap=True)
        return ended

    def _submit(self) -> dict[int, Case]:
        batch = [case for case in self._cases if case.way is Way.BATCH]
        single = [case for case in self._cases if case.way is not Way.BATCH]
        tests = {self._client.test_request(case.test): case for case in single}
        batch_id = self._client.batch_request([case.test for case in batch])
        rows = self._client.batch_status(batch_id).status
        tests |= {row.test_id: case for row, case in zip(rows, batch, strict=True)}
        overnight = sum(case.way is Way.OVERNIGHT for case in self._cases)
        self._tell(f"{len(single)} tests and batch {batch_id} of {len(batch)} accepted")
        self._tell(f"{overnight} overnight tests wait for the run window, which opens at {self._opens:%H:%M:%S} UTC")
        return tests

    def _cancel(self, test_id: int, case: Case) -> Ended:
        self._client.test_cancel(test_id)
        try:
            status = self._client.test_status(test_id)
        except BadRequest as refusal:
            self._tell(f"test {test_id} ({case.title}): {refusal}")
            return Ended(test_id, case, None)
        return Ended(test_id, case, status, ["its status is still known after the cancel"])

    def _watch(self, pending: dict[int, Case]) -> list[Ended]:
        """Wait until every test has ended; those that have not in time are faults."""
        ended: list[Ended] = []
        deadline = time.monotonic() + MOST_SECONDS
        waiting = dict(pending)
        while waiting and time.monotonic() < deadline:
            self._stack.check_alive()
            self._tell_window()
            for test_id in self._completed() & waiting.keys():
                ended.append(self._ended(test_id, waiting.pop(test_id)))
            time.sleep(POLL_SECONDS)
        late = f"no outcome after {MOST_SECONDS:.0f} s"
        return ended + [Ended(test_id, case, None, [late]) for test_id, case in waiting.items()]

    def _completed(self) -> set[int]:
        search = Search(from_time=self._began - timedelta(minutes=1), status=SearchStatus.COMPLETED)
        return {found.test_id for found in self._client.search_all(search)}

    def _ended(self, test_id: int, case: Case) -> Ended:
        status = self._client.test_status(test_id)
        self._tell(f"test {test_id} {status.meter_type} ({case.title}): {status.result_summary}", status.outcome)
        return Ended(test_id, case, status, case.faults(status, self._opens))

    def _tell_window(self) -> None:
        if not self._window_told and datetime.now(UTC) >= self._opens:
            self._window_told = True
            self._tell("the run window opens")

    def _check_never_dialled(self, cancelled: Iterable[Ended]) -> None:
        signed_on = {call["serial"] for call in self._stack.fleet.calls() if call["event"] == "sign_on"}
        for entry in cancelled:
            if entry.case.serial_number in signed_on:
                entry.faults.append("its meter was called in spite of the cancel")

    def _tell(self, text: str, outcome: Outcome | None = None) -> None:
        style = _STYLES.get(outcome) if outcome else None
        self._console.print(
            f"{datetime.now(UTC):%H:%M:%S}  {text}", style=style, markup=False, highlight=False, soft_wrap=True
        )


def outcome_table(ended: Sequence[Ended], *, wide: bool) -> Table:
    """All tests as a metering engineer reads them: what was asked, what the meter said, whether that was expected.

    A narrow one leaves out what was asked for, which the lines above it have told, the clock and the registers.
    """
    table = Table(title="Outcomes (times UTC)", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    columns = _WIDE if wide else _NARROW
    for name in columns:
        table.add_column(name, no_wrap=name != "outcome")
    for entry in ended:
        facts = _facts(entry)
        table.add_row(*(facts.get(name, "") for name in columns))
    return table


def _facts(entry: Ended) -> dict[str, str | Text]:
    facts: dict[str, str | Text] = {
        "test": str(entry.test_id),
        "meter": entry.case.test.meter_type,
        "asked for": entry.case.title,
        "outcome": "removed",
        "expected": Text("no", "red") if entry.faults else Text("yes", "green"),
    }
    return facts if entry.status is None else facts | _facts_of_status(entry.status)


def _facts_of_status(status: MeterTestStatus) -> dict[str, str | Text]:
    registers = sum(len(group.register_values) for group in status.register_groups)
    readings = sum(len(channel.readings) for channel in status.survey_data or ())
    serial_number, meter_time = status.serial_number or "", status.meter_time or ""
    outcome = status.result_summary
    if status.outcome is Outcome.PARTIAL_SUCCESS and serial_number.startswith(_UNREAD):
        outcome += f": {serial_number.removeprefix(_UNREAD)}"
    return {
        "started": f"{status.test_start_time:%H:%M:%S}" if status.test_start_time else "",
        "serial no.": "" if serial_number.startswith(_UNREAD) else serial_number,
        "clock": "" if meter_time.startswith(_UNREAD) else meter_time.partition(" ")[2],
        "registers": str(registers or ""),
        "readings": str(readings or ""),
        "outcome": Text(outcome, _STYLES.get(status.outcome, "")),
    }
