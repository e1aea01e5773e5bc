"""Dead letters: collected into a table, shown without secrets, and put back only once the broker has them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from mts_common import dead_letters as module
from mts_common.amqp import pack
from mts_common.broker import Broker
from mts_common.consumer import Rejected
from mts_common.database import Pool, open_pool, transaction
from mts_common.dead_letters import DeadLetters, readable
from mts_common.messages import TestCancelled, encode
from mts_common.operator_messages import (
    DeadLetter,
    ListDeadLetters,
    ListDeadLettersReply,
    RequeueDeadLetters,
    RequeueDeadLettersReply,
)
from mts_common.topology import RESULTS_DEAD, RESULTS_OUTCOMES, RESULTS_REPORTS, RESULTS_REQUEUES

OUTCOMES = RESULTS_OUTCOMES
AT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


class Database(Protocol):
    def url(self, role: str) -> str: ...


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    table = (module.__doc__ or "").partition("its migration creates:\n")[2].replace("SCHEMA", "results")
    async with open_pool(database.url("results"), "test") as pool:
        await pool.execute(table)
        yield pool


@pytest.fixture
async def broker(amqp_url: str) -> AsyncIterator[Broker]:
    async with Broker(amqp_url, "test") as broker:
        yield broker


@pytest.fixture
async def channel(amqp_url: str) -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(amqp_url) as connection:
        yield await connection.channel()


@pytest.fixture
def letters(pool: Pool, broker: Broker) -> DeadLetters:
    return DeadLetters(pool, "results", broker.publisher)


@pytest.fixture
async def collecting(broker: Broker, letters: DeadLetters) -> AsyncIterator[None]:
    task = asyncio.create_task(broker.collect_dead(letters))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def cancelled(test_id: int) -> TestCancelled:
    return TestCancelled(test_id=test_id, cancelled_at=AT)


async def refuse(items: list[TestCancelled]) -> None:
    raise Rejected(f"test {items[0].test_id} is poison")


async def died(letters: DeadLetters, count: int) -> tuple[DeadLetter, ...]:
    """The dead letters once there are so many."""
    async with asyncio.timeout(20):
        while len(found := (await letters.list(ListDeadLetters(with_text=True))).letters) < count:
            await asyncio.sleep(0.02)
    assert len(found) == count
    return found


async def died_after(letters: DeadLetters, moment: datetime) -> DeadLetter:
    async with asyncio.timeout(20):
        while not (found := (await letters.list(ListDeadLetters())).letters) or found[0].died_at <= moment:
            await asyncio.sleep(0.02)
    return found[0]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("collecting")
async def test_what_a_consumer_puts_aside_lies_in_the_table_of_its_service(
    broker: Broker, letters: DeadLetters
) -> None:
    await broker.publisher.publish([cancelled(1)])
    consuming = asyncio.create_task(broker.consume(OUTCOMES, refuse))
    (letter,) = await died(letters, 1)
    consuming.cancel()
    assert (letter.queue, letter.message_kind) == (OUTCOMES.name, "test.cancelled")
    assert letter.reason == "Rejected: test 1 is poison"
    assert letter.size == len(encode([cancelled(1)]))
    assert json.loads(letter.text or "") == json.loads(encode([cancelled(1)]))


@pytest.mark.usefixtures("collecting")
async def test_what_the_broker_itself_gives_up_lies_there_too(
    broker: Broker, letters: DeadLetters, channel: AbstractChannel
) -> None:
    await broker.publisher.publish([cancelled(1)])
    queue = await channel.get_queue(OUTCOMES.name)
    message = await queue.get(timeout=10)
    assert message is not None
    await message.reject(requeue=False)
    (letter,) = await died(letters, 1)
    assert (letter.queue, letter.reason) == (OUTCOMES.name, "the broker: rejected")


async def test_the_same_letter_that_dies_again_is_one(broker: Broker, letters: DeadLetters) -> None:
    await broker.check()
    for _ in range(2):
        await broker.publisher.dead_letter(OUTCOMES, "test.cancelled", encode([cancelled(1)]), "poison")
    await broker.publisher.dead_letter(OUTCOMES, "test.cancelled", encode([cancelled(2)]), "poison")
    task = asyncio.create_task(broker.collect_dead(letters))
    await died(letters, 2)
    task.cancel()


@pytest.mark.usefixtures("collecting")
async def test_a_letter_put_back_is_handled_and_gone(broker: Broker, letters: DeadLetters) -> None:
    seen: list[TestCancelled] = []

    async def handle(items: list[TestCancelled]) -> None:
        seen.extend(items)

    await broker.publisher.dead_letter(OUTCOMES, "test.cancelled", encode([cancelled(1)]), "a fault mended since")
    (letter,) = await died(letters, 1)
    assert await letters.requeue([letter.id, letter.id + 1]) == (letter.id,)
    assert (await letters.list(ListDeadLetters())).total == 0
    consuming = asyncio.create_task(broker.consume(OUTCOMES, handle))
    await until(lambda: bool(seen))
    consuming.cancel()
    assert seen == [cancelled(1)]


@pytest.mark.usefixtures("collecting")
async def test_a_letter_put_back_in_vain_is_here_again(broker: Broker, letters: DeadLetters) -> None:
    await broker.publisher.publish([cancelled(1)])
    consuming = asyncio.create_task(broker.consume(OUTCOMES, refuse))
    (first,) = await died(letters, 1)
    await letters.requeue([first.id])
    await died_after(letters, first.died_at)
    consuming.cancel()


async def test_a_letter_that_dies_again_before_its_requeue_is_noted_stays(
    broker: Broker, letters: DeadLetters, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    collecting = asyncio.create_task(broker.collect_dead(letters))
    body = encode([cancelled(1)])
    await broker.publisher.dead_letter(OUTCOMES, "test.cancelled", body, "poison")
    (letter,) = await died(letters, 1)

    async def put_back_and_die(*_: object) -> None:
        await broker.publisher.dead_letter(OUTCOMES, "test.cancelled", body, "poison")
        await died_after(letters, letter.died_at)

    monkeypatch.setattr(broker.publisher, "put_back", put_back_and_die)
    await letters.requeue([letter.id])
    collecting.cancel()
    assert (await letters.list(ListDeadLetters())).total == 1


@pytest.mark.usefixtures("collecting")
async def test_a_letter_stays_if_the_broker_does_not_take_it(broker: Broker, letters: DeadLetters, pool: Pool) -> None:
    await broker.publisher.dead_letter(OUTCOMES, "test.cancelled", b"{}", "poison")
    (letter,) = await died(letters, 1)
    async with Broker("amqp://127.0.0.1:1/", "test") as nowhere:
        assert await DeadLetters(pool, "results", nowhere.publisher).requeue([letter.id]) == ()
    assert (await letters.list(ListDeadLetters())).total == 1


@pytest.mark.usefixtures("collecting")
async def test_a_letter_of_no_queue_of_ours_is_shown_but_never_put_back(
    letters: DeadLetters, broker: Broker, channel: AbstractChannel
) -> None:
    await broker.check()
    stranger = aio_pika.Message(b"\xff", headers={"mts-queue": "amq.gen\0"}, type="what\0")
    await channel.default_exchange.publish(stranger, OUTCOMES.dead)
    (letter,) = await died(letters, 1)
    assert (letter.queue, letter.message_kind, letter.text) == ("amq.gen\ufffd", "what\ufffd", None)
    assert await letters.requeue([letter.id]) == ()


async def test_letters_are_listed_by_queue_and_page(letters: DeadLetters, pool: Pool) -> None:
    for number in range(5):
        queue = (OUTCOMES if number % 2 else RESULTS_REPORTS).name
        await pool.execute(
            "INSERT INTO results.dead_letter (queue, kind, reason, body, digest) VALUES ($1, 'k', 'r', $2, $2)",
            queue,
            bytes([number]),
        )
    page = await letters.list(ListDeadLetters(queue=RESULTS_REPORTS.name, limit=1, offset=1))
    assert (page.total, [letter.id for letter in page.letters]) == (3, [3])


async def test_old_letters_are_forgotten(letters: DeadLetters, pool: Pool) -> None:
    for days in (9, 11):
        await pool.execute(
            "INSERT INTO results.dead_letter (queue, kind, reason, body, digest, died_at) "
            "VALUES ('q', 'k', 'r', '', $1, $2)",
            bytes([days]),
            datetime.now(UTC) - timedelta(days=days),
        )
    await module.forget(pool, "results", 10)
    assert [letter.id for letter in (await letters.list(ListDeadLetters())).letters] == [1]


async def test_letters_can_be_asked_for_over_the_broker(broker: Broker, letters: DeadLetters, pool: Pool) -> None:
    await broker.check()
    await pool.execute(
        "INSERT INTO results.dead_letter (queue, kind, reason, body, digest) VALUES ($1, 'k', 'r', '{}', '')",
        OUTCOMES.name,
    )
    serving = [
        asyncio.create_task(broker.serve(RESULTS_DEAD, letters.serve_list)),
        asyncio.create_task(broker.serve(RESULTS_REQUEUES, letters.serve_requeue)),
    ]
    listed = await broker.requester.ask(RESULTS_DEAD, ListDeadLetters(with_text=True), ListDeadLettersReply, 10)
    assert [letter.text for letter in listed.letters] == ["{}"]
    done = await broker.requester.ask(RESULTS_REQUEUES, RequeueDeadLetters(ids=(1,)), RequeueDeadLettersReply, 10)
    assert done.requeued == (1,)
    for task in serving:
        task.cancel()


async def test_a_database_that_does_not_answer_costs_no_letter(
    broker: Broker, letters: DeadLetters, pool: Pool, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_pool(database.url("results"), "impatient", statement_seconds=0.2) as impatient:
        collecting = asyncio.create_task(broker.collect_dead(DeadLetters(impatient, "results", broker.publisher)))
        async with transaction(pool) as connection:
            await connection.execute("LOCK TABLE results.dead_letter")
            await broker.publisher.dead_letter(OUTCOMES, "test.cancelled", b"{}", "poison")
            await until(lambda: "handling again" in caplog.text)
        await died(letters, 1)
        collecting.cancel()


def test_secrets_are_struck_out_and_long_strings_cut() -> None:
    body, encoding = pack(json.dumps({"items": [{"password": "gAAAA", "Token": 1, "x": ["y" * 20_000]}]}).encode())
    assert encoding == "gzip"
    text = readable(body, encoding) or ""
    assert json.loads(text)["items"][0] == {
        "password": "***",
        "Token": "***",
        "x": ["y" * module.SHOWN_STRING + "… (20000 characters)"],
    }


def test_what_nobody_can_read_is_not_shown_for_nobody_can_say_what_is_secret_in_it() -> None:
    assert readable(b'"password": "secret', None) is None
    assert readable(b"no gzip", "gzip") is None
    assert readable(b"[" * 100_000, None) is None


def test_a_text_is_bounded() -> None:
    assert len(readable(json.dumps(list(range(100_000))).encode(), None) or "") == module.SHOWN_CHARACTERS
