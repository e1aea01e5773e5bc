"""Cancelling: only what is not in a call, and then for good."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from mts_common.messages import FailureKind, Outcome

if TYPE_CHECKING:
    from conftest import Bench


async def test_a_held_test_is_cancelled_told_and_never_granted(bench: Bench) -> None:
    await bench.request_many((1, 2))
    assert (await bench.cancel(1)).cancelled == (1,)
    assert await bench.cancelled() == [1]
    assert [test.test_id for test in (await bench.ask_one(lines=5)).tests] == [2]


async def test_a_test_in_a_call_and_one_that_is_done_are_left_alone(bench: Bench) -> None:
    await bench.request_many((1, 2))
    done, called = await bench.ask(2)
    await bench.end(done)
    reply = await bench.cancel(1, 2)
    assert (reply.cancelled, reply.deleted) == ((), ())
    await bench.end(called)
    assert await bench.outcomes() == {1: Outcome.SUCCESS, 2: Outcome.SUCCESS}


async def test_a_test_between_two_attempts_is_cancelled_and_its_late_report_changes_nothing(bench: Bench) -> None:
    await bench.request(1)
    call = await bench.ask_one()
    await bench.release(call)
    assert (await bench.cancel(1)).cancelled == (1,)
    await bench.end(call)
    assert await bench.state(1) == "cancelled"
    assert await bench.finished() == []


async def test_a_cancel_that_comes_before_its_request_wins(bench: Bench) -> None:
    assert (await bench.cancel(1)).cancelled == (1,)
    await bench.request(1)
    assert await bench.ask() == ()
    assert await bench.cancelled() == [1]


async def test_a_repeated_cancel_has_the_same_answer_and_is_told_once(bench: Bench) -> None:
    await bench.request_many((1, 2))
    await bench.end(await bench.ask_one())
    first = await bench.cancel(1, 2, 2, delete=True)
    assert (first.cancelled, first.deleted) == ((2,), (1,))
    assert await bench.cancel(2, 1, delete=True) == first
    assert sorted(await bench.cancelled()) == [1, 2]


async def test_what_is_done_is_deleted_only_if_that_is_asked_for(bench: Bench) -> None:
    await bench.request(1)
    await bench.end(await bench.ask_one(), FailureKind.WRONG_PASSWORD)
    assert (await bench.cancel(1)).deleted == ()
    assert (await bench.cancel(1, delete=True)).deleted == (1,)
    assert await bench.cancelled() == [1]
    assert (await bench.job(1))["terms"] is None


async def test_a_cancel_raced_against_grants_leaves_each_test_to_one_of_them(bench: Bench) -> None:
    choice = random.Random(2)  # noqa: S311
    rounds, size = 40, 25
    granted: set[int] = set()
    cancelled: set[int] = set()

    async def dial(dialler: str) -> None:
        for call in await bench.ask(10, dialler):
            granted.update(test.test_id for test in call.tests)

    async def cancel(test_ids: list[int]) -> None:
        cancelled.update((await bench.cancel(*test_ids)).cancelled)

    for number in range(rounds):
        test_ids = [number * 1000 + place for place in range(1, size + 1)]
        await bench.request_many(test_ids)
        some = choice.sample(test_ids, 15)
        work = [dial("d1"), cancel(some[:8]), dial("d2"), cancel(some[8:]), dial("d3")]
        choice.shuffle(work)
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each, name="race")
        assert not granted & cancelled
    assert len(cancelled) > rounds
    assert len(granted) > rounds
    rows = await bench.pool.fetch("SELECT test_id, state FROM scheduler.job WHERE state <> 'held'")
    assert {row["test_id"] for row in rows if row["state"] == "called"} == granted
    assert {row["test_id"] for row in rows if row["state"] == "cancelled"} == cancelled
