"""PostgreSQL restarts, loses its back ends, runs out of connections, or keeps a lock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from fault_harness.checker import Checker, until
from fault_harness.system import System, down
from fault_harness.workload import Workload


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
        workload.run(calls=6)
        assert all(order.answer is None for order in workload.orders)
    checker.verify(workload)
    assert workload.refusals == []


@contextmanager
def locked(system: System, table: str) -> Iterator[None]:
    """A table that nobody else gets at, from a session of our own."""
    held, release = threading.Event(), threading.Event()

    async def hold() -> None:
        connection = await asyncpg.connect(system.database.admin_url)
        try:
            async with connection.transaction():
                await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                held.set()
                await asyncio.to_thread(release.wait, 100.0)
        finally:
            await connection.close()

    thread = threading.Thread(target=lambda: asyncio.run(hold()), name="lock")
    thread.start()
    try:
        assert held.wait(30.0)
        yield
    finally:
        release.set()
        thread.join(30.0)
