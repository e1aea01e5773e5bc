"""Meters that are silent, slow, garbled, endless or gone: each call ends in time, and says what was wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import product
from pathlib import Path

import psutil
import pytest
from fault_harness.checker import Checker
from fault_harness.system import System, seed, until
from fault_harness.workload import Workload

from mts_metersim.fleet import Fault, FaultKind, Meter
from mts_metersim.presets import fleet
from mts_stack.servers import Servers

TEST_SECONDS = 12.0
SIGN_OFF_SECONDS = 5.0
SLACK_SECONDS = 5.0
GROWTH_MIB = 40.0
TYPES = ("ELSTERA1700", "LG_E650_IEC")

# Amounts are such that no test can be read whole.
FAULTS = (
    Fault(FaultKind.SILENT),
    Fault(FaultKind.SILENT_AFTER, 120),
    Fault(FaultKind.SLOW, 1000),
    Fault(FaultKind.GARBAGE),
    Fault(FaultKind.ECHO),
    Fault(FaultKind.ENDLESS),
    Fault(FaultKind.WRONG_BCC),
    Fault(FaultKind.WRONG_SERIAL),
    Fault(FaultKind.REFUSES_PASSWORD),
    Fault(FaultKind.DROPS_LINE, 400),
)


@pytest.fixture
def faulty(servers: Servers, tmp_path: Path) -> Iterator[System]:
    """A system of its own, all of whose meters have faults; each test has one try."""
    settings = {"MTS_MAX_TRIES": "1", "MTS_TEST_SECONDS": str(TEST_SECONDS), "MTS_DIALLER_LINES": "40"}
    with System(servers, tmp_path, faulty_meters(), settings) as system:
        yield system


def test_every_fault_of_a_meter_ends_its_call_in_time_as_no_success_and_with_memory_flat(faulty: System) -> None:
    workload, checker = Workload(faulty, seed()), Checker(faulty)
    dialler = psutil.Process(faulty.stack.services.process("dialler").pid)
    idle = resident(dialler)
    orders = [(meter, workload.order(meter, surveyDays=1)) for meter in faulty.stack.fleet.ready()]
    peaks: list[float] = []

    def done() -> bool:
        peaks.append(resident(dialler))
        return bool(faulty.value("SELECT count(*) = $1 FROM scheduler.job WHERE state = 'done'", len(orders)))

    until(done, "every test is over", 90.0)
    assert max(peaks) - idle < GROWTH_MIB
    results = {(meter["fault"], meter["meterType"]): result(faulty, order.answer) for meter, order in orders}
    whole = {name: text for name, text in results.items() if not text.startswith(("ERROR: ", "PARTIAL SUCCESS"))}
    assert whole == {}
    assert len(durations(faulty)) >= len(orders)
    assert max(durations(faulty)) < TEST_SECONDS + SIGN_OFF_SECONDS + SLACK_SECONDS
    for meter, order in orders:
        checker.expect(order.answer, results[meter["fault"], meter["meterType"]])
    checker.verify(workload)


def faulty_meters() -> list[Meter]:
    """One of each type for each fault; all have a password."""
    healthy = fleet("bulk", 20 * len(FAULTS))
    by_type = {name: iter([meter for meter in healthy if meter.meter_type == name]) for name in TYPES}
    return [
        replace(next(by_type[name]), password=f"SIM{place:05d}", faults=(fault,))
        for place, (fault, name) in enumerate(product(FAULTS, TYPES))
    ]


def result(system: System, test_id: int | None) -> str:
    (row,) = system.query("SELECT result_summary FROM results.status WHERE test_id = $1", test_id)
    return str(row["result_summary"])


def durations(system: System) -> list[float]:
    """Seconds of each connection, by the simulator."""
    begun: dict[int, datetime] = {}
    seconds = []
    for call in system.stack.fleet.calls():
        at = datetime.fromisoformat(call["at"])
        if call["event"] == "connection_start":
            begun[call["connection"]] = at
        elif call["event"] == "connection_end":
            seconds.append((at - begun[call["connection"]]).total_seconds())
    return seconds


def resident(process: psutil.Process) -> float:
    """MiB."""
    return float(process.memory_info().rss) / 1024**2
