"""PostgreSQL restarts, loses its back ends, runs out of connections, or keeps a lock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from fault_harness.checker import Checker
from fault_harness.system import System, down, locked, until
from fault_harness.workload import Said, Workload


def test_pools_recover_from_a_restart_without_one_of_their_own(
    system: System, workload: Workload, checker: Checker
) -> None:
    with workload.running():
        until(lambda: len(workload.orders) > 5, "some tests are ordered")
        with down(system.servers.database):
            before = len(workload.orders)
            until(lambda: len(workload.orders) > before + 3, "tests are ordered without a database")
    counts = checker.verify(workload)
    assert counts.unknown > 0
    assert workload.refusals == []


def test_pools_recover_from_killed_back_ends(system: System, workload: Workload, checker: Checker) -> None:
    with workload.running():
        for orders in (5, 10, 15):
            until(lambda least=orders: len(workload.orders) > least, "more tests are ordered")  # type: ignore[misc]
            killed = system.value(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name LIKE 'mts-%'"
            )
            assert killed > 0
    checker.verify(workload)
    system.stack.services.check_alive()


def test_a_stuck_database_connection_is_given_up(system: System, workload: Workload, checker: Checker) -> None:
    with workload.running():
        until(lambda: len(workload.orders) > 5, "some tests are ordered")
        system.postgres.swallow(only=b"mts_scheduler")
        before = len(workload.orders)
        until(lambda: len(workload.orders) > before + 5, "tests are ordered meanwhile")
    checker.verify(workload)


def test_no_connection_to_be_had_is_told_with_details_and_leaves_no_half_accept(
    system: System, workload: Workload, checker: Checker
) -> None:
    system.postgres.stall(only=b"mts_gateway")
    order = workload.order(system.meter())
    assert order.answer is None
    checker.verify(workload)
    assert workload.refusals == []


def test_a_lock_held_for_long_delays_accepts_and_loses_none(
    system: System, workload: Workload, checker: Checker
) -> None:
    with locked(system, "gateway.test"):
        workload.run(calls=3)
        assert all(order.answer is None for order in workload.orders)
    checker.verify(workload)
    assert workload.refusals == []


def test_an_exhausted_pool_is_told_with_details_and_leaves_no_half_accept(
    system: System, workload: Workload, checker: Checker
) -> None:
    order = workload.order(system.meter())
    with locked(system, "gateway.test"), ThreadPoolExecutor(2 * POOL_SIZE, "client") as threads:
        cancels = [threads.submit(workload.cancel_once, order) for _ in range(2 * POOL_SIZE)]
        until(lambda: system.value(WAITING) == POOL_SIZE, "every connection of the gateway is taken")
        assert workload.order(system.meter()).answer is None
        assert {cancel.result() for cancel in cancels} == {Said.UNKNOWN}
    checker.verify(workload)
    assert workload.refusals == []


def test_a_server_without_a_connection_to_spare_is_told_with_details_and_pools_recover(
    system: System, workload: Workload, checker: Checker
) -> None:
    system.execute("ALTER ROLE mts_gateway CONNECTION LIMIT 0")
    try:
        system.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mts_gateway'")
        order = workload.order(system.meter())
        assert order.answer is None
    finally:
        system.execute("ALTER ROLE mts_gateway CONNECTION LIMIT -1")
    checker.verify(workload)
    assert workload.refusals == []


POOL_SIZE = 10
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'mts_gateway' "
    "AND wait_event_type = 'Lock'"
)
