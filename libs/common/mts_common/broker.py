"""A process's whole dealings with RabbitMQ, over three connections: publishing, consuming, asking."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from mts_common.amqp import BROKER_AWAY, DECLARE_SECONDS, Link, messages_ready, no_stray_cancel
from mts_common.consumer import Batching, Consumer, Handler
from mts_common.dead_letters import DeadLetterConsumer, DeadLetters
from mts_common.publisher import BrokerUnreachable, Publisher
from mts_common.pulse import Pulses
from mts_common.requests import Requester, Server, serve
from mts_common.topology import EventQueue, RequestQueue


class Broker:
    """Connections are made when first needed. `name` shows in the broker's list of connections."""

    def __init__(self, url: str, name: str, pulses: Pulses | None = None) -> None:
        self._publishing = Link(url, f"{name} publish")
        self._consuming = Link(url, f"{name} consume")
        self._asking = Link(url, f"{name} ask")
        self.publisher = Publisher(self._publishing)
        self.requester = Requester(self._asking)
        self._pulses = pulses or Pulses()
        self._consumers: list[tuple[EventQueue, Consumer]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.requester.close()
        for link in (self._consuming, self._asking, self._publishing):
            await link.close()

    async def consume(self, queue: EventQueue, handler: Handler, batching: Batching | None = None) -> None:
        """Feed `queue` to `handler` until cancelled. Raises `consumer.TooManyDead`."""
        consumer = Consumer(self._consuming, self.publisher, queue, handler, batching, self._pulses)
        self._consumers.append((queue, consumer))
        try:
            await consumer.run()
        finally:
            self._consumers.remove((queue, consumer))

    async def collect_dead(self, letters: DeadLetters) -> None:
        """Feed a service's dead-letter queue to `letters` until cancelled."""
        await DeadLetterConsumer(self._consuming, self.publisher, letters, self._pulses).run()

    async def serve(self, queue: RequestQueue, server: Server) -> None:
        """Answer the questions on `queue` until cancelled."""
        await serve(self._asking, queue, server, self._pulses)

    async def backlog(self, queue: EventQueue) -> int:
        """How many messages wait in `queue`, or are in the hands of this process's consumers of it.

        Raises `BrokerUnreachable`, also if there is no queue.
        """
        try:
            channel = await self._publishing.channel(confirms=False)
            with no_stray_cancel():
                async with asyncio.timeout(DECLARE_SECONDS), channel:
                    ready = await messages_ready(channel, queue)
        except BROKER_AWAY as error:
            raise BrokerUnreachable("the broker is out of reach") from error
        return ready + sum(consumer.taken for consumed, consumer in self._consumers if consumed == queue)

    async def check(self) -> None:
        """Raises `publisher.PublishFailed` if the broker cannot be reached now."""
        await self.publisher.check()
