"""What operators do to tests that wait and to quarantined addresses, and what they see."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from mts_common.messages import FailureKind, Outcome, RunWindow, SettleRequests, Transport
from mts_common.operator_messages import ChangeJobs, JobChange, LiftQuarantine, ListJobs, ListLines
from mts_scheduler.operators import Operators
from mts_scheduler.settling import Settling

if TYPE_CHECKING:
    from conftest import Bench


@pytest.fixture
def operators(bench: Bench) -> Operators:
    return Operators(bench.pool, lambda: None)


async def change(operators: Operators, change: JobChange, *test_ids: int) -> tuple[int, ...]:
    (reply,) = await operators.change_jobs([ChangeJobs(change=change, test_ids=test_ids)])
    return reply.changed


async def listed(operators: Operators, **wanted: Any) -> list[int]:
    (reply,) = await operators.list_jobs([ListJobs(**wanted)])
    return [job.test_id for job in reply.jobs]


async def test_a_test_on_hold_is_not_called_until_it_is_released(bench: Bench, operators: Operators) -> None:
    await bench.request_many([1, 2])
    assert await change(operators, JobChange.HOLD, 1, 1) == (1,)
    assert [test.test_id for call in await bench.ask(lines=5) for test in call.tests] == [2]
    assert await bench.ask(lines=5) == ()
    assert await change(operators, JobChange.HOLD, 1) == (1,)
    assert await change(operators, JobChange.RELEASE, 1) == (1,)
    call = await bench.ask_one()
    assert [test.test_id for test in call.tests] == [1]


async def test_only_what_waits_is_held_or_released(bench: Bench, operators: Operators) -> None:
    await bench.request_many([1, 2, 3])
    await bench.cancel(2)
    call = await bench.ask_one()
    called = call.tests[0].test_id
    everything = (1, 2, 3, 99)
    waiting = tuple({1, 3} - {called})
    for each in JobChange:
        assert await change(operators, each, *everything) == waiting
    await bench.end(call)
    assert await bench.state(called) == "done"


async def test_a_hold_loses_no_test_and_settling_knows_it(bench: Bench, operators: Operators) -> None:
    await bench.request(1)
    await change(operators, JobChange.HOLD, 1)
    await bench.request(1)
    settling = Settling(bench.pool, bench.settings, None, lambda: None)  # type: ignore[arg-type]
    (reply,) = await settling.requests([SettleRequests(test_ids=(1, 2))])
    assert (reply.known, reply.cancelled) == ((1,), ())
    await bench.elapse(30 * 86400)
    await bench.leases.sweep()
    assert await bench.state(1) == "held"
    await change(operators, JobChange.RELEASE, 1)
    await bench.end(await bench.ask_one())
    assert await bench.outcomes() == {1: Outcome.SUCCESS}


async def test_a_test_on_hold_can_be_cancelled(bench: Bench, operators: Operators) -> None:
    await bench.request(1)
    await change(operators, JobChange.HOLD, 1)
    assert (await bench.cancel(1)).cancelled == (1,)
    assert await change(operators, JobChange.RELEASE, 1) == ()


@pytest.mark.parametrize("failure", [None, FailureKind.BUSY])
async def test_a_late_report_of_a_lost_attempt_ends_a_test_on_hold_or_leaves_it_there(
    make_bench: Callable[..., Bench], failure: FailureKind | None
) -> None:
    bench = make_bench(lease_seconds=10)
    operators = Operators(bench.pool, lambda: None)
    await bench.request(1)
    call = await bench.ask_one()
    await bench.elapse(20)
    await bench.leases.sweep()
    assert await change(operators, JobChange.HOLD, 1) == (1,)
    await bench.consumers.attempt_finished([bench.attempt_end(call, failure)])
    assert await bench.state(1) == ("held" if failure else "done")
    assert await listed(operators, on_hold=True) == ([1] if failure else [])
    assert await bench.ask() == ()


async def test_a_release_ends_the_pause_after_a_failure(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(retry_pause_seconds=3600)
    await bench.request(1)
    await bench.end(await bench.ask_one(), FailureKind.BUSY)
    assert await bench.ask() == ()
    assert await change(Operators(bench.pool, lambda: None), JobChange.RELEASE, 1) == (1,)
    assert (await bench.ask_one()).tests[0].tries == 1


async def test_an_overnight_test_released_now_does_not_wait_for_its_window(
    make_bench: Callable[..., Bench], run_window: Callable[[float, float], RunWindow]
) -> None:
    bench = make_bench(run_windows=(run_window(3600, 7200),))
    operators = Operators(bench.pool, lambda: None)
    await bench.request(1, immediate=False)
    await bench.request(2, immediate=False)
    await change(operators, JobChange.HOLD, 1)
    await change(operators, JobChange.RELEASE, 1, 2)
    assert await bench.ask(lines=5) == ()
    assert await change(operators, JobChange.RELEASE_NOW, 1) == (1,)
    call = await bench.ask_one(lines=5)
    assert ([test.test_id for test in call.tests], call.seconds_left) == ([1], None)


async def test_tests_that_wait_are_listed_by_client_kind_hold_address_and_page(
    bench: Bench, operators: Operators
) -> None:
    await bench.request_many([1, 2])
    await bench.request(3, "07777 000003", client_id=2, immediate=False)
    await bench.request(4, client_id=2)
    await change(operators, JobChange.HOLD, 2, 3)
    assert await listed(operators) == [1, 2, 3, 4]
    assert await listed(operators, client_id=2) == [3, 4]
    assert await listed(operators, immediate=False) == [3]
    assert await listed(operators, on_hold=True) == [2, 3]
    assert await listed(operators, on_hold=False) == [1, 4]
    assert await listed(operators, address="+44777") == await listed(operators, address="07777") == [3]
    (page,) = await operators.list_jobs([ListJobs(limit=2, offset=1)])
    assert (page.total, [job.test_id for job in page.jobs]) == (4, [2, 3])
    (beyond,) = await operators.list_jobs([ListJobs(offset=10)])
    assert (beyond.total, beyond.jobs) == (4, ())
    assert (page.jobs[0].ready_at, page.jobs[0].immediate, page.jobs[1].immediate) == (None, True, False)


async def test_sessions_and_running_calls_are_shown(bench: Bench, operators: Operators) -> None:
    await bench.request_many([1, 2], "10.0.0.1:1")
    call = await bench.ask_one(lines=3)
    (lines,) = await operators.list_lines([ListLines()])
    (dialler,) = lines.diallers
    assert (dialler.dialler, dialler.transport, dialler.lines, dialler.calls) == ("d1", Transport.TCP, 3, 1)
    (running,) = lines.calls
    assert (running.call_id, running.dialler, running.test_ids) == (call.call_id, "d1", (1, 2))
    assert lines.quarantine == ()


async def test_a_quarantine_has_a_reason_and_can_be_lifted(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(lease_seconds=10, quarantine_seconds=600)
    operators = Operators(bench.pool, lambda: None)
    await bench.request(1, "10.0.0.1:1")
    await bench.ask_one()
    await bench.elapse(20)
    await bench.leases.sweep()
    assert await bench.ask() == ()
    (lines,) = await operators.list_lines([ListLines()])
    (left_alone,) = lines.quarantine
    assert (left_alone.address, left_alone.reason) == ("10.0.0.1:1", "a call was lost with dialler d1")
    lift = LiftQuarantine(address=left_alone.address)
    assert [reply.lifted for reply in await operators.lift_quarantine([lift, lift])] == [True, False]
    assert (await bench.ask_one()).tests[0].test_id == 1
