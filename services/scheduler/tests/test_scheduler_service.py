"""The whole service over a real broker and a real database."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import pytest

from mts_common.broker import Broker
from mts_common.messages import (
    CallGrant,
    CallReleased,
    CallReleasedReply,
    CallWant,
    CancelReply,
    CancelTests,
    DiallerAlive,
    DiallerLease,
    FailureKind,
    Message,
    Outcome,
    SettleOutcomes,
    SettleOutcomesReply,
    SettleRequests,
    SettleRequestsReply,
    TestCancelled,
    TestFinished,
    Transport,
)
from mts_common.topology import (
    CALL_RELEASES,
    CALL_WANTS,
    CANCELS,
    DIALLER_ALIVES,
    OUTCOME_SETTLES,
    RESULTS_OUTCOMES,
    SCHEDULER_REQUESTS,
    SCHEDULER_SETTLES,
    RequestQueue,
)
from mts_scheduler.run import serve
from mts_scheduler.settings import SchedulerSettings

if TYPE_CHECKING:
    from conftest import Bench

Reply = TypeVar("Reply", bound=Message)
Start = Callable[..., Awaitable[None]]


class Outside:
    """The gateway, a dialler and results, as far as the scheduler hears and sees of them."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.told: list[TestFinished | TestCancelled] = []
        self.settled: set[int] | None = None

    async def ask(self, queue: RequestQueue, item: Message, reply_model: type[Reply], seconds: float = 15) -> Reply:
        return await self.broker.requester.ask(queue, item, reply_model, seconds)

    async def want(self, lines: int = 1, dialler: str = "d1", **changes: Any) -> CallGrant:
        want = {"dialler": dialler, "nonce": uuid4(), "transport": Transport.TCP, "free_lines": lines}
        return await self.ask(CALL_WANTS, CallWant.model_validate(want | changes), CallGrant)

    async def hear(self, items: list[Any]) -> None:
        self.told += items

    async def settle(self, items: list[SettleOutcomes]) -> list[SettleOutcomesReply]:
        heard = {item.test_id for item in self.told}
        known = heard if self.settled is None else self.settled
        asked = [{test_id for test_id, _ in item.finished} | set(item.cancelled) for item in items]
        return [SettleOutcomesReply(settled=tuple(sorted(each & known)), unreported=()) for each in asked]


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 20.0) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(seconds):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.02)


@pytest.fixture
async def outside(amqp_url: str) -> AsyncIterator[Outside]:
    async with Broker(amqp_url, "outside") as broker:
        outside = Outside(broker)
        async with asyncio.TaskGroup() as group:
            parts = [
                group.create_task(broker.consume(RESULTS_OUTCOMES, outside.hear), name="outcomes"),
                group.create_task(broker.serve(OUTCOME_SETTLES, outside.settle), name="settle"),
            ]
            yield outside
            for part in parts:
                part.cancel()


@asynccontextmanager
async def running(settings: SchedulerSettings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(settings, stop), name="scheduler")
        yield
        stop.set()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench(lease_seconds=2, settle_after_seconds=0.5)


@pytest.fixture
def settings(database: Any, amqp_url: str, bench: Bench) -> SchedulerSettings:
    urls = {"amqp_url": amqp_url, "postgres_url": database.url("scheduler")}
    return SchedulerSettings.model_validate(bench.settings.model_dump() | urls)


async def test_a_test_is_granted_as_soon_as_it_is_requested_and_its_outcome_is_told(
    settings: SchedulerSettings, outside: Outside, bench: Bench
) -> None:
    async with running(settings):
        asked = asyncio.ensure_future(outside.want(wait_seconds=10))
        await outside.broker.publisher.publish([bench.requested(1)])
        (call,) = (await asked).calls
        await outside.broker.publisher.publish([bench.attempt_end(call)])
        await outside.broker.publisher.publish([bench.call_end(call)])
        await until(lambda: bool(outside.told))
        told = outside.told[0]
        assert isinstance(told, TestFinished)
        assert (told.test_id, told.attempt, told.outcome) == (1, 1, Outcome.SUCCESS)


async def test_an_ask_that_finds_no_work_is_answered_empty(settings: SchedulerSettings, outside: Outside) -> None:
    async with running(settings):
        assert (await outside.want(wait_seconds=0.3)).calls == ()


async def test_requests_are_answered(settings: SchedulerSettings, outside: Outside, bench: Bench) -> None:
    async with running(settings):
        await bench.request_many((1, 2, 3))
        cancelled = await outside.ask(CANCELS, CancelTests(test_ids=(1, 9)), CancelReply)
        assert cancelled.cancelled == (1, 9)
        known = await outside.ask(SCHEDULER_SETTLES, SettleRequests(test_ids=(1, 2, 4)), SettleRequestsReply)
        assert known.known == (1, 2)
        (call,) = (await outside.want()).calls
        alive = DiallerAlive(dialler="d1", transport=Transport.TCP, lines=1, calls=(call.call_id, uuid4()))
        lease = await outside.ask(DIALLER_ALIVES, alive, DiallerLease)
        assert (lease.lease_seconds, lease.lost) == (2, alive.calls[1:])
        released = CallReleased(dialler="d1", call_id=call.call_id)
        assert (await outside.ask(CALL_RELEASES, released, CallReleasedReply)).call_id == call.call_id
        assert await bench.state(call.tests[0].test_id) == "held"


