"""The gateway is killed at each step from accepting a test to having told of it."""

from __future__ import annotations

import pytest
from fault_harness.checker import Checker
from fault_harness.proxy import Direction
from fault_harness.system import System, until
from fault_harness.workload import Order, Workload


@pytest.mark.parametrize(
    ("step", "accepted"),
    [
        pytest.param("gateway.accepting", 0, id="before the commit"),
        pytest.param("gateway.accepted", 1, id="after the commit, before the answer"),
    ],
)
def test_a_gateway_killed_in_an_accept_leaves_all_or_nothing_and_a_repeat_gets_one_test(
    system: System, workload: Workload, checker: Checker, step: str, accepted: int
) -> None:
    system.failpoints.arm(step)
    order = workload.order(system.meter())
    assert order.answer is None
    assert accepted_tests(system, order) == accepted
    system.until_killed(step, "gateway")
    counts = checker.verify(workload)
    assert (len(order.answers), counts.tests, counts.lost, counts.duplicated) == (1, 1, 0, 0)


def test_a_gateway_killed_after_a_confirm_tells_twice_with_one_effect(
    system: System, workload: Workload, checker: Checker
) -> None:
    system.failpoints.arm("relay.confirmed.gateway")
    order = workload.order(system.meter())
    system.until_killed("relay.confirmed.gateway", "gateway")
    counts = checker.verify(workload)
    assert (len(order.answers), counts.tests) == (1, 1)


def test_a_gateway_killed_between_publish_and_confirm_tells_twice_with_one_effect(
    system: System, workload: Workload, checker: Checker
) -> None:
    known = jobs(system)
    system.amqp.swallow(frozenset({Direction.TO_CLIENT}), only=b"mts-gateway publish")
    workload.order(system.meter())
    until(lambda: jobs(system) > known, "the scheduler has the test")
    assert system.value("SELECT count(*) FROM gateway.outbox") > 0
    system.stack.services.kill("gateway")
    checker.verify(workload)


def test_a_gateway_killed_in_a_cancel_leaves_no_test_pending_for_ever(
    system: System, workload: Workload, checker: Checker
) -> None:
    order = workload.order(system.meter(), immediate=False)
    until(lambda: system.query("SELECT FROM scheduler.job WHERE test_id = $1", order.answer), "the test is held")
    system.failpoints.arm("gateway.cancelling")
    workload.cancel_once(order)
    system.until_killed("gateway.cancelling", "gateway")
    system.stack.services.start("gateway")
    why = "SELECT removed_why FROM gateway.test WHERE test_id = $1"
    until(lambda: system.value(why, order.answer) == "cancelled", "settling finds the cancel")
    checker.verify(workload)


def accepted_tests(system: System, order: Order) -> int:
    return int(system.value("SELECT count(*) FROM gateway.test WHERE request_reference = $1", order.key))


def jobs(system: System) -> int:
    return int(system.value("SELECT count(*) FROM scheduler.job"))
