"""One dialler process holds a thousand calls at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import psutil
import pytest

from mts_metersim.fleet import Fault, FaultKind
from mts_metersim.presets import fleet
from mts_stack.processes import wait_until
from mts_stack.testing import StackUnderTest

METERS = 1000
LATENCY = 4000  # milliseconds before each answer, so that no call ends before the last has begun


@pytest.mark.timeout(240)
def test_a_thousand_meters_are_read_at_once_by_one_dialler(
    start_stack: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    simple = [meter for meter in fleet("bulk", 5 * METERS) if meter.meter_type == "ISKRA_MT174"]
    slow = [replace(meter, faults=(Fault(FaultKind.LATENCY, LATENCY),)) for meter in simple]
    stack: StackUnderTest = start_stack(slow, MTS_DIALLER_LINES=str(METERS))
    tests = [{**meter, "immediate": True} for meter in stack.fleet.faulty_meters]
    idle = resident(stack)
    answer = stack.http.post("/batch-request", json=tests)
    batch = answer.json()["batchId"]
    peaks = [idle]

    def completed() -> bool:
        peaks.append(resident(stack))
        status = stack.http.get("/batch-status", params={"batchId": batch}).json()
        return int(status["completedCount"]) == METERS

    assert wait_until(completed, 200)
    status = stack.http.get("/batch-status", params={"batchId": batch}).json()
    assert Counter(test["resultSummary"] for test in status["status"]) == {"SUCCESS": METERS}
    assert most_at_once(stack) == METERS
    with capsys.disabled():
        print(f"\ndialler: {idle:.0f} MiB idle, {max(peaks):.0f} MiB with {METERS} calls at once")


def resident(stack: StackUnderTest) -> float:
    """The dialler's resident memory in MiB."""
    return float(psutil.Process(stack.services.process("dialler").pid).memory_info().rss) / 1024**2


def most_at_once(stack: StackUnderTest) -> int:
    """The greatest number of connections that the simulator had open at a time."""
    now = most = 0
    for call in stack.fleet.calls():
        now += {"connection_start": 1, "connection_end": -1}.get(call["event"], 0)
        most = max(most, now)
    return most
