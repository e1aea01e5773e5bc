"""What broker and database do at best on this machine, driven as the services drive them."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from mts_common import database, topology
from mts_common.broker import Broker
from mts_common.messages import SettleRequests, SettleRequestsReply, TestCancelled, encode

SECONDS = 3.0
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
    async with Broker(url, "bench") as broker:
        await broker.check()
        end = time.monotonic() + SECONDS
        body = encode([TestCancelled(test_id=1, cancelled_at=datetime.now(UTC))])

        async def publish() -> int:
            count = 0
            while time.monotonic() < end:
                await broker.publisher.publish_body(TestCancelled.kind, body)
                count += 1
            return count

        counts = await asyncio.gather(*(publish() for _ in range(50)))
    return sum(counts) / SECONDS


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
