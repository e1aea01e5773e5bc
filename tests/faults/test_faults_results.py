"""Results is killed before and after its commits: each input is stored once."""

from __future__ import annotations

import pytest
from fault_harness.checker import Checker
from fault_harness.system import System, until
from fault_harness.workload import Workload

KINDS = ("TestRequested", "AttemptReport", "_Line", "TestFinished")


@pytest.mark.parametrize("step", ["results.storing", "results.stored"], ids=["before the commit", "before the ack"])
def test_results_killed_in_the_middle_store_each_message_once(
    system: System, workload: Workload, checker: Checker, step: str
) -> None:
    results = system.stack.services.process("results")
    for kind in KINDS:
        system.failpoints.arm(f"{step}.{kind}")
    order = workload.order(system.meter(place=2))

    def killed_for_each() -> bool:
        if not results.running:
            results.start()
        return all(system.failpoints.reached(f"{step}.{kind}") for kind in KINDS)

    until(killed_for_each, "results is killed with each kind of message", 60.0)
    until(lambda: not results.running or system.stack.services.ready("results"), "results is back, or dead for good")
    checker.verify(workload)
    for table in ("request", "attempt", "line", "outcome"):
        assert system.value(f"SELECT count(*) FROM results.{table} WHERE test_id = $1", order.answer) == 1  # noqa: S608
