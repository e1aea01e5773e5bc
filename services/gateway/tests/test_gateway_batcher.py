"""Batching: items wait for nothing but a busy worker, and for no more than may wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from mts_gateway.batcher import Batcher, Overloaded


class Gate:
    """Work that waits until it is let through."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()

    async def work(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        await self.open.wait()
        return [ValueError(str(item)) if item < 0 else item * 10 for item in items]


@asynccontextmanager
async def running(batcher: Batcher[int, int]) -> AsyncIterator[None]:
    task = asyncio.create_task(batcher.run(), name="batcher")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def submitted(batcher: Batcher[int, int], *items: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batcher.submit(item), name=str(item)) for item in items]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_the_first_item_does_not_wait_and_the_rest_become_the_next_batches() -> None:
    gate = Gate()
    batcher: Batcher[int, int] = Batcher(gate.work, most=3, workers=1, waiting=10)
    async with running(batcher):
        first = await submitted(batcher, 1)
        rest = await submitted(batcher, 2, 3, 4, 5)
        gate.open.set()
        assert await asyncio.gather(*first, *rest) == [10, 20, 30, 40, 50]
    assert gate.batches == [[1], [2, 3, 4], [5]]


async def test_an_items_error_is_its_own() -> None:
    gate = Gate()
    gate.open.set()
    batcher: Batcher[int, int] = Batcher(gate.work, most=3, workers=1, waiting=10)
    async with running(batcher):
        good, bad = await submitted(batcher, 1, -1)
        assert await good == 10
        with pytest.raises(ValueError, match="-1"):
            await bad


async def test_work_that_fails_fails_its_whole_batch_and_nothing_after_it() -> None:
    async def work(items: Sequence[int]) -> list[int | Exception]:
        if items == [1]:
            raise OSError("gone")
        return list(items)

    batcher: Batcher[int, int] = Batcher(work, most=3, workers=1, waiting=10)
    async with running(batcher):
        with pytest.raises(OSError, match="gone"):
            await batcher.submit(1)
        assert await batcher.submit(2) == 2


async def test_no_more_wait_than_may_wait() -> None:
    gate = Gate()
    batcher: Batcher[int, int] = Batcher(gate.work, most=1, workers=1, waiting=2)
    async with running(batcher):
        tasks = await submitted(batcher, 1) + await submitted(batcher, 2, 3)
        with pytest.raises(Overloaded):
            await batcher.submit(4)
        gate.open.set()
        assert await asyncio.gather(*tasks) == [10, 20, 30]


async def test_whoever_waits_at_the_end_is_told() -> None:
    gate = Gate()
    batcher: Batcher[int, int] = Batcher(gate.work, most=1, workers=1, waiting=5)
    async with running(batcher):
        tasks = await submitted(batcher, 1) + await submitted(batcher, 2)
    for task in tasks:
        with pytest.raises(Overloaded):
            await task


async def test_an_item_whose_submitter_has_gone_harms_nobody() -> None:
    gate = Gate()
    batcher: Batcher[int, int] = Batcher(gate.work, most=2, workers=1, waiting=5)
    async with running(batcher):
        gone, stays = await submitted(batcher, 1, 2)
        gone.cancel()
        gate.open.set()
        assert await stays == 20
