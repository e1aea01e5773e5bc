"""Each service in turn is killed with -9 in the middle of a hundred tests, and started again: no result is lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from mts_metersim.presets import fleet
from mts_stack.processes import wait_until
from mts_stack.testing import StackUnderTest

METERS = 50
TESTS = 2 * METERS
SECONDS = 100.0
FAST = {
    "MTS_LEASE_SECONDS": "4",
    "MTS_ALIVE_SECONDS": "1",
    "MTS_QUARANTINE_SECONDS": "1",
    "MTS_DIALLER_LINES": "5",
    "MTS_MAX_TRIES": "5",
}


@pytest.mark.parametrize("victim", ["gateway", "scheduler", "dialler", "results"])
def test_a_killed_service_loses_no_result(start_stack: Any, victim: str) -> None:
    stack: StackUnderTest = start_stack(fleet("bulk", METERS), **FAST)
    batch = accepted_batch(stack)
    assert wait_until(lambda: completed(stack, batch) >= 3, SECONDS)
    before = completed(stack, batch)
    stack.services.kill(victim)
    stack.services.start(victim)
    assert before < TESTS, "the kill came too late to prove anything"
    assert wait_until(lambda: completed(stack, batch) == TESTS, SECONDS), batch_status(stack, batch)
    results = Counter(test["resultSummary"] for test in batch_status(stack, batch)["status"])
    assert results == {"SUCCESS": TESTS}
    assert [call for call in stack.fleet.calls() if call["event"] == "busy"] == []


def accepted_batch(stack: StackUnderTest) -> int:
    """A batch of two immediate tests of each meter."""
    tests = [{**meter, "immediate": True, "surveyDays": 0} for meter in [*stack.fleet.meters, *stack.fleet.meters]]
    answer = stack.http.post("/batch-request", json=tests)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["batchId"])


def batch_status(stack: StackUnderTest, batch: int) -> dict[str, Any]:
    answer = stack.http.get("/batch-status", params={"batchId": batch})
    assert answer.status_code == 200, answer.text
    status: dict[str, Any] = answer.json()
    return status


def completed(stack: StackUnderTest, batch: int) -> int:
    return int(batch_status(stack, batch)["completedCount"])
