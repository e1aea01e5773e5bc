"""Results is killed before and after its commits: each input is stored once."""

from __future__ import annotations

import pytest
from fault_harness.checker import Checker
from fault_harness.system import System
from fault_harness.workload import Workload


@pytest.mark.parametrize("kind", ["TestRequested", "AttemptReport", "_Line", "TestFinished"])
@pytest.mark.parametrize("step", ["results.storing", "results.stored"], ids=["before the commit", "before the ack"])
def test_results_killed_in_the_middle_store_each_message_once(
    system: System, workload: Workload, checker: Checker, step: str, kind: str
) -> None:
    armed = f"{step}.{kind}"
    system.failpoints.arm(armed)
    order = workload.order(system.meter(place=2))
    system.until_killed(armed, "results")
    checker.verify(workload)
    for table in ("request", "attempt", "line", "outcome"):
        assert system.value(f"SELECT count(*) FROM results.{table} WHERE test_id = $1", order.answer) == 1  # noqa: S608
