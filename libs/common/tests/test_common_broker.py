"""Publishing, consuming and asking over a real RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from mts_common import consumer, metrics, topology
from mts_common.amqp import Link
from mts_common.broker import Broker
from mts_common.consumer import Rejected, TooManyDead
from mts_common.messages import (
    AttemptReport,
    AttemptTimes,
    Message,
    Outcome,
    SettleRequests,
    SettleRequestsReply,
    TestCancelled,
    encode,
)
from mts_common.publisher import BrokerUnreachable, PublishRefused
from mts_common.pulse import Pulses
from mts_common.requests import NoReply
from mts_stack.scrapes import Scrape

AT = datetime(2026, 1, 1, tzinfo=UTC)
OUTCOMES = topology.RESULTS_OUTCOMES
SETTLES = topology.SCHEDULER_SETTLES


def cancelled(test_id: int) -> TestCancelled:
    return TestCancelled(test_id=test_id, cancelled_at=AT)


@pytest.fixture
async def broker(amqp_url: str) -> AsyncIterator[Broker]:
    async with Broker(amqp_url, "test") as broker:
        yield broker


@pytest.fixture
async def channel(amqp_url: str) -> AsyncIterator[AbstractChannel]:
    """A channel of the test's own, to look at and meddle with queues."""
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        yield await connection.channel()


@asynccontextmanager
async def running(work: Awaitable[None]) -> AsyncIterator[asyncio.Future[None]]:
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, TooManyDead):
            await task


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def dead_letter(channel: AbstractChannel) -> AbstractIncomingMessage:
    queue = await channel.get_queue(OUTCOMES.dead, ensure=False)
    async with asyncio.timeout(20):
        while True:
            message = await queue.get(no_ack=True, fail=False)
            if message is not None:
                return message
            await asyncio.sleep(0.02)


async def test_what_is_published_reaches_the_handler_of_its_queue(broker: Broker) -> None:
    seen: list[Message] = []

    async def handle(items: list[Message]) -> None:
        seen.extend(items)

    await broker.publisher.publish([cancelled(1), cancelled(2)])
    async with running(broker.consume(OUTCOMES, handle)):
        await broker.publisher.publish([cancelled(3)])
        await eventually(lambda: len(seen) == 3)
    assert seen == [cancelled(1), cancelled(2), cancelled(3)]


async def test_a_large_body_is_compressed_and_arrives_whole(broker: Broker) -> None:
    report = AttemptReport(
        call_id=uuid4(),
        test_id=1,
        attempt=1,
        client_id=1,
        meter_type="DLMS",
        outcome=Outcome.SUCCESS,
        times=AttemptTimes(started_at=AT, ended_at=AT),
        wire_trace=bytes(range(256)) * 4000,
    )
    seen: list[Message] = []

    async def handle(items: list[Message]) -> None:
        seen.extend(items)

    await broker.publisher.publish([report])
    async with running(broker.consume(topology.RESULTS_REPORTS, handle)):
        await eventually(lambda: bool(seen))
    assert seen == [report]


async def test_a_publish_to_a_lost_queue_is_refused_and_the_next_one_declares_it_again(
    broker: Broker, channel: AbstractChannel
) -> None:
    await broker.publisher.publish([cancelled(1)])
    await channel.queue_delete(OUTCOMES.name)
    with pytest.raises(PublishRefused):
        await broker.publisher.publish([cancelled(2)])
    await broker.publisher.publish([cancelled(2)])
    queue = await channel.declare_queue(OUTCOMES.name, passive=True)
    assert (await queue.get(no_ack=True)).body == encode([cancelled(2)])


async def test_an_unreachable_broker_is_told_within_the_time_limit() -> None:
    async with Broker("amqp://127.0.0.1:1/", "test") as nowhere:
        with pytest.raises(BrokerUnreachable):
            await nowhere.publisher.publish([cancelled(1)])


