"""Consuming events in batches: acknowledged after their effect, whatever order or number they arrive in.

A failing batch is halved down to the culprit, which alone is put aside with its reason. Too many in a row stop the
consumer: then the code is wrong, not the messages. What says that a server of ours is away is tried again instead.

A message that takes its consumer's whole process down cannot be told from its neighbours, which come back with it. What
has come back often is therefore taken one message at a time, and what has come back too often is put aside unhandled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from mts_common import database, metrics
from mts_common.amqp import BROKER_AWAY, Backoff, Link, declare_events, no_stray_cancel, unpack
from mts_common.messages import MalformedMessage, Message, decode, encode
from mts_common.publisher import Publisher, PublishFailed
from mts_common.topology import EventQueue

Handler = Callable[[list[Any]], Awaitable[None]]
"""Takes items of the kinds of its queue, in the order they arrived, and returns when their effect is lasting."""

Arrived = asyncio.Queue[AbstractIncomingMessage | None]
"""What the broker has delivered; None = the consumer is gone."""

MAX_DEAD_IN_A_ROW = 20
STALL_SECONDS = 600.0
IDLE_SECONDS = 10.0
SUSPECT_DELIVERIES = 3
HOPELESS_DELIVERIES = 15  # less than the queue's own limit, which gives no reason

_log = logging.getLogger(__name__)


class Rejected(Exception):
    """A handler's word that an item can never be handled; its text is the reason."""


class TooManyDead(Exception):
    """So many items in a row could not be handled that the consumer stopped."""


class ConsumerLost(Exception):
    """The broker took the consumer away; it is to be set up again."""


class ConsumerIdle(Exception):
    """Nothing has come for a while; the consumer subscribes anew.

    RabbitMQ (seen with 3.10) can deliver nothing to a consumer, and tell it nothing, whose quorum queue was deleted and
    declared again at once. Closing its channel gives back what the broker believes to have delivered.
    """


class PaceChanged(Exception):
    """From now on the consumer takes one message at a time, or many again; it subscribes anew."""


@dataclass(frozen=True, slots=True)
class Batching:
    """How much a consumer takes at once: at most `items`, waited for at most `seconds` after the first."""

    items: int = 500
    seconds: float = 0.02
    prefetch: int = 100