async def test_outcomes_and_cancels_are_settled_with_results(
    settings: SchedulerSettings, outside: Outside, bench: Bench
) -> None:
    async with running(settings):
        outside.settled = set()
        await bench.request(1)
        await bench.end((await outside.want()).calls[0], FailureKind.WRONG_PASSWORD)
        await bench.cancel(2)
        await until(lambda: [item.test_id for item in outside.told].count(1) > 1)
        await until(lambda: [item.test_id for item in outside.told].count(2) > 1)
        outside.settled = None

        async def settled() -> bool:
            return not await bench.pool.fetchval("SELECT count(*) FROM scheduler.job WHERE settle_at IS NOT NULL")

        await until(settled)


async def test_the_lease_of_a_silent_dialler_runs_out_and_its_calls_are_granted_again(
    settings: SchedulerSettings, outside: Outside, bench: Bench
) -> None:
    async with running(settings):
        await bench.request(1)
        (call,) = (await outside.want(dialler="silent")).calls
        (again,) = (await outside.want(dialler="next", wait_seconds=12)).calls
        assert (again.tests[0].attempt, again.tests[0].tries) == (call.tests[0].attempt + 1, 1)


async def test_two_schedulers_share_the_work(settings: SchedulerSettings, outside: Outside, bench: Bench) -> None:
    granted: list[tuple[int, int]] = []

    async def dial(dialler: str) -> None:
        while calls := (await outside.want(5, dialler, wait_seconds=0.5)).calls:
            granted.extend((test.test_id, test.attempt) for call in calls for test in call.tests)
            ends = [bench.attempt_end(call, place=place) for call in calls for place in range(len(call.tests))]
            await outside.broker.publisher.publish(ends)
            await outside.broker.publisher.publish([bench.call_end(call) for call in calls])

    async with running(settings), running(settings):
        requests = [bench.requested(test_id) for test_id in range(1, 121)]
        await outside.broker.publisher.publish(requests[:60])
        await outside.broker.publisher.publish(requests[60:])
        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(dial(f"d{number}"), name=f"d{number}")
        await until(lambda: {item.test_id for item in outside.told} == set(range(1, 121)))
    assert sorted(granted) == [(test_id, 1) for test_id in range(1, 121)]
    assert all(item.outcome is Outcome.SUCCESS for item in outside.told if isinstance(item, TestFinished))


async def test_a_request_too_old_is_dead_lettered_and_its_neighbours_are_held(
    settings: SchedulerSettings, outside: Outside, bench: Bench
) -> None:
    old = bench.requested(2, received_at=datetime.now(UTC) - timedelta(days=settings.job_keep_days + 1))
    async with running(settings):
        await outside.broker.publisher.publish([bench.requested(1), old, bench.requested(3)])

        async def held() -> bool:
            rows = await bench.pool.fetch("SELECT test_id FROM scheduler.job ORDER BY test_id")
            return [row["test_id"] for row in rows] == [1, 3]

        await until(held)

        async def put_aside() -> bool:
            rows = await bench.pool.fetch("SELECT queue, reason FROM scheduler.dead_letter")
            return [row["queue"] for row in rows if "may have been done" in row["reason"]] == [SCHEDULER_REQUESTS.name]

        await until(put_aside)


async def test_the_process_migrates_runs_and_stops_on_a_signal(settings: SchedulerSettings, database: Any) -> None:
    environment = os.environ | {
        "MTS_AMQP_URL": settings.amqp_url.get_secret_value(),
        "MTS_POSTGRES_URL": database.url("scheduler"),
        "MTS_RUN_WINDOWS": '[{"opens": "22:00", "closes": "06:00", "zone": "Europe/London"}]',
        "MTS_RETRY_PAUSES": '{"busy": 60}',
    }
    command = (sys.executable, "-m", "mts_scheduler")
    async with asyncio.timeout(60):
        migrate = await asyncio.create_subprocess_exec(*command, "migrate", env=environment)
        assert await migrate.wait() == 0
        process = await asyncio.create_subprocess_exec(*command, "run", env=environment, stderr=asyncio.subprocess.PIPE)
        assert process.stderr is not None
        first = await process.stderr.readline()
        assert b'"action": "start"' in first
        assert settings.amqp_url.get_secret_value().encode() not in first
        async with Broker(settings.amqp_url.get_secret_value(), "outside") as broker:
            want = CallWant(dialler="d1", nonce=uuid4(), transport=Transport.TCP, free_lines=1, wait_seconds=0.1)
            await broker.requester.ask(CALL_WANTS, want, CallGrant, 30)
        process.send_signal(signal.SIGTERM)
        await process.stderr.read()
        assert await process.wait() == 0
