"""Work that is cheaper together: while one batch is being done, what comes in meanwhile becomes the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Work = Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]
"""Does a batch: one result, or the error that is to be raised, for each item in its place."""


class Overloaded(Exception):
    """As much is waiting as may wait."""


class Batcher(Generic[Item, Result]):
    """Runs `work` on up to `most` items at a time, `workers` batches at once; at most `waiting` items wait.

    An item never waits for others to come: an idle worker starts with what is there.
    """

    def __init__(self, work: Work[Item, Result], *, most: int, workers: int, waiting: int) -> None:
        self._work = work
        self._most = most
        self._workers = workers
        self._queue: asyncio.Queue[tuple[Item, asyncio.Future[Result]]] = asyncio.Queue(waiting)

    async def submit(self, item: Item) -> Result:
        """The result for `item`. Raises `Overloaded`, or what `work` returned or raised for it."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((item, future))
        except asyncio.QueueFull:
            raise Overloaded from None
        return await future

    async def run(self) -> None:
        """Work until cancelled; who still waits then is told `Overloaded`."""
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(self._workers):
                    workers.create_task(self._run_worker(), name="batcher")
        finally:
            while not self._queue.empty():
                _settle(self._queue.get_nowait()[1], Overloaded())

    async def _run_worker(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._most and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._do(batch)

    async def _do(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        results: Sequence[Result | Exception]
        try:
            results = await self._work([item for item, _ in batch])
        except asyncio.CancelledError:
            results = [Overloaded()] * len(batch)
            raise
        except Exception as error:
            results = [error] * len(batch)
        finally:
            for (_, future), result in zip(batch, results, strict=True):
                _settle(future, result)


def _settle(future: asyncio.Future[Result], result: Result | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
        future.exception()  # whoever has gone away meanwhile does not look at it
    else:
        future.set_result(result)
