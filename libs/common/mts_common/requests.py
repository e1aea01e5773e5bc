"""Asking another service and answering it: transient, coalesced, never retried here.

One channel carries a requester's questions and, by RabbitMQ's direct reply-to, the answers. Questions asked within a
few milliseconds travel in one message; the answer to it is a list of equal length. Whoever gets no answer knows
nothing and asks again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from mts_common import metrics
from mts_common.amqp import BROKER_AWAY, Backoff, Link, declare_requests, no_stray_cancel, pack, unpack
from mts_common.consumer import ConsumerLost
from mts_common.messages import MalformedMessage, Message, decode, encode
from mts_common.pulse import Pulse, Pulses
from mts_common.topology import RequestQueue

REPLY_TO = "amq.rabbitmq.reply-to"
COALESCE_SECONDS = 0.005
MAX_ITEMS = 200
MAX_PARKED = 500
CHECK_SECONDS = 10.0
SET_UP_SECONDS = 30.0
LATE_SECONDS = 15.0  # after which a step that has its own time-out is overdue

Reply = TypeVar("Reply", bound=Message)
Server = Callable[[list[Any]], Awaitable[list[Any]]]
"""Takes the questions of one message and returns one answer for each, in their order."""

_log = logging.getLogger(__name__)


class NoReply(Exception):
    """No answer in time, or the connection was lost meanwhile: what was asked may or may not have been done."""


@dataclass(slots=True)
class _Asked:
    """One message of questions under way."""

    reply_model: type[Message]
    answers: list[asyncio.Future[Message]]


@dataclass(slots=True)
class _Pending:
    """Questions to one queue, waiting for the next flush."""

    reply_model: type[Message]
    seconds: float
    items: list[Message] = field(default_factory=list)
    answers: list[asyncio.Future[Message]] = field(default_factory=list)


class Requester:
    """Asks over a connection of its own. Use as a context manager."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()
        self._declared: set[str] = set()
        self._asked: dict[str, _Asked] = {}
        self._pending: dict[RequestQueue, _Pending] = {}
        self._flushes: set[asyncio.Task[None]] = set()

    async def ask(
        self,
        queue: RequestQueue,
        item: Message,
        reply_model: type[Reply],
        timeout: float,  # noqa: ASYNC109
    ) -> Reply:
        """The answer to `item`. Raises `NoReply` after `timeout` seconds at the latest."""
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        pending = self._pending.get(queue)
        if pending is None or len(pending.items) >= MAX_ITEMS:
            pending = self._pending[queue] = _Pending(reply_model, timeout)
            flush = asyncio.create_task(self._flush(queue, pending), name=f"ask {queue.name}")
            self._flushes.add(flush)
            flush.add_done_callback(self._flushes.discard)
        pending.items.append(item)
        pending.answers.append(answer)
        pending.seconds = max(pending.seconds, timeout)
        try:
            with metrics.ASKING.time({"messaging.destination.name": queue.name, "messaging.operation.name": "ask"}):
                async with asyncio.timeout(timeout):
                    return cast(Reply, await answer)
        except TimeoutError:
            raise NoReply(f"{queue.name}: no answer within {timeout} s") from None

    async def close(self) -> None:
        """End what is under way; whoever waits gets `NoReply`."""
        for flush in list(self._flushes):
            flush.cancel()
        await asyncio.gather(*self._flushes, return_exceptions=True)
        self._fail_all()

    async def _flush(self, queue: RequestQueue, pending: _Pending) -> None:
        await asyncio.sleep(COALESCE_SECONDS)
        if self._pending.get(queue) is pending:
            del self._pending[queue]
        correlation = uuid4().hex
        self._asked[correlation] = _Asked(pending.reply_model, pending.answers)
        body, encoding = pack(encode(pending.items))
        message = aio_pika.Message(
            body,
            type=queue.kind.kind,
            correlation_id=correlation,
            reply_to=REPLY_TO,
            content_type="application/json",
            content_encoding=encoding,
            expiration=pending.seconds,
            delivery_mode=aio_pika.DeliveryMode.NOT_PERSISTENT,
        )
        try:
            with no_stray_cancel():
                async with asyncio.timeout(pending.seconds):
                    channel = await self._open_channel(queue)
                    await channel.default_exchange.publish(message, queue.name, mandatory=False)
            await asyncio.wait(pending.answers, timeout=pending.seconds)
        except BROKER_AWAY as error:
            _fail(pending.answers, f"{queue.name}: {type(error).__name__}")
        finally:
            self._asked.pop(correlation, None)

    async def _open_channel(self, queue: RequestQueue) -> AbstractChannel:
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                self._declared.clear()
                channel = await self._link.channel(confirms=False)
                channel.close_callbacks.add(lambda *_: self._fail_all())
                replies = await channel.get_queue(REPLY_TO, ensure=False)
                await replies.consume(self._on_reply, no_ack=True, timeout=5)
                self._channel = channel
            if queue.name not in self._declared:
                await declare_requests(self._channel, queue)
                self._declared.add(queue.name)
            return self._channel

    async def _on_reply(self, message: AbstractIncomingMessage) -> None:
        asked = self._asked.pop(message.correlation_id or "", None)
        if asked is None:
            return
        try:
            replies = decode(asked.reply_model, unpack(message))
        except MalformedMessage as error:
            _fail(asked.answers, f"an answer that cannot be read: {error}")
            return
        if len(replies) != len(asked.answers):
            _fail(asked.answers, "an answer of another length than the question")
            return
        for answer, reply in zip(asked.answers, replies, strict=True):
            if not answer.done():
                answer.set_result(reply)

    def _fail_all(self) -> None:
        asked, self._asked = self._asked, {}
        for each in asked.values():
            _fail(each.answers, "the connection was lost")


