"""Consuming events in batches: acknowledged after their effect, whatever order or number they arrive in.

A failing batch is halved down to the culprit, which alone is put aside with its reason, when the rest of the batch has
had its effect. Too many in a row stop the consumer before any of them is put aside: then the code is wrong, not the
messages. What says that a server of ours is away is tried again instead.

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
from mts_common.publisher import PUBLISH_SECONDS, Publisher, PublishFailed
from mts_common.pulse import Pulse, Pulses
from mts_common.topology import EventQueue
from mts_common.vocabulary import about

Handler = Callable[[list[Any]], Awaitable[None]]
"""Takes items of the kinds of its queue, in the order they arrived, and returns when their effect is lasting."""

Arrived = asyncio.Queue[AbstractIncomingMessage | None]
"""What the broker has delivered; None = the consumer is gone."""

MAX_DEAD_IN_A_ROW = 20
SET_UP_SECONDS = 60.0
STALL_SECONDS = 600.0
IDLE_SECONDS = 10.0
LATE_SECONDS = 15.0  # after which a step that has its own time-out is overdue
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
class _Dead:
    """What can never be handled, and why."""

    kind: str
    body: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Batching:
    """How much a consumer takes at once: at most `items`, waited for at most `seconds` after the first."""

    items: int = 500
    seconds: float = 0.02
    prefetch: int = 100


class Consumer:
    """Feeds the items of one queue to a handler for as long as `run` runs."""

    def __init__(
        self,
        link: Link,
        publisher: Publisher,
        queue: EventQueue,
        handler: Handler,
        batching: Batching | None = None,
        pulses: Pulses | None = None,
    ) -> None:
        self._link = link
        self._publisher = publisher
        self._queue = queue
        self._handler = handler
        self._batching = batching or Batching()
        self._kinds = {kind.kind: kind for kind in queue.kinds}
        self._measured: Mapping[metrics.Messaging, str] = {"messaging.destination.name": queue.name}
        self._pulses = pulses or Pulses()
        self._dead_in_a_row = 0
        self._one_by_one = False
        self._arrived: Arrived = asyncio.Queue()
        self._batch: list[AbstractIncomingMessage] = []
        metrics.DEAD_LETTERS.add(0, self._measured)

    @property
    def taken(self) -> int:
        """How many messages it has been given and not acknowledged."""
        return self._arrived.qsize() + len(self._batch)

    async def run(self) -> None:
        """Consume until cancelled, setting up again whatever is lost. Raises `TooManyDead`."""
        backoff = Backoff()
        with self._pulses.part(self._queue.name) as pulse:
            while True:
                pulse.within(SET_UP_SECONDS + LATE_SECONDS)
                try:
                    with no_stray_cancel():
                        await self._consume(backoff, pulse)
                except (ConsumerIdle, PaceChanged):
                    continue
                except (ConsumerLost, PublishFailed, *BROKER_AWAY) as error:
                    _log.warning("%s: %s, consuming again", self._queue.name, type(error).__name__)
                    await backoff.wait()

    async def _consume(self, backoff: Backoff, pulse: Pulse) -> None:
        prefetch = 1 if self._one_by_one else self._batching.prefetch
        channel = await self._link.channel(confirms=True, prefetch=prefetch)
        try:
            async with asyncio.timeout(SET_UP_SECONDS):
                await self._subscribe(channel, self._arrived)
            backoff.reset()
            while True:
                pulse.within(IDLE_SECONDS + LATE_SECONDS)
                await self._fill_batch(prefetch)
                self._slow_down(self._batch)
                metrics.CONSUMED.add(len(self._batch), self._measured)
                with metrics.PROCESSING.time(self._measured):
                    await self.settle(self._batch, pulse)
                await _acknowledge(channel, self._batch)
                settled, self._batch = self._batch, []
                self._speed_up(settled)
        finally:
            self._arrived, self._batch = asyncio.Queue(), []
            await _close(channel)

    async def _subscribe(self, channel: AbstractChannel, arrived: Arrived) -> None:
        def lost(*_: object) -> None:
            arrived.put_nowait(None)

        await declare_events(channel)
        channel.close_callbacks.add(lost)
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(lost)
        queue = await channel.get_queue(self._queue.name, ensure=False)
        await queue.consume(arrived.put, timeout=10)

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

    async def _fill_batch(self, prefetch: int) -> None:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                self._batch.append(_live(await self._arrived.get()))
        except TimeoutError:
            raise ConsumerIdle from None
        try:
            async with asyncio.timeout(self._batching.seconds):
                while len(self._batch) < prefetch // 2:
                    self._batch.append(_live(await self._arrived.get()))
        except TimeoutError:
            pass

    async def settle(self, batch: Sequence[AbstractIncomingMessage], pulse: Pulse) -> None:
        """Do all that must be done before the messages are acknowledged."""
        items: list[Message] = []
        dead: list[_Dead] = []
        for message in batch:
            items += self._items(message, dead)
        for start in range(0, len(items), self._batching.items):
            await self._handle(items[start : start + self._batching.items], dead, pulse)
        for each in dead:
            pulse.within(PUBLISH_SECONDS + LATE_SECONDS)
            await self._publisher.dead_letter(self._queue, each.kind, each.body, each.reason[:500])
            metrics.DEAD_LETTERS.add(1, self._measured)

    async def persist(self, work: Callable[[], Awaitable[None]], pulse: Pulse) -> None:
        """Do the work, again for as long as a server of ours is away. Raises what else it raises."""
        backoff = Backoff()
        while True:
            pulse.within(STALL_SECONDS + LATE_SECONDS)
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    return await work()
            except (*database.UNAVAILABLE, PublishFailed) as error:
                _log.warning("%s: %s, handling again", self._queue.name, type(error).__name__)
                await backoff.wait()

    def _items(self, message: AbstractIncomingMessage, dead: list[_Dead]) -> list[Message]:
        model = self._kinds.get(message.type or "")
        try:
            if _deliveries(message) >= HOPELESS_DELIVERIES:
                raise MalformedMessage(f"came back {_deliveries(message)} times: no consumer has survived it")
            if model is None:
                raise MalformedMessage(f"a message of kind {message.type!r} has no place here")
            return list(decode(model, unpack(message)))
        except MalformedMessage as error:
            self._condemn(dead, _Dead(message.type or "", message.body, str(error)))
            return []

    async def _handle(self, items: list[Message], dead: list[_Dead], pulse: Pulse) -> None:
        try:
            await self.persist(lambda: self._handler(items), pulse)
            self._dead_in_a_row = 0
        except Exception as error:
            if len(items) > 1:
                middle = len(items) // 2
                await self._handle(items[:middle], dead, pulse)
                await self._handle(items[middle:], dead, pulse)
                return
            _log.exception("%s: to be put aside", self._queue.name, extra=about("put-aside", **_ids(items[0])))
            self._condemn(dead, _Dead(items[0].kind, encode(items), f"{type(error).__name__}: {error}"))

    def _condemn(self, dead: list[_Dead], culprit: _Dead) -> None:
        """It is put aside when the batch is done, unless there are too many."""
        dead.append(culprit)
        self._dead_in_a_row += 1
        if self._dead_in_a_row >= MAX_DEAD_IN_A_ROW:
            reason = culprit.reason[:200]
            raise TooManyDead(f"{self._queue.name}: {self._dead_in_a_row} in a row, the last: {reason}")


def _ids(item: Message) -> dict[str, object]:
    """What a log line can name of an item."""
    named = {name: getattr(item, name, None) for name in ("test_id", "call_id", "attempt", "traceparent")}
    return {name: value for name, value in named.items() if value is not None}


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
