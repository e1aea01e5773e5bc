"""Many held tests at once. `make large` releases a hundred thousand through the whole platform."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from mts_common.messages import Outcome

if TYPE_CHECKING:
    from conftest import Bench

MakeBench = Callable[..., "Bench"]

TESTS = 2000
ADDRESSES = 1600
QUEUED = 50_000
CHUNK = 5000


async def test_many_held_tests_are_released_by_two_schedulers_and_four_diallers_each_once(
    make_bench: MakeBench,
) -> None:
    benches = [make_bench(), make_bench()]
    requests = [
        benches[0].requested(place, f"10.0.{place % ADDRESSES >> 8}.{place % ADDRESSES & 255}:4059", immediate=False)
        for place in range(1, TESTS + 1)
    ]
    await benches[0].consumers.requested(requests)
    granted: Counter[int] = Counter()
    running: set[str] = set()

    async def dial(bench: Bench, dialler: str) -> None:
        while len(granted) < TESTS:
            calls = await bench.ask(20, dialler)
            for call in calls:
                assert call.canonical_address not in running
                running.add(call.canonical_address)
                granted.update(test.test_id for test in call.tests)
            ends = [bench.attempt_end(call, place=place) for call in calls for place in range(len(call.tests))]
            if calls:
                await bench.consumers.attempt_finished(ends)
                running.difference_update(call.canonical_address for call in calls)
                await bench.consumers.call_finished(list(map(bench.call_end, calls)))

    async with asyncio.timeout(100), asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(dial(benches[number % 2], f"d{number}"), name=f"d{number}")
    assert granted == Counter(range(1, TESTS + 1))
    assert await benches[0].outcomes() == dict.fromkeys(range(1, TESTS + 1), Outcome.SUCCESS)


async def test_a_single_test_is_the_next_to_be_granted_however_many_another_client_has_queued(bench: Bench) -> None:
    """By the order of grants: it waits for the one grant that came before it, and for none of the fifty thousand."""
    for start in range(1, QUEUED, CHUNK):
        await bench.request_many(range(start, start + CHUNK), client_id=1, immediate=start < QUEUED // 2)
    assert (await bench.ask_one()).tests[0].client_id == 1
    await bench.request(QUEUED + 1, client_id=2)
    assert [(await bench.ask_one()).tests[0].client_id for _ in range(3)] == [2, 1, 1]
    await bench.request(QUEUED + 2, client_id=2)
    assert sorted(call.tests[0].client_id for call in await bench.ask(lines=4)) == [1, 1, 1, 2]
