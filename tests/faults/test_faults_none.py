"""Without faults the checker finds nothing: what it finds elsewhere is the fault's doing."""

from __future__ import annotations

from fault_harness.checker import Checker
from fault_harness.workload import Workload


def test_a_mixed_load_without_faults_keeps_every_invariant(checker: Checker, workload: Workload) -> None:
    workload.run(calls=60)
    counts = checker.verify(workload)
    assert counts.unknown == 0
    assert counts.tests > 0
