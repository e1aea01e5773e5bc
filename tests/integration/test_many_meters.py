"""One dialler process holds two thousand calls at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mts_client import MeterTest, MtsClient
from mts_metersim.fleet import Fault, FaultKind
from mts_metersim.presets import fleet
from mts_stack.testing import StackUnderTest

METERS = 2000
MOST_MEBIBYTES = 300
LATENCY = 15_000  # milliseconds before each answer, so that no call ends before the last has begun


@pytest.mark.timeout(300)
def test_two_thousand_meters_are_read_at_once_by_one_dialler(
    start_stack: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    simple = [meter for meter in fleet("bulk", 5 * METERS) if meter.meter_type == "ISKRA_MT174"]
    slow = [replace(meter, faults=(Fault(FaultKind.LATENCY, LATENCY),)) for meter in simple]
    stack: StackUnderTest = start_stack(slow, MTS_DIALLER_LINES=str(METERS), MTS_REPLY_SECONDS="60")
    tests = [MeterTest.model_validate({**meter, "immediate": True}) for meter in stack.fleet.faulty_meters]
    idle = most_memory(stack)
    with MtsClient(stack.services.api_url, stack.token, trust=stack.services.trust) as client:
        done = client.wait_for_batch(client.batch_request(tests), deadline=240, poll=2)
    most = most_memory(stack)
    assert Counter(test.result_summary for test in done.status) == {"SUCCESS": METERS}
    assert most_at_once(stack) == METERS
    assert most < MOST_MEBIBYTES
    with capsys.disabled():
        print(f"\ndialler: {idle:.0f} MiB at the start, at most {most:.0f} MiB with {METERS} calls at once")


def most_memory(stack: StackUnderTest) -> float:
    """The most that the dialler has had resident so far, in MiB."""
    status = Path(f"/proc/{stack.services.process('dialler').pid}/status").read_text("utf-8")
    facts = dict(line.split(":", 1) for line in status.splitlines())
    return int(facts["VmHWM"].split()[0]) / 1024


def most_at_once(stack: StackUnderTest) -> int:
    """The greatest number of connections that the simulator had open at a time."""
    now = most = 0
    for call in stack.fleet.calls():
        now += {"connection_start": 1, "connection_end": -1}.get(call["event"], 0)
        most = max(most, now)
    return most
