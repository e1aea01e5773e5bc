"""Leases, what becomes of lost calls, and giving back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

from mts_common.messages import FailureKind, Outcome, RunWindow
from mts_scheduler.leases import BACKLOG_MESSAGES, Calm

if TYPE_CHECKING:
    from conftest import Bench

LEASE = 120.0


async def test_a_dialler_that_says_it_is_alive_keeps_its_calls(bench: Bench) -> None:
    await bench.request(1)
    call = await bench.ask_one()
    for _ in range(3):
        await bench.elapse(LEASE * 0.9)
        lease = await bench.alive(call.call_id)
        assert (lease.lost, lease.lease_seconds) == ((), LEASE)
    await bench.leases.sweep()
    assert await bench.state(1) == "called"


async def test_the_calls_of_a_dialler_whose_lease_ran_out_are_a_try_each(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(quarantine_seconds=300)
    await bench.request(1, "10.0.0.1:4001")
    call = await bench.ask_one()
    await bench.elapse(LEASE + 1)
    await bench.leases.sweep()
    job = await bench.job(1)
    assert (job["state"], job["tries"], job["alone"], job["failure"]) == ("held", 1, True, "dialler_lost")
    assert (await bench.alive(call.call_id)).lost == (call.call_id,)
    assert await bench.ask() == ()
    await bench.elapse(299)
    assert await bench.ask() == ()
    await bench.elapse(2)
    again = await bench.ask_one()
    assert (again.tests[0].attempt, again.tests[0].tries) == (2, 1)


async def test_each_test_of_a_lost_call_is_next_granted_alone(bench: Bench) -> None:
    await bench.request_many((1, 2, 3), "10.0.0.1:4001")
    await bench.ask_one()
    await bench.elapse(LEASE + 1)
    await bench.leases.sweep()
    await bench.request(4, "10.0.0.1:4001")
    seen = []
    for _ in range(4):
        call = await bench.ask_one(lines=5)
        seen.append([test.test_id for test in call.tests])
        await bench.end(call)
    assert sorted(seen) == [[1], [2], [3], [4]]


async def test_a_test_that_has_reported_shares_calls_again(bench: Bench) -> None:
    await bench.request_many((1, 2), "10.0.0.1:4001")
    await bench.ask_one()
    await bench.elapse(LEASE + 1)
    await bench.leases.sweep()
    for _ in range(2):
        await bench.end(await bench.ask_one(), FailureKind.BUSY)
    assert len((await bench.ask_one()).tests) == 2


async def test_a_call_that_kills_three_diallers_ends_as_an_error_and_its_neighbours_end_well(bench: Bench) -> None:
    await bench.request_many((1, 2, 3), "10.0.0.1:4001")
    for _ in range(20):
        calls = await bench.ask(1)
        if not calls:
            break
        if any(test.test_id == 2 for test in calls[0].tests):
            await bench.elapse(LEASE + 1)
            await bench.leases.sweep()
        else:
            await bench.end(calls[0])
    assert await bench.outcomes() == {1: Outcome.SUCCESS, 2: Outcome.ERROR, 3: Outcome.SUCCESS}
    lost = next(told for told in await bench.finished() if told.test_id == 2)
    assert (lost.failure, lost.attempt, lost.detail) == (
        FailureKind.DIALLER_LOST,
        None,
        "the dialler was lost in the call",
    )


async def test_a_late_report_of_the_newest_attempt_counts_and_its_try_counts_once(bench: Bench) -> None:
    await bench.request_many((1, 2))
    first, second = await bench.ask(2)
    await bench.elapse(LEASE + 1)
    await bench.leases.sweep()
    await bench.end(first)
    await bench.end(second, FailureKind.BUSY)
    assert await bench.outcomes() == {first.tests[0].test_id: Outcome.SUCCESS}
    job = await bench.job(second.tests[0].test_id)
    assert (job["state"], job["tries"], job["failure"], job["alone"]) == ("held", 1, "busy", False)


async def test_a_late_report_that_our_line_was_at_fault_gives_the_try_back(bench: Bench) -> None:
    await bench.request(1)
    call = await bench.ask_one()
    await bench.elapse(LEASE + 1)
    await bench.leases.sweep()
    await bench.end(call, FailureKind.LINE_FAULT)
    job = await bench.job(1)
    assert (job["tries"], job["costless"]) == (0, 1)


async def test_what_a_lost_call_had_reported_is_not_tried_again(bench: Bench) -> None:
    await bench.request_many((1, 2), "10.0.0.1:4001")
    call = await bench.ask_one()
    await bench.consumers.attempt_finished([bench.attempt_end(call, place=0)])
    await bench.elapse(LEASE + 1)
    await bench.leases.sweep()
    assert [await bench.state(test_id) for test_id in (1, 2)] == ["done", "held"]


async def test_a_call_that_its_living_dialler_does_not_name_is_lost_after_a_lease(bench: Bench) -> None:
    await bench.request_many((1, 2))
    kept, forgotten = await bench.ask(2)
    await bench.alive(kept.call_id)
    await bench.elapse(LEASE / 2)
    await bench.alive(kept.call_id, forgotten.call_id)
    await bench.elapse(LEASE * 0.7)
    await bench.alive(kept.call_id)
    await bench.leases.sweep()
    assert [await bench.state(call.tests[0].test_id) for call in (kept, forgotten)] == ["called", "called"]
    await bench.elapse(LEASE * 0.7)
    await bench.alive(kept.call_id)
    await bench.elapse(LEASE * 0.7)
    await bench.alive(kept.call_id)
    await bench.leases.sweep()
    assert [await bench.state(call.tests[0].test_id) for call in (kept, forgotten)] == ["called", "held"]


async def test_a_test_whose_end_was_lost_is_tried_again_a_lease_after_its_call(bench: Bench) -> None:
    await bench.request(1)
    call = await bench.ask_one()
    await bench.hang_up(call)
    await bench.leases.sweep()
    assert await bench.state(1) == "called"
    await bench.elapse(LEASE + 1)
    await bench.leases.sweep()
    assert (await bench.job(1))["tries"] == 1
    assert len(await bench.ask()) == 1


async def test_a_call_given_back_costs_no_try(bench: Bench) -> None:
    await bench.request_many((1, 2), "10.0.0.1:4001")
    call = await bench.ask_one()
    await bench.consumers.attempt_finished([bench.attempt_end(call, place=0)])
    await bench.release(call)
    await bench.release(call)
    assert [await bench.state(test_id) for test_id in (1, 2)] == ["done", "held"]
    again = await bench.ask_one(dialler="d2")
    assert [(test.test_id, test.attempt, test.tries) for test in again.tests] == [(2, 2, 0)]
    await bench.release(call)
    assert await bench.state(2) == "called"


async def test_the_end_of_an_attempt_may_come_after_its_call_was_given_back(bench: Bench) -> None:
    await bench.request(1)
    call = await bench.ask_one()
    await bench.release(call)
    await bench.end(call, FailureKind.WRONG_PASSWORD)
    assert await bench.ask() == ()
    assert await bench.outcomes() == {1: Outcome.ERROR}


async def test_a_call_of_nobody_is_not_held(bench: Bench) -> None:
    unknown = uuid4()
    assert (await bench.alive(unknown)).lost == (unknown,)


async def test_an_overnight_test_that_is_not_started_in_seven_windows_ends(
    make_bench: Callable[..., Bench], run_window: Callable[[float, float], RunWindow]
) -> None:
    bench = make_bench(run_windows=(run_window(3600, 7200),))
    await bench.request(1, immediate=False)
    await bench.request(2)
    await bench.elapse(6.9 * 86400)
    await bench.leases.sweep()
    assert await bench.finished() == []
    await bench.elapse(1.2 * 86400)
    await bench.leases.sweep()
    told = {item.test_id: item for item in await bench.finished()}
    assert (told[1].outcome, told[1].attempt, told[1].detail) == (Outcome.ERROR, None, "not started in 7 run windows")
    assert (told[2].outcome, told[2].attempt, told[2].detail) == (Outcome.ERROR, None, "not started in 7 days")


async def test_a_test_is_not_given_up_while_its_window_is_open(bench: Bench) -> None:
    await bench.request(1, immediate=False)
    await bench.elapse(20 * 86400)
    await bench.leases.sweep()
    assert await bench.state(1) == "held"
    assert len(await bench.ask()) == 1


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _looks(calm: Calm, clock: FakeClock, seconds: float, backlog: int | None = 0) -> list[bool]:
    answers = []
    for _ in range(int(seconds / 10)):
        clock.now += 10
        answers.append(calm.look(backlog))
    return answers


def test_leases_expire_only_after_a_whole_lease_without_a_backlog() -> None:
    clock = FakeClock()
    calm = Calm(LEASE, clock)
    assert not any(_looks(calm, clock, 600, BACKLOG_MESSAGES + 1))
    assert not any(_looks(calm, clock, LEASE))
    assert all(_looks(calm, clock, 600))


def test_a_broker_that_does_not_answer_starts_the_lease_again() -> None:
    clock = FakeClock()
    calm = Calm(LEASE, clock)
    assert any(_looks(calm, clock, 200))
    assert not any(_looks(calm, clock, 10, None))
    assert not any(_looks(calm, clock, LEASE))
    assert all(_looks(calm, clock, 20))


def test_a_process_that_stood_still_starts_the_lease_again() -> None:
    clock = FakeClock()
    calm = Calm(LEASE, clock)
    assert any(_looks(calm, clock, 200))
    clock.now += 600
    assert not calm.look(0)
    assert not any(_looks(calm, clock, LEASE))
