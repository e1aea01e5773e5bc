"""Every event again and in another order; and what no consumer can make anything of."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

import aio_pika
from fault_harness.checker import Checker
from fault_harness.system import System, run_apart
from fault_harness.workload import Workload

from mts_common import topology
from mts_common.messages import Message, Outcome, TestFinished, encode

PUBLISH_SECONDS = 10.0

Event = tuple[str, bytes]


def test_every_event_twice_and_shuffled_changes_nothing(system: System, workload: Workload, checker: Checker) -> None:
    tapped = run_apart(_tap(system))
    workload.run(calls=24)
    checker.verify(workload)
    events = run_apart(_take(system, tapped))
    assert {kind for kind, _ in events} >= {"test.requested", "attempt.report", "test.finished", "call.finished"}
    run_apart(_publish(system, random.Random(workload.seed).sample(events * 2, 2 * len(events))))  # noqa: S311
    before = jobs(system)
    checker.verify(workload)
    assert jobs(system) == before


UNREADABLE = (
    ("test.finished", b"\x00 not JSON", "Invalid JSON"),
    ("test.finished", b'{"v":1,"items":[{"test_id":"x"}]}', "test_id"),
    ("test.finished", b'{"v":2,"items":[]}', "v: "),
    ("nobody.knows", b'{"v":1,"items":[]}', "has no place here"),
)


def test_what_cannot_be_read_is_put_aside_with_its_reason_and_blocks_nobody(
    system: System, workload: Workload, checker: Checker
) -> None:
    queue = topology.RESULTS_OUTCOMES.name
    run_apart(_publish(system, [(kind, body) for kind, body, _ in UNREADABLE], queue))
    workload.run(calls=6)
    system.poison += len(UNREADABLE)
    checker.verify(workload)
    assert dead(system)[-len(UNREADABLE) :] == [(queue, kind) for kind, _, _ in UNREADABLE]
    for found, (_, _, reason) in zip(reasons(system)[-len(UNREADABLE) :], UNREADABLE, strict=True):
        assert reason in found


def test_an_item_whose_handler_always_fails_is_put_aside_alone(
    system: System, workload: Workload, checker: Checker
) -> None:
    order = workload.order(system.meter())
    checker.verify(workload)
    assert order.answer is not None
    done = TestFinished(test_id=order.answer, outcome=Outcome.SUCCESS, finished_at=datetime(2020, 1, 1, tzinfo=UTC))
    neighbours: list[Message] = [done] * 5
    impossible = done.model_copy(update={"test_id": 2**80})
    run_apart(_publish(system, [(done.kind, encode([*neighbours, impossible, *neighbours]))]))
    system.poison += 1
    checker.verify(workload)
    assert dead(system)[-1] == (topology.RESULTS_OUTCOMES.name, done.kind)


def test_unknown_fields_are_ignored(system: System, workload: Workload, checker: Checker) -> None:
    order = workload.order(system.meter())
    checker.verify(workload)
    item = {"test_id": order.answer, "outcome": "success", "finished_at": "2020-01-01T00:00:00Z", "new": uuid4().hex}
    run_apart(_publish(system, [("test.finished", json.dumps({"v": 1, "items": [item], "more": 1}).encode())]))
    checker.verify(workload)


def jobs(system: System) -> list[tuple[object, ...]]:
    return [tuple(row) for row in system.query("SELECT test_id, state, attempt, tries FROM scheduler.job ORDER BY 1")]


def dead(system: System) -> list[tuple[str, str]]:
    """Queue and kind of what has been put aside, oldest first."""
    return [(letter["queue"], letter["kind"]) for letter in system.dead_letters()]


def reasons(system: System) -> list[str]:
    return [letter["reason"] for letter in system.dead_letters()]


async def _tap(system: System) -> str:
    """A queue of our own that gets every event from now on."""
    async with asyncio.timeout(PUBLISH_SECONDS), await aio_pika.connect(system.stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(f"tap-{uuid4().hex}", durable=True)
        await queue.bind(topology.EXCHANGE, "#")
        return queue.name


async def _take(system: System, name: str) -> list[Event]:
    """What the tap has got; it is deleted."""
    events = []
    async with asyncio.timeout(PUBLISH_SECONDS), await aio_pika.connect(system.stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(name)
        while message := await queue.get(no_ack=True, fail=False):
            assert message.content_encoding is None
            events.append((str(message.type), message.body))
        await queue.delete()
    return events


async def _publish(system: System, events: Sequence[Event], queue: str = "") -> None:
    """To the exchange by their kind, or all straight to one queue."""
    async with asyncio.timeout(PUBLISH_SECONDS), await aio_pika.connect(system.stack.amqp_url) as connection:
        channel = await connection.channel()
        exchange = channel.default_exchange if queue else await channel.get_exchange(topology.EXCHANGE)
        for kind, body in events:
            message = aio_pika.Message(body, type=kind, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await exchange.publish(message, queue or kind)
