"""What broker and database do at best on this machine, driven as the services drive them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aio_pika

from mts_common import database, topology
from mts_common.broker import Broker
from mts_common.messages import SettleRequests, SettleRequestsReply, TestCancelled, encode

SECONDS = 3.0
CONNECT_SECONDS = 10.0
WRITERS = 10


async def inserts(url: str) -> float:
    """Rows inserted in a second, each in a commit of its own, by ten connections."""
    async with database.open_pool(url, "bench", size=WRITERS) as pool:
        async with pool.acquire() as connection:
            await connection.execute("CREATE TABLE IF NOT EXISTS gateway.bench (id bigint, item text)")
        end = time.monotonic() + SECONDS

        async def write() -> int:
            count = 0
            while time.monotonic() < end:
                await pool.execute("INSERT INTO gateway.bench VALUES ($1, $2)", count, "x" * 400)
                count += 1
            return count

        counts = await asyncio.gather(*(write() for _ in range(WRITERS)))
        async with pool.acquire() as connection:
            await connection.execute("DROP TABLE gateway.bench")
    return sum(counts) / SECONDS


async def publishes(url: str) -> float:
    """Messages published and confirmed in a second, fifty under way at a time, into a quorum queue nobody reads."""
    body = encode([TestCancelled(test_id=1, cancelled_at=datetime.now(UTC))])
    async with _own_queue(url) as queue, Broker(url, "bench") as broker:
        await broker.check()
        end = time.monotonic() + SECONDS

        async def publish() -> int:
            count = 0
            while time.monotonic() < end:
                await broker.publisher.put_back(queue, TestCancelled.kind, body, None)
                count += 1
            return count

        counts = await asyncio.gather(*(publish() for _ in range(50)))
    return sum(counts) / SECONDS


@asynccontextmanager
async def _own_queue(url: str) -> AsyncIterator[str]:
    """A quorum queue that no service consumes from."""
    connection = await aio_pika.connect(url, timeout=CONNECT_SECONDS)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("bench.floor", durable=True, arguments={"x-queue-type": "quorum"})
        try:
            yield queue.name
        finally:
            await queue.delete(if_unused=False, if_empty=False)


async def requests(url: str) -> float:
    """Questions asked and answered in a second, a hundred under way at a time."""
    queue = topology.RequestQueue("bench.requests", SettleRequests, SettleRequestsReply)

    async def answer(items: list[SettleRequests]) -> list[SettleRequestsReply]:
        return [SettleRequestsReply(known=item.test_ids) for item in items]

    async with Broker(url, "bench") as broker:
        serving = asyncio.create_task(broker.serve(queue, answer), name="serve")
        end = time.monotonic() + SECONDS

        async def ask() -> int:
            count = 0
            while time.monotonic() < end:
                await broker.requester.ask(queue, SettleRequests(test_ids=(1,)), SettleRequestsReply, 10)
                count += 1
            return count

        counts = await asyncio.gather(*(ask() for _ in range(100)))
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    return sum(counts) / SECONDS
