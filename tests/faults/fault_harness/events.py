"""Events taken from the broker and given to it past every service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import aio_pika

from fault_harness.system import System
from mts_common import topology

SECONDS = 60.0

Event = tuple[str, bytes]
"""Kind and body."""


async def tap(system: System) -> str:
    """A queue of our own that gets every event from now on."""
    async with asyncio.timeout(SECONDS), await aio_pika.connect(system.stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(f"tap-{uuid4().hex}", durable=True)
        await queue.bind(topology.EXCHANGE, "#")
        return queue.name


async def take(system: System, name: str) -> list[Event]:
    """What the tap has got; it is deleted."""
    events = []
    async with asyncio.timeout(SECONDS), await aio_pika.connect(system.stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(name)
        while message := await queue.get(no_ack=True, fail=False):
            assert message.content_encoding is None
            events.append((str(message.type), message.body))
        await queue.delete()
    return events


async def publish(system: System, events: Sequence[Event], queue: str = "") -> None:
    """To the exchange by their kind, or all straight to one queue."""
    async with asyncio.timeout(SECONDS), await aio_pika.connect(system.stack.amqp_url) as connection:
        channel = await connection.channel()
        exchange = channel.default_exchange if queue else await channel.get_exchange(topology.EXCHANGE)
        await asyncio.gather(*(exchange.publish(_message(kind, body), queue or kind) for kind, body in events))


def _message(kind: str, body: bytes) -> aio_pika.Message:
    return aio_pika.Message(body, type=kind, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