async def test_only_the_culprit_of_a_failing_batch_is_put_aside_with_its_reason(
    broker: Broker, channel: AbstractChannel, metered: Callable[[], Scrape], caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []
    before = metered()

    async def handle(items: list[TestCancelled]) -> None:
        if any(item.test_id == 5 for item in items):
            raise Rejected("test 5 is poison")
        seen.extend(item.test_id for item in items)

    await broker.publisher.publish([cancelled(number) for number in range(10)])
    async with running(broker.consume(OUTCOMES, handle)):
        dead = await dead_letter(channel)
        await eventually(lambda: len(seen) == 9)
    assert sorted(seen) == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert dead.body == encode([cancelled(5)])
    assert dead.type == "test.cancelled"
    assert dead.headers["mts-reason"] == "Rejected: test 5 is poison"
    assert dead.headers["mts-queue"] == OUTCOMES.name
    assert [vars(record)["test_id"] for record in caplog.records if "action" in vars(record)] == [5]
    shown, queue = metered(), {"messaging_destination_name": OUTCOMES.name}
    assert shown.value(metrics.DEAD_LETTERS, **queue) == before.value(metrics.DEAD_LETTERS, **queue) + 1
    assert shown.value(metrics.CONSUMED, **queue) == before.value(metrics.CONSUMED, **queue) + 1
    assert shown.value(metrics.PROCESSING, **queue) == before.value(metrics.PROCESSING, **queue) + 1
    kind = {"messaging_destination_name": "test.cancelled"}
    assert shown.value(metrics.SENT, **kind) > before.value(metrics.SENT, **kind)


async def test_a_message_that_takes_its_consumer_down_each_time_is_put_aside_and_its_neighbours_are_handled(
    broker: Broker, channel: AbstractChannel, amqp_url: str
) -> None:
    seen: set[int] = set()
    dying = asyncio.Event()

    async def handle(items: list[TestCancelled]) -> None:
        if any(item.test_id == 5 for item in items):
            dying.set()
            await asyncio.Event().wait()
        seen.update(item.test_id for item in items)

    for number in range(10):
        await broker.publisher.publish([cancelled(number)])
    dead, deaths = asyncio.ensure_future(dead_letter(channel)), 0
    while not dead.done():
        async with Broker(amqp_url, "victim") as victim, running(victim.consume(OUTCOMES, handle)):
            await eventually(lambda: dying.is_set() or dead.done())
        deaths += dying.is_set()
        dying.clear()
    assert dead.result().body == encode([cancelled(5)])
    assert "no consumer has survived it" in str(dead.result().headers["mts-reason"])
    assert seen == set(range(10)) - {5}
    assert deaths < consumer.HOPELESS_DELIVERIES


async def test_what_is_not_a_message_is_put_aside_and_does_not_block(broker: Broker, channel: AbstractChannel) -> None:
    seen: list[Message] = []

    async def handle(items: list[Message]) -> None:
        seen.extend(items)

    await broker.check()
    await channel.default_exchange.publish(aio_pika.Message(b"\xff{", type="test.cancelled"), OUTCOMES.name)
    await channel.default_exchange.publish(aio_pika.Message(b"{}", type="no.such"), OUTCOMES.name)
    await broker.publisher.publish([cancelled(1)])
    async with running(broker.consume(OUTCOMES, handle)):
        first, second = await dead_letter(channel), await dead_letter(channel)
        await eventually(lambda: bool(seen))
    assert {first.body, second.body} == {b"\xff{", b"{}"}


async def test_a_database_that_is_away_costs_no_message(broker: Broker) -> None:
    tries: list[int] = []

    async def handle(items: list[TestCancelled]) -> None:
        tries.append(len(items))
        if len(tries) < 3:
            raise ConnectionRefusedError

    await broker.publisher.publish([cancelled(1)])
    async with running(broker.consume(OUTCOMES, handle)):
        await eventually(lambda: len(tries) == 3)
    assert tries == [1, 1, 1]


async def test_a_consumer_and_a_server_outlive_a_cancel_that_aiormq_hands_on(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Message] = []
    real, failed = Link._open, []

    async def lose_once(link: Link) -> AbstractConnection:
        if link not in failed:
            failed.append(link)
            raise asyncio.CancelledError
        return await real(link)

    async def handle(items: list[Message]) -> None:
        seen.extend(items)

    async def answer(questions: list[SettleRequests]) -> list[SettleRequestsReply]:
        return [SettleRequestsReply(known=()) for _ in questions]

    monkeypatch.setattr(Link, "_open", lose_once)
    with pytest.raises(BrokerUnreachable):
        await broker.publisher.publish([cancelled(1)])
    async with running(broker.consume(OUTCOMES, handle)):
        await broker.publisher.publish([cancelled(2)])
        await eventually(lambda: bool(seen))
    with pytest.raises(NoReply):
        await broker.requester.ask(SETTLES, SettleRequests(test_ids=(1,)), SettleRequestsReply, 10)
    failed.clear()
    async with running(broker.serve(SETTLES, answer)):
        await eventually(lambda: bool(failed))
        reply = None
        async with asyncio.timeout(20):
            while reply is None:
                with suppress(NoReply):
                    reply = await broker.requester.ask(SETTLES, SettleRequests(test_ids=(1,)), SettleRequestsReply, 1)


async def test_a_handler_that_fails_on_everything_stops_the_consumer_before_anything_is_put_aside(
    broker: Broker, channel: AbstractChannel
) -> None:
    async def handle(items: list[Message]) -> None:
        raise KeyError("broken code")

    await broker.publisher.publish([cancelled(number) for number in range(2 * consumer.MAX_DEAD_IN_A_ROW)])
    with pytest.raises(TooManyDead):
        async with asyncio.timeout(30):
            await broker.consume(OUTCOMES, handle)
    dead = await channel.declare_queue(OUTCOMES.dead, passive=True)
    assert dead.declaration_result.message_count == 0
    seen: list[Message] = []

    async def handle_again(items: list[Message]) -> None:
        seen.extend(items)

    async with running(broker.consume(OUTCOMES, handle_again)):
        await eventually(lambda: len(seen) == 2 * consumer.MAX_DEAD_IN_A_ROW)


async def test_what_a_consumer_has_in_hand_counts_as_backlog(broker: Broker) -> None:
    let_go = asyncio.Event()

    async def handle(items: list[Message]) -> None:
        await let_go.wait()

    await broker.publisher.publish([cancelled(1)])
    await broker.publisher.publish([cancelled(2)])
    async with running(broker.consume(OUTCOMES, handle)):
        async with asyncio.timeout(20):
            while await broker.backlog(OUTCOMES) != 2:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0)
            let_go.set()
            while await broker.backlog(OUTCOMES):
                await asyncio.sleep(0.01)


