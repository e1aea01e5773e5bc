"""Publishing events so that a return means: the broker has it, in a queue, on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aio_pika
import aiormq.exceptions
from aio_pika.abc import AbstractChannel, HeadersType

from mts_common import metrics, topology
from mts_common.amqp import BROKER_AWAY, Link, declare_events, no_stray_cancel, pack
from mts_common.messages import Message, encode

PUBLISH_SECONDS = 10.0
DECLARE_AGAIN_SECONDS = 1.0


class PublishFailed(Exception):
    """The outcome of a publish is a refusal or unknown; sending it again is safe."""


class BrokerUnreachable(PublishFailed):
    """The broker could not be asked at all, or did not answer in time."""


class PublishRefused(PublishFailed):
    """The broker answered that it cannot take this message: no queue for it, or a full one."""


class Publisher:
    """Publishes persistent messages with confirm, mandatory and a time-out, over a connection of its own."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: AbstractChannel | None = None
        self._refused = False
        self._opening = asyncio.Lock()

    async def publish(self, items: Sequence[Message], timeout: float = PUBLISH_SECONDS) -> None:  # noqa: ASYNC109
        """Publish `items`, all of one kind, as one message. Raises `PublishFailed`."""
        await self.publish_body(items[0].kind, encode(items), timeout)

    async def publish_body(self, kind: str, body: bytes, timeout: float = PUBLISH_SECONDS) -> None:  # noqa: ASYNC109
        """Publish an encoded body of `kind`. Raises `PublishFailed`."""
        await self._send(topology.EXCHANGE, kind, _message(kind, *pack(body)), timeout)

    async def dead_letter(self, queue: topology.EventQueue, kind: str, body: bytes, reason: str) -> None:
        """Put aside what the consumer of `queue` can never handle. Raises `PublishFailed`."""
        headers: HeadersType = {"mts-queue": queue.name, "mts-reason": reason}
        await self._send("", queue.dead, _message(kind, *pack(body), headers), PUBLISH_SECONDS)

    async def put_back(self, queue: str, kind: str, body: bytes, encoding: str | None) -> None:
        """Publish a body, packed as it is, into one queue. Raises `PublishFailed`."""
        await self._send("", queue, _message(kind, body, encoding), PUBLISH_SECONDS)

    async def check(self) -> None:
        """Raises `PublishFailed` if nothing can be published now."""
        try:
            with no_stray_cancel():
                await self._open_channel()
        except BROKER_AWAY as error:
            raise BrokerUnreachable("the broker is out of reach") from error

    async def _send(self, exchange: str, routing_key: str, message: aio_pika.Message, seconds: float) -> None:
        kind = message.type or ""
        try:
            with no_stray_cancel():
                async with asyncio.timeout(seconds):
                    channel = await self._open_channel()
                    target = await channel.get_exchange(exchange, ensure=False)
                    await target.publish(message, routing_key, mandatory=True)
                metrics.SENT.add(1, {"messaging.destination.name": kind})
        except (aiormq.exceptions.PublishError, aiormq.exceptions.DeliveryError) as error:
            metrics.SENT.add(1, {"messaging.destination.name": kind, "error.type": "refused"})
            self._channel, self._refused = None, True
            raise PublishRefused(f"{kind}: the broker refused it ({type(error).__name__})") from error
        except BROKER_AWAY as error:
            metrics.SENT.add(1, {"messaging.destination.name": kind, "error.type": "unconfirmed"})
            raise BrokerUnreachable(f"{kind}: the broker did not confirm it ({type(error).__name__})") from error

    async def _open_channel(self) -> AbstractChannel:
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                if self._refused:
                    # The consumers of a deleted queue hear of it only if it is not declared again at once.
                    await asyncio.sleep(DECLARE_AGAIN_SECONDS)
                    self._refused = False
                channel = await self._link.channel(confirms=True)
                await declare_events(channel)
                self._channel = channel
            return self._channel


def _message(kind: str, body: bytes, encoding: str | None, headers: HeadersType | None = None) -> aio_pika.Message:
    return aio_pika.Message(
        body,
        type=kind,
        headers=headers,
        content_type="application/json",
        content_encoding=encoding,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
