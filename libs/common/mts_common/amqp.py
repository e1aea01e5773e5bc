"""Connections to RabbitMQ that are opened on demand and opened again when lost, and the declaring of the topology.

Robust objects are not used: each user of a link notices its loss, backs off and asks for a new channel, so that
nothing is restored behind its back.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import aio_pika
import aiormq.exceptions
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.connection import make_url
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from pamqp.common import FieldTable

from mts_common import topology
from mts_common.messages import MalformedMessage

CONNECT_SECONDS = 5.0
HEARTBEAT_SECONDS = 10
DECLARE_SECONDS = 10.0
MAX_QUEUE_BYTES = 2 * 1024**3
MAX_PLAIN_BYTES = 16 * 1024
MAX_BODY_BYTES = 64 * 1024**2

# What says that the broker is out of reach; trying again later is the answer.
BROKER_AWAY = (*CONNECTION_EXCEPTIONS, TimeoutError, aiormq.exceptions.ChannelInvalidStateError)


@contextmanager
def no_stray_cancel() -> Iterator[None]:
    """A cancel that nobody has asked of this task becomes a ConnectionError.

    aiormq ends what waits on a lost connection with the exception that ended its reader, be that a CancelledError: the
    task would end as if it had been told to.
    """
    try:
        yield
    except asyncio.CancelledError as cancel:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionError("the connection was lost") from cancel


class Link:
    """One AMQP connection of a process, shared by the channels of one purpose."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._connection: AbstractConnection | None = None
        self._opening = asyncio.Lock()

    async def channel(self, *, confirms: bool, prefetch: int = 0) -> AbstractChannel:
        """A new channel on the current connection, or on a new one. Raises one of `BROKER_AWAY`."""
        with no_stray_cancel():
            async with asyncio.timeout(2 * CONNECT_SECONDS):
                return await self._new_channel(confirms=confirms, prefetch=prefetch)

    async def _new_channel(self, *, confirms: bool, prefetch: int) -> AbstractChannel:
        connection = await self._open()
        channel = connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        await channel.initialize(timeout=CONNECT_SECONDS)
        if prefetch:
            await channel.set_qos(prefetch_count=prefetch, timeout=CONNECT_SECONDS)
        return channel

    async def _open(self) -> AbstractConnection:
        async with self._opening:
            if self._connection is None or self._connection.is_closed or not self._connection.connected.is_set():
                # aio_pika closes one that was lost and forgotten when it is collected, in whatever thread that is.
                await self.close()
                self._connection = aio_pika.Connection(
                    make_url(self._url, heartbeat=HEARTBEAT_SECONDS), client_properties={"connection_name": self._name}
                )
                await self._connection.connect(timeout=CONNECT_SECONDS)
            return self._connection

    async def close(self) -> None:
        """Close within a bounded time; a connection that is already gone is no error."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            with no_stray_cancel():
                async with asyncio.timeout(CONNECT_SECONDS):
                    await connection.close()
        except BROKER_AWAY:
            pass


async def declare_events(channel: AbstractChannel) -> None:
    """Declare the exchange, every event queue with its bindings, and the dead-letter queues; idempotent."""
    exchange = await channel.declare_exchange(topology.EXCHANGE, "topic", durable=True, timeout=DECLARE_SECONDS)
    for name in topology.DEAD_QUEUES:
        await channel.declare_queue(name, durable=True, arguments=dead_queue_arguments(), timeout=DECLARE_SECONDS)
    for queue in topology.EVENT_QUEUES:
        declared = await channel.declare_queue(
            queue.name, durable=True, arguments=event_queue_arguments(queue), timeout=DECLARE_SECONDS
        )
        for kind in queue.kinds:
            await declared.bind(exchange, routing_key=kind.kind, timeout=DECLARE_SECONDS)


def event_queue_arguments(queue: topology.EventQueue) -> FieldTable:
    """Quorum, bounded, refusing rather than dropping when full; what kills its consumer is dead-lettered at last."""
    return {
        "x-queue-type": "quorum",
        "x-overflow": "reject-publish",
        "x-max-length-bytes": MAX_QUEUE_BYTES,
        "x-delivery-limit": 20,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": queue.dead,
        "x-dead-letter-strategy": "at-least-once",
    }


def dead_queue_arguments() -> FieldTable:
    """Quorum and bounded. Its limit of deliveries is never reached: RabbitMQ 4 has one of 20 by default, and drops."""
    return {
        "x-queue-type": "quorum",
        "x-overflow": "reject-publish",
        "x-max-length-bytes": MAX_QUEUE_BYTES,
        "x-delivery-limit": 1_000_000_000,
    }


async def messages_ready(channel: AbstractChannel, queue: topology.EventQueue) -> int:
    """How many messages wait in `queue` for a consumer. Raises one of `BROKER_AWAY`, also if there is no such queue."""
    declared = await channel.declare_queue(queue.name, passive=True, timeout=DECLARE_SECONDS)
    return declared.declaration_result.message_count or 0


async def declare_requests(channel: AbstractChannel, queue: topology.RequestQueue) -> None:
    """Declare a request queue; requester and server both do, so that a request is never sent to nowhere."""
    await channel.declare_queue(queue.name, durable=True, timeout=DECLARE_SECONDS)


def pack(body: bytes) -> tuple[bytes, str | None]:
    """The body as sent and its content encoding; large ones are compressed."""
    if len(body) <= MAX_PLAIN_BYTES:
        return body, None
    return gzip.compress(body, compresslevel=3), "gzip"


def unpack(message: AbstractIncomingMessage) -> bytes:
    """The body as it was before `pack`. Raises `MalformedMessage` for what is not gzip, or too much of it."""
    if message.content_encoding != "gzip":
        return message.body
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(message.body)) as stream:
            body = stream.read(MAX_BODY_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise MalformedMessage(f"the body is not gzip: {error}") from None
    if len(body) > MAX_BODY_BYTES:
        raise MalformedMessage(f"more than {MAX_BODY_BYTES} bytes unpacked")
    return body


class Backoff:
    """Pauses that double from `first` to `last` seconds, until `reset`."""

    def __init__(
        self, first: float = 0.2, last: float = 5.0, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ):
        self._first = first
        self._last = last
        self._sleep = sleep
        self._next = first

    async def wait(self) -> None:
        """Pause, longer each time."""
        pause, self._next = self._next, min(self._last, self._next * 2)
        await self._sleep(pause)

    def reset(self) -> None:
        """What was tried has worked."""
        self._next = self._first
