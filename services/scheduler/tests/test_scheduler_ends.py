"""What the events change: requests, ends of attempts, ends of calls; repeated, late and out of order."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mts_common.consumer import Rejected
from mts_common.messages import FailureKind, Outcome, Section, SectionState

if TYPE_CHECKING:
    from conftest import Bench


async def test_a_request_told_twice_is_held_once_and_done_once(bench: Bench) -> None:
    await bench.request(1)
    await bench.request_many((1, 1, 1))
    call = await bench.ask_one()
    await bench.request(1)
    await bench.end(call)
    await bench.request(1)
    assert await bench.state(1) == "done"
    assert await bench.ask() == ()
    assert await bench.outcomes() == {1: Outcome.SUCCESS}


async def test_a_request_older_than_jobs_are_kept_is_refused(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(job_keep_days=10)
    old = datetime.now(UTC) - timedelta(days=11)
    with pytest.raises(Rejected, match="test 2 "):
        await bench.consumers.requested([bench.requested(1), bench.requested(2, received_at=old)])
    assert await bench.pool.fetchval("SELECT count(*) FROM scheduler.job") == 0


async def test_a_success_is_told_with_the_attempt_that_it_stands_on(bench: Bench) -> None:
    await bench.request(1, traceparent="00-a-b-01")
    await bench.end(await bench.ask_one(), FailureKind.BUSY)
    await bench.end(await bench.ask_one())
    (told,) = await bench.finished()
    assert (told.test_id, told.attempt, told.outcome, told.failure, told.detail, told.traceparent) == (
        1,
        2,
        Outcome.SUCCESS,
        None,
        "",
        "00-a-b-01",
    )
    assert told.finished_at == (await bench.job(1))["ended_at"]


async def test_a_failing_test_is_tried_three_times_and_told_once(bench: Bench) -> None:
    await bench.request(1)
    for tries in range(3):
        call = await bench.ask_one()
        assert (call.tests[0].attempt, call.tests[0].tries) == (tries + 1, tries)
        assert await bench.finished() == []
        await bench.end(call, FailureKind.NO_ANSWER)
    assert await bench.ask() == ()
    (told,) = await bench.finished()
    assert (told.attempt, told.outcome, told.failure, told.detail) == (
        3,
        Outcome.ERROR,
        FailureKind.NO_ANSWER,
        "detail of no_answer",
    )


async def test_a_wrong_password_is_never_tried_again(bench: Bench) -> None:
    await bench.request(1)
    await bench.end(await bench.ask_one(), FailureKind.WRONG_PASSWORD)
    assert await bench.ask() == ()
    assert await bench.outcomes() == {1: Outcome.ERROR}


async def test_a_fault_of_a_line_costs_the_test_nothing_ten_times(bench: Bench) -> None:
    await bench.request(1)
    for _ in range(10):
        call = await bench.ask_one()
        assert call.tests[0].tries == 0
        await bench.end(call, FailureKind.LINE_FAULT)
    for tries in range(3):
        call = await bench.ask_one()
        assert call.tests[0].tries == tries
        await bench.end(call, FailureKind.LINE_FAULT)
    assert await bench.outcomes() == {1: Outcome.ERROR}


async def test_sections_read_in_different_attempts_make_a_success(bench: Bench) -> None:
    await bench.request(1)
    clock, survey = Section.CLOCK, Section.SURVEY
    read, failed = SectionState.READ, SectionState.FAILED
    broken: dict[str, Any] = {"failure": FailureKind.DROPPED, "outcome": Outcome.PARTIAL}
    await bench.end(await bench.ask_one(), **broken, sections={clock: read, survey: failed})
    await bench.end(await bench.ask_one(), **broken, sections={clock: failed, survey: read})
    assert await bench.outcomes() == {1: Outcome.SUCCESS}


async def test_each_test_of_a_shared_call_has_its_own_end(bench: Bench) -> None:
    await bench.request_many((1, 2, 3), "10.0.0.1:4001")
    call = await bench.ask_one()
    await bench.consumers.attempt_finished(
        [
            bench.attempt_end(call, place=0),
            bench.attempt_end(call, FailureKind.WRONG_PASSWORD, place=1),
            bench.attempt_end(call, FailureKind.METER_SILENT, place=2),
        ]
    )
    await bench.hang_up(call)
    assert await bench.outcomes() == {1: Outcome.SUCCESS, 2: Outcome.ERROR}
    assert [test.test_id for test in (await bench.ask_one()).tests] == [3]


async def test_an_end_that_is_repeated_counts_once(bench: Bench) -> None:
    await bench.request(1)
    call = await bench.ask_one()
    end = bench.attempt_end(call, FailureKind.BUSY)
    await bench.consumers.attempt_finished([end, end])
    await bench.consumers.attempt_finished([end])
    await bench.hang_up(call)
    await bench.hang_up(call)
    assert (await bench.job(1))["tries"] == 1


async def test_an_end_of_an_earlier_attempt_is_fenced_off(bench: Bench) -> None:
    await bench.request(1)
    first = await bench.ask_one()
    await bench.release(first)
    second = await bench.ask_one()
    await bench.consumers.attempt_finished([bench.attempt_end(first)])
    assert await bench.state(1) == "called"
    assert await bench.finished() == []
    await bench.end(second, FailureKind.WRONG_PASSWORD)
    assert await bench.outcomes() == {1: Outcome.ERROR}


async def test_ends_of_tests_that_are_not_here_change_nothing(bench: Bench) -> None:
    await bench.request(1)
    call = await bench.ask_one()
    await bench.consumers.attempt_finished([bench.attempt_end(call, test_id=99), bench.attempt_end(call, attempt=7)])
    assert await bench.state(1) == "called"


@pytest.mark.parametrize("seed", range(8))
async def test_events_in_any_order_and_number_come_to_the_same_end(bench: Bench, seed: int) -> None:
    """Every message two or three times, shuffled, among others of the same kinds, while calls go on being granted."""
    choice = random.Random(seed)  # noqa: S311
    failures = {1: [], 2: [FailureKind.BUSY], 3: [FailureKind.WRONG_PASSWORD], 4: [FailureKind.DROPPED] * 3}
    left = {test_id: list(kinds) for test_id, kinds in failures.items()}
    requests = [bench.requested(test_id, f"10.0.0.{test_id % 2}:4001") for test_id in failures]
    stream: list[tuple[Callable[[list[Any]], Any], Any]] = []

    def tell(handler: Callable[[list[Any]], Any], item: Any) -> None:
        stream.extend([(handler, item)] * choice.randint(2, 3))

    for item in requests:
        tell(bench.consumers.requested, item)
    for _ in range(400):
        if stream:
            handler, item = stream.pop(choice.randrange(len(stream)))
            await handler([item])
        elif len(await bench.finished()) == 4:
            break
        for call in await bench.ask(2):
            for place, test in enumerate(call.tests):
                failure = left[test.test_id].pop(0) if left[test.test_id] else None
                tell(bench.consumers.attempt_finished, bench.attempt_end(call, failure, place))
            tell(bench.consumers.call_finished, bench.call_end(call))
    assert await bench.outcomes() == {1: Outcome.SUCCESS, 2: Outcome.SUCCESS, 3: Outcome.ERROR, 4: Outcome.ERROR}
    assert [(await bench.job(test_id))["tries"] for test_id in failures] == [1, 2, 1, 3]
    assert await bench.pool.fetchval("SELECT count(*) FROM scheduler.call WHERE ended_at IS NULL") == 0
    assert await bench.pool.fetchval("SELECT count(*) FROM scheduler.line") == 0
