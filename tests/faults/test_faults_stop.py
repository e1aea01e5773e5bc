"""Services are told to end, one after the other, while clients are at work."""

from __future__ import annotations

from fault_harness.checker import Checker
from fault_harness.system import System, until
from fault_harness.workload import Workload

from mts_stack.services import SERVICES


def test_each_service_told_to_end_under_load_ends_in_order_within_its_grace(
    system: System, workload: Workload, checker: Checker
) -> None:
    services = system.stack.services
    with workload.running():
        for name in SERVICES:
            ordered = len(workload.orders)
            until(lambda least=ordered: len(workload.orders) > least + 3, "more tests are ordered")  # type: ignore[misc]
            services.stop(name)
            assert services.process(name).exit_code == 0
            services.start(name)
    checker.verify(workload)
