"""RabbitMQ goes away, gets stuck, loses its queues, takes consumers away or refuses to publish."""

from __future__ import annotations

from fault_harness.checker import Checker
from fault_harness.proxy import Direction
from fault_harness.system import System, down, until
from fault_harness.workload import Workload

from mts_common import topology
from mts_stack.rabbitmq import MEMORY


def test_tests_are_accepted_while_the_broker_is_down_and_read_when_it_is_back(
    system: System, workload: Workload, checker: Checker
) -> None:
    with workload.running():
        until(lambda: len(workload.orders) > 5, "some tests are ordered")
        with down(system.servers.broker):
            before = accepted(system)
            until(lambda: accepted(system) > before + 5, "tests are accepted without a broker")
    counts = checker.verify(workload)
    assert counts.tests > 0
    assert_nobody_restarted(system)


def test_a_call_goes_on_through_an_outage_shorter_than_the_lease(
    system: System, workload: Workload, checker: Checker
) -> None:
    meter = system.meter("latency")
    before = len(system.calls_of(meter))
    order = workload.order_under_way(meter)
    system.amqp.cut()
    checker.verify(workload)
    (job,) = system.query("SELECT attempt, tries FROM scheduler.job WHERE test_id = $1", order.answer)
    assert (job["attempt"], len(system.calls_of(meter)) - before) == (1, 1)


def test_an_outage_longer_than_the_lease_ends_calls_without_costing_a_try(
    system: System, workload: Workload, checker: Checker
) -> None:
    meter = system.meter("latency", 1)
    begun, ended = len(system.calls_of(meter)), len(system.calls_of(meter, "connection_end"))
    order = workload.order_under_way(meter, surveyDays=1)
    system.amqp.stall()
    until(lambda: len(system.calls_of(meter, "connection_end")) > ended, "hung up")
    checker.verify(workload)
    tries = system.value("SELECT tries FROM scheduler.job WHERE test_id = $1", order.answer)
    assert tries == 1
    assert len(system.calls_of(meter)) - begun > 1


def test_a_stuck_connection_is_given_up_and_made_anew(system: System, workload: Workload, checker: Checker) -> None:
    with workload.running():
        until(lambda: len(workload.orders) > 5, "some tests are ordered")
        system.amqp.swallow()
        stuck = accepted(system)
        until(lambda: accepted(system) > stuck + 5, "tests are accepted without a broker")
    checker.verify(workload)
    assert_nobody_restarted(system)


def test_lost_confirms_double_messages_but_not_their_effects(
    system: System, workload: Workload, checker: Checker
) -> None:
    system.amqp.swallow(frozenset({Direction.TO_CLIENT}), only=b" publish")
    workload.run(calls=12)
    until(lambda: system.query("SELECT FROM gateway.outbox"), "tests wait to be confirmed")
    checker.verify(workload)


def test_deleted_queues_cost_a_delay_or_a_second_call_but_no_test(
    system: System, workload: Workload, checker: Checker
) -> None:
    with workload.running():
        until(lambda: len(workload.orders) > 10, "some tests are ordered")
        system.stack.services.kill("results")
        until(lambda: messages_in(system, topology.RESULTS_REPORTS.name) > 2, "reports wait")
        for queue in topology.EVENT_QUEUES:
            system.management.delete_queue(queue.name)
    checker.verify(workload)


def test_a_consumer_that_the_broker_cancels_comes_back(system: System, workload: Workload, checker: Checker) -> None:
    for queue in topology.EVENT_QUEUES:
        system.management.delete_queue(queue.name)
    workload.run(calls=12)
    checker.verify(workload)
    assert_nobody_restarted(system)


def test_a_memory_alarm_stops_no_accept_and_loses_nothing(system: System, workload: Workload, checker: Checker) -> None:
    with workload.running():
        until(lambda: len(workload.orders) > 5, "some tests are ordered")
        system.servers.broker.limit_memory("1MB")
        try:
            blocked = accepted(system)
            until(lambda: accepted(system) > blocked + 5, "tests are accepted in spite of the alarm")
        finally:
            system.servers.broker.limit_memory(MEMORY)
    checker.verify(workload)
    assert workload.refusals == []


def accepted(system: System) -> int:
    return int(system.value("SELECT count(*) FROM gateway.test"))


def messages_in(system: System, queue: str) -> int:
    return int(system.management.queues().get(queue, {}).get("messages", 0))


def assert_nobody_restarted(system: System) -> None:
    system.stack.services.check_alive()
