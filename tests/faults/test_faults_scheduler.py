"""The scheduler is killed between what it decides and what it tells of that; two run at once; none runs for a while."""

from __future__ import annotations

import pytest
from fault_harness.checker import Checker
from fault_harness.system import System, until
from fault_harness.workload import Said, Workload


def test_a_grant_whose_answer_was_lost_is_given_again(system: System, workload: Workload, checker: Checker) -> None:
    system.failpoints.arm("scheduler.granted")
    order = workload.order(system.meter())
    system.until_killed("scheduler.granted", "scheduler")
    (granted,) = system.query("SELECT call_id, attempt FROM scheduler.job WHERE test_id = $1", order.answer)
    checker.verify(workload)
    (last,) = system.query("SELECT call_id, attempt FROM scheduler.job WHERE test_id = $1", order.answer)
    assert last == granted


@pytest.mark.parametrize("step", ["scheduler.decided", "relay.confirmed.scheduler", "scheduler.settling"])
def test_an_outcome_survives_a_scheduler_killed_before_it_was_told_or_settled(
    system: System, workload: Workload, checker: Checker, step: str
) -> None:
    system.failpoints.arm(step)
    workload.run(calls=9)
    system.until_killed(step, "scheduler")
    checker.verify(workload)


def test_two_schedulers_grant_nothing_twice(system: System, workload: Workload, checker: Checker) -> None:
    second = system.another("scheduler")
    with workload.running(calls=60, pause=0.2):
        until(lambda: len(workload.orders) > 10, "some tests are ordered")
        second.kill()
        system.another("scheduler")
        until(lambda: len(workload.orders) > 25, "more tests are ordered")
    checker.verify(workload)


def test_tests_accepted_while_no_scheduler_runs_are_read_when_one_does(
    system: System, workload: Workload, checker: Checker
) -> None:
    system.stack.services.kill("scheduler")
    workload.run(calls=24)
    counts = checker.verify(workload)
    assert counts.tests > 0


def test_a_scheduler_that_is_away_for_longer_than_a_lease_costs_no_test_and_no_try(
    system: System, workload: Workload, checker: Checker
) -> None:
    meter = system.meter("latency", 1)
    begun, ended = len(system.calls_of(meter, "sign_on")), len(system.calls_of(meter, "connection_end"))
    order = workload.order_under_way(meter, surveyDays=1)
    system.stack.services.kill("scheduler")
    until(lambda: len(system.calls_of(meter, "connection_end")) > ended, "hung up")
    assert not system.stack.services.ready("dialler")
    accepted = [workload.order(system.meter(place=place)) for place in range(4)]
    assert all(each.answer is not None for each in accepted)
    assert workload.cancel_once(accepted[0]) is Said.UNKNOWN
    checker.verify(workload)
    tries = system.value("SELECT tries FROM scheduler.job WHERE test_id = $1", order.answer)
    assert tries == 1
    assert len(system.calls_of(meter, "sign_on")) - begun > 1
