"""Everything at once, from two schedulers: requests, grants, ends, cancels, lost calls and sweeps."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from mts_common.messages import FailureKind, GrantedCall

if TYPE_CHECKING:
    from conftest import Bench

TESTS = range(1, 401)
FAILURES = (None, None, None, FailureKind.BUSY, FailureKind.DROPPED, FailureKind.LINE_FAULT, FailureKind.WRONG_PASSWORD)

Handler = Callable[["Bench"], Callable[[list[Any]], Any]]


class Storm:
    """Diallers and a gateway that send everything late, repeated and out of order to one scheduler or another."""

    def __init__(self, benches: Sequence[Bench], seed: int) -> None:
        self.choice = random.Random(seed)  # noqa: S311
        self.benches = benches
        self.cancelled: set[int] = set()
        self.granted: Counter[tuple[int, int]] = Counter()
        self.over = asyncio.Event()
        self._running: set[str] = set()

    async def _tell(self, handler: Handler, items: Sequence[Any]) -> None:
        for _ in range(self.choice.randint(1, 2)):
            await handler(self.choice.choice(self.benches))(self.choice.sample(items, len(items)))

    async def request(self) -> None:
        """Three clients ask for immediate and overnight tests at sixty addresses."""
        requests = [
            self.benches[0].requested(
                test_id, f"10.0.0.{test_id % 60}:4001", client_id=test_id % 3, immediate=bool(test_id % 2)
            )
            for test_id in TESTS
        ]
        for start in range(0, len(requests), 40):
            await self._tell(lambda bench: bench.consumers.requested, requests[start : start + 40])

    async def cancel(self) -> None:
        for _ in range(40):
            reply = await self.choice.choice(self.benches).cancel(*self.choice.sample(TESTS, 3))
            self.cancelled.update(reply.cancelled)

    async def dial(self, bench: Bench, dialler: str) -> None:
        while not self.over.is_set():
            calls = await bench.ask(self.choice.randint(1, 5), dialler)
            for call in calls:
                assert call.canonical_address not in self._running
                self._running.add(call.canonical_address)
                self.granted.update((test.test_id, test.attempt) for test in call.tests)
            for call in calls:
                self._running.remove(call.canonical_address)
                await self._end(bench, call)
            if not calls:
                await asyncio.sleep(0.01)

    async def _end(self, bench: Bench, call: GrantedCall) -> None:
        fate = self.choice.random()
        if fate < 0.1:
            await bench.release(call)
        elif fate < 0.2:
            missing = "UPDATE scheduler.call SET missing_since = '-infinity' WHERE call_id = $1"
            await bench.pool.execute(missing, call.call_id)
            await asyncio.gather(*(each.leases.sweep() for each in self.benches))
        else:
            places = self.choice.sample(range(len(call.tests)), len(call.tests))
            ends = [bench.attempt_end(call, self.choice.choice(FAILURES), place) for place in places]
            await self._tell(lambda bench: bench.consumers.attempt_finished, ends)
            await self._tell(lambda bench: bench.consumers.call_finished, [bench.call_end(call)])


@pytest.mark.parametrize("seed", range(3))
async def test_every_test_comes_to_one_end_and_no_address_has_two_calls(
    make_bench: Callable[..., Bench], seed: int
) -> None:
    benches = [make_bench(), make_bench()]
    storm, pool = Storm(benches, seed), benches[0].pool
    async with asyncio.timeout(110), asyncio.TaskGroup() as group:
        for place in range(6):
            group.create_task(storm.dial(benches[place % 2], f"d{place}"), name=f"d{place}")
        group.create_task(storm.cancel(), name="cancel")
        await group.create_task(storm.request(), name="request")
        while await pool.fetchval("SELECT count(*) FROM scheduler.job WHERE state IN ('held', 'called')"):
            await asyncio.sleep(0.05)
        storm.over.set()
    outcomes = await benches[0].outcomes()
    assert set(storm.granted.values()) == {1}
    assert not set(outcomes) & storm.cancelled
    assert set(outcomes) | storm.cancelled == set(TESTS)
    assert await pool.fetchval("SELECT count(*) FROM scheduler.call WHERE ended_at IS NULL") == 0