class Consumer:
    """Feeds the items of one queue to a handler for as long as `run` runs."""

    def __init__(
        self, link: Link, publisher: Publisher, queue: EventQueue, handler: Handler, batching: Batching | None = None
    ) -> None:
        self._link = link
        self._publisher = publisher
        self._queue = queue
        self._handler = handler
        self._batching = batching or Batching()
        self._kinds = {kind.kind: kind for kind in queue.kinds}
        self._measured: Mapping[metrics.Messaging, str] = {"messaging.destination.name": queue.name}
        self._dead_in_a_row = 0
        self._one_by_one = False
        metrics.DEAD_LETTERS.add(0, self._measured)

    async def run(self) -> None:
        """Consume until cancelled, setting up again whatever is lost. Raises `TooManyDead`."""
        backoff = Backoff()
        while True:
            try:
                with no_stray_cancel():
                    await self._consume(backoff)
            except (ConsumerIdle, PaceChanged):
                continue
            except (ConsumerLost, PublishFailed, *BROKER_AWAY) as error:
                _log.warning("%s: %s, consuming again", self._queue.name, type(error).__name__)
                await backoff.wait()

    async def _consume(self, backoff: Backoff) -> None:
        prefetch = 1 if self._one_by_one else self._batching.prefetch
        channel = await self._link.channel(confirms=True, prefetch=prefetch)
        arrived: Arrived = asyncio.Queue()

        def lost(*_: object) -> None:
            arrived.put_nowait(None)

        try:
            await declare_events(channel)
            channel.close_callbacks.add(lost)
            (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(lost)
            queue = await channel.get_queue(self._queue.name, ensure=False)
            await queue.consume(arrived.put, timeout=10)
            backoff.reset()
            while True:
                batch = await self._next_batch(arrived, prefetch)
                self._slow_down(batch)
                metrics.CONSUMED.add(len(batch), self._measured)
                with metrics.PROCESSING.time(self._measured):
                    await self.settle(batch)
                await _acknowledge(channel, batch)
                self._speed_up(batch)
        finally:
            await _close(channel)

    def _slow_down(self, batch: Sequence[AbstractIncomingMessage]) -> None:
        if not self._one_by_one and max(map(_deliveries, batch)) >= SUSPECT_DELIVERIES:
            _log.warning("%s: messages have come back often, taking them one by one", self._queue.name)
            self._one_by_one = True
            raise PaceChanged

    def _speed_up(self, batch: Sequence[AbstractIncomingMessage]) -> None:
        """What has come back is delivered before what is new: a new message means that there is no more of it."""
        if self._one_by_one and not _deliveries(batch[-1]):
            self._one_by_one = False
            raise PaceChanged

    async def _next_batch(self, arrived: Arrived, prefetch: int) -> list[AbstractIncomingMessage]:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                batch = [_live(await arrived.get())]
        except TimeoutError:
            raise ConsumerIdle from None
        try:
            async with asyncio.timeout(self._batching.seconds):
                while len(batch) < prefetch // 2:
                    batch.append(_live(await arrived.get()))
        except TimeoutError:
            pass
        return batch

    async def settle(self, batch: Sequence[AbstractIncomingMessage]) -> None:
        """Do all that must be done before the messages are acknowledged."""
        items: list[Message] = []
        for message in batch:
            items += await self._items(message)
        for start in range(0, len(items), self._batching.items):
            await self._handle(items[start : start + self._batching.items])

    async def _items(self, message: AbstractIncomingMessage) -> list[Message]:
        model = self._kinds.get(message.type or "")
        try:
            if _deliveries(message) >= HOPELESS_DELIVERIES:
                raise MalformedMessage(f"came back {_deliveries(message)} times: no consumer has survived it")
            if model is None:
                raise MalformedMessage(f"a message of kind {message.type!r} has no place here")
            return list(decode(model, unpack(message)))
        except MalformedMessage as error:
            await self._put_aside(message.type or "", message.body, str(error))
            return []

    async def _handle(self, items: list[Message]) -> None:
        backoff = Backoff()
        while items:
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    await self._handler(items)
                self._dead_in_a_row = 0
                return
            except (*database.UNAVAILABLE, PublishFailed) as error:
                _log.warning("%s: %s, handling again", self._queue.name, type(error).__name__)
                await backoff.wait()
            except Exception as error:
                if len(items) > 1:
                    middle = len(items) // 2
                    await self._handle(items[:middle])
                    items = items[middle:]
                    continue
                _log.exception("%s: put aside", self._queue.name)
                await self._put_aside(items[0].kind, encode(items), f"{type(error).__name__}: {error}")
                return

    async def _put_aside(self, kind: str, body: bytes, reason: str) -> None:
        await self._publisher.dead_letter(self._queue, kind, body, reason[:500])
        metrics.DEAD_LETTERS.add(1, self._measured)
        self._dead_in_a_row += 1
        if self._dead_in_a_row >= MAX_DEAD_IN_A_ROW:
            raise TooManyDead(f"{self._queue.name}: {self._dead_in_a_row} in a row, the last: {reason[:200]}")


def _live(message: AbstractIncomingMessage | None) -> AbstractIncomingMessage:
    if message is None:
        raise ConsumerLost
    return message


def _deliveries(message: AbstractIncomingMessage) -> int:
    """How often the message has been delivered before, and came back: counted by quorum queues."""
    count = message.headers.get("x-delivery-count", 0)
    return count if isinstance(count, int) else 0


async def _acknowledge(channel: AbstractChannel, batch: Sequence[AbstractIncomingMessage]) -> None:
    """One ack for all: a channel's batches are settled in order, so every lower tag is settled too."""
    underlay = await channel.get_underlay_channel()
    tag = batch[-1].delivery_tag
    if tag is not None:
        await underlay.basic_ack(tag, multiple=True)


async def _close(channel: AbstractChannel) -> None:
    try:
        async with asyncio.timeout(5):
            await channel.close()
    except BROKER_AWAY:
        pass