async def test_a_consumer_whose_handler_hangs_is_stuck(amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "STALL_SECONDS", 0.1)
    monkeypatch.setattr(consumer, "LATE_SECONDS", 0.1)
    released = asyncio.Event()

    async def handle(items: list[Message]) -> None:
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()

    pulses = Pulses()
    async with Broker(amqp_url, "test", pulses) as broker:
        await broker.publisher.publish([cancelled(1)])
        async with running(broker.consume(OUTCOMES, handle)):
            await eventually(lambda: pulses.stuck() == [OUTCOMES.name])
            released.set()
            await eventually(lambda: not pulses.stuck())


@pytest.mark.parametrize(("pause", "idle"), [(1.0, 10.0), (0.0, 0.5)], ids=["told of it", "not told of it"])
async def test_a_consumer_cancelled_by_the_broker_comes_back(
    broker: Broker, channel: AbstractChannel, monkeypatch: pytest.MonkeyPatch, pause: float, idle: float
) -> None:
    monkeypatch.setattr("mts_common.publisher.DECLARE_AGAIN_SECONDS", pause)
    monkeypatch.setattr("mts_common.consumer.IDLE_SECONDS", idle)
    seen: list[int] = []

    async def handle(items: list[TestCancelled]) -> None:
        seen.extend(item.test_id for item in items)

    async with running(broker.consume(OUTCOMES, handle)):
        await broker.publisher.publish([cancelled(1)])
        await eventually(lambda: seen == [1])
        await channel.queue_delete(OUTCOMES.name)
        async with asyncio.timeout(20):
            while True:
                with suppress(PublishRefused):
                    await broker.publisher.publish([cancelled(2)])
                    break
        await eventually(lambda: 2 in seen)


async def test_questions_asked_together_travel_together_and_each_gets_its_answer(broker: Broker) -> None:
    messages: list[int] = []

    async def answer(questions: list[SettleRequests]) -> list[SettleRequestsReply]:
        messages.append(len(questions))
        return [SettleRequestsReply(known=question.test_ids) for question in questions]

    async with running(broker.serve(SETTLES, answer)):
        asked = [
            broker.requester.ask(SETTLES, SettleRequests(test_ids=(number,)), SettleRequestsReply, 10)
            for number in range(50)
        ]
        replies = await asyncio.gather(*asked)
    assert [reply.known for reply in replies] == [(number,) for number in range(50)]
    assert sum(messages) == 50
    assert len(messages) < 50


async def test_no_server_is_no_reply_in_time(broker: Broker) -> None:
    with pytest.raises(NoReply):
        await broker.requester.ask(SETTLES, SettleRequests(test_ids=(1,)), SettleRequestsReply, 0.2)


async def test_a_server_s_fault_is_no_reply_and_it_answers_the_next(broker: Broker) -> None:
    async def answer(questions: list[SettleRequests]) -> list[SettleRequestsReply]:
        if questions[0].test_ids == (1,):
            raise KeyError("broken")
        return [SettleRequestsReply(known=()) for _ in questions]

    async with running(broker.serve(SETTLES, answer)):
        with pytest.raises(NoReply):
            await broker.requester.ask(SETTLES, SettleRequests(test_ids=(1,)), SettleRequestsReply, 0.5)
        reply = await broker.requester.ask(SETTLES, SettleRequests(test_ids=(2,)), SettleRequestsReply, 10)
    assert reply.known == ()


async def test_a_parked_question_does_not_hold_up_others(broker: Broker) -> None:
    release = asyncio.Event()

    async def answer(questions: list[SettleRequests]) -> list[SettleRequestsReply]:
        if questions[0].test_ids == (1,):
            await release.wait()
        return [SettleRequestsReply(known=question.test_ids) for question in questions]

    async with running(broker.serve(SETTLES, answer)):
        parked = asyncio.ensure_future(
            broker.requester.ask(SETTLES, SettleRequests(test_ids=(1,)), SettleRequestsReply, 20)
        )
        await asyncio.wait([parked], timeout=0.1)
        other = await broker.requester.ask(SETTLES, SettleRequests(test_ids=(2,)), SettleRequestsReply, 10)
        release.set()
        assert (await parked).known == (1,)
    assert other.known == (2,)