def _fail(answers: list[asyncio.Future[Message]], reason: str) -> None:
    for answer in answers:
        if not answer.done():
            answer.set_exception(NoReply(reason))
            answer.exception()  # whoever has given up waiting does not look at it


async def serve(link: Link, queue: RequestQueue, server: Server, pulses: Pulses | None = None) -> None:
    """Answer the questions on `queue` until cancelled, each message in a task of its own, at most `MAX_PARKED`."""
    backoff = Backoff()
    with (pulses or Pulses()).part(queue.name) as pulse:
        while True:
            pulse.within(SET_UP_SECONDS + LATE_SECONDS)
            try:
                with no_stray_cancel():
                    await _serve_channel(link, queue, server, backoff, pulse)
            except* (ConsumerLost, *BROKER_AWAY) as errors:
                _log.warning("%s: %s, serving again", queue.name, type(errors.exceptions[0]).__name__)
            await backoff.wait()


async def _serve_channel(link: Link, queue: RequestQueue, server: Server, backoff: Backoff, pulse: Pulse) -> None:
    channel = await link.channel(confirms=False, prefetch=MAX_PARKED)
    lost = asyncio.Event()

    def on_lost(*_: object) -> None:
        lost.set()

    try:
        await declare_requests(channel, queue)
        channel.close_callbacks.add(on_lost)
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(on_lost)
        async with asyncio.TaskGroup() as answering:

            async def on_question(message: AbstractIncomingMessage) -> None:
                answering.create_task(_answer(channel, queue, server, message), name=f"answer {queue.name}")

            declared = await channel.get_queue(queue.name, ensure=False)
            await declared.consume(on_question, timeout=5)
            backoff.reset()
            await _until_lost(channel, queue, lost, pulse)
            raise ConsumerLost
    finally:
        with contextlib.suppress(*BROKER_AWAY):
            async with asyncio.timeout(5):
                await channel.close()


async def _until_lost(channel: AbstractChannel, queue: RequestQueue, lost: asyncio.Event, pulse: Pulse) -> None:
    while True:
        pulse.within(2 * CHECK_SECONDS + LATE_SECONDS)
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await lost.wait()
                return
        except TimeoutError:
            found = await channel.declare_queue(queue.name, passive=True, timeout=CHECK_SECONDS)
            if not found.declaration_result.consumer_count:
                return


async def _answer(
    channel: AbstractChannel, queue: RequestQueue, server: Server, message: AbstractIncomingMessage
) -> None:
    try:
        questions = decode(queue.kind, unpack(message))
        answers = await server(questions)
        if message.reply_to:
            body, encoding = pack(encode(answers))
            reply = aio_pika.Message(
                body, correlation_id=message.correlation_id, content_type="application/json", content_encoding=encoding
            )
            async with asyncio.timeout(5):
                await channel.default_exchange.publish(reply, message.reply_to, mandatory=False)
                await message.ack()
        return
    except MalformedMessage as error:
        _log.warning("%s: %s", queue.name, error)
    except BROKER_AWAY as error:
        _log.warning("%s: the answer was lost (%s)", queue.name, type(error).__name__)
        return
    except Exception:
        _log.exception("%s: no answer was found", queue.name)
    with contextlib.suppress(*BROKER_AWAY):
        async with asyncio.timeout(5):
            await message.ack()
