"""Parked asks: answered when there is work, or empty when they have waited long enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from mts_common.messages import CallGrant, CallWant, GrantedCall, Transport
from mts_common.pulse import Pulses
from mts_scheduler.asks import CLAIM_SECONDS, Asks


class Work:
    """Stands in for the claims: gives one call for each unit of work, and remembers who asked."""

    def __init__(self) -> None:
        self.left = 0
        self.asked: list[UUID] = []
        self.fault: Exception | None = None
        self.granted: dict[UUID, CallGrant] = {}

    async def claim(self, want: CallWant) -> CallGrant | None:
        self.asked.append(want.nonce)
        if self.fault is not None:
            raise self.fault
        if want.nonce not in self.granted and self.left:
            self.left -= 1
            call = GrantedCall(
                call_id=uuid4(), remote_address="a:1", canonical_address="a:1", transport=want.transport, tests=()
            )
            self.granted[want.nonce] = CallGrant(nonce=want.nonce, calls=(call,))
        return self.granted.get(want.nonce)


def want(dialler: str = "d1", wait_seconds: float = 10.0, transport: Transport = Transport.TCP) -> CallWant:
    return CallWant(dialler=dialler, nonce=uuid4(), transport=transport, free_lines=1, wait_seconds=wait_seconds)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
async def asks(work: Work) -> AsyncIterator[Asks]:
    asks = Asks(work.claim)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(asks.run(), name="asks")
        yield asks
        running.cancel()


async def test_an_ask_is_answered_at_once_if_there_is_work(asks: Asks, work: Work) -> None:
    work.left = 1
    async with asyncio.timeout(5):
        (grant,) = await asks.serve([want()])
    assert len(grant.calls) == 1


async def test_an_ask_is_answered_empty_when_it_has_waited(asks: Asks) -> None:
    asked = want(wait_seconds=0.3)
    async with asyncio.timeout(5):
        assert await asks.serve([asked]) == [CallGrant(nonce=asked.nonce, calls=())]


async def test_work_that_comes_wakes_the_asks_that_it_is_enough_for(asks: Asks, work: Work) -> None:
    wants = [want(f"d{number}") for number in range(4)]
    async with asyncio.timeout(8), asyncio.TaskGroup() as group:
        answers = [group.create_task(asks.serve([each]), name=each.dialler) for each in wants]
        while len(work.asked) < 4:
            await asyncio.sleep(0)
        work.left = 2
        asks.wake()
        await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        work.left = 2
        asks.wake()
    assert all(len(answer.result()[0].calls) == 1 for answer in answers)


async def test_work_of_another_scheduler_is_found_by_the_poll(asks: Asks, work: Work) -> None:
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        answer = group.create_task(asks.serve([want()]), name="ask")
        while not work.asked:
            await asyncio.sleep(0)
        work.left = 1
    assert len(answer.result()[0].calls) == 1


async def test_asks_of_one_message_wait_no_longer_than_the_first_grant(asks: Asks, work: Work) -> None:
    work.left = 1
    async with asyncio.timeout(5):
        grants = await asks.serve([want(), want(transport=Transport.MODEM)])
    assert sorted(len(grant.calls) for grant in grants) == [0, 1]


async def test_a_repeated_ask_that_was_granted_meanwhile_is_not_answered_empty(asks: Asks, work: Work) -> None:
    asked = want(wait_seconds=0.0)
    work.left = 1
    granted = await work.claim(asked)
    async with asyncio.timeout(5):
        assert await asks.serve([asked]) == [granted]


async def test_an_ask_whose_claim_failed_is_not_answered(asks: Asks, work: Work) -> None:
    work.fault = ConnectionError("the database is away")
    async with asyncio.timeout(5):
        with pytest.raises(ConnectionError):
            await asks.serve([want()])
    work.fault, work.left = None, 1
    async with asyncio.timeout(5):
        assert len((await asks.serve([want()]))[0].calls) == 1


async def test_an_ask_that_nobody_waits_for_takes_no_work(asks: Asks, work: Work) -> None:
    gone = asyncio.ensure_future(asks.serve([want()]))
    while not work.asked:
        await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    work.left = 1
    async with asyncio.timeout(5):
        assert len((await asks.serve([want("d2")]))[0].calls) == 1


async def test_an_ask_without_work_does_not_keep_others_of_its_kind_from_theirs(asks: Asks, work: Work) -> None:
    blocked = want("blocked")
    claim = work.claim

    async def claim_for_others(each: CallWant) -> CallGrant | None:
        return None if each.dialler == "blocked" else await claim(each)

    asks = Asks(claim_for_others)
    async with asyncio.timeout(8), asyncio.TaskGroup() as group:
        running = group.create_task(asks.run(), name="asks")
        waiting = group.create_task(asks.serve([blocked]), name="blocked")
        other = group.create_task(asks.serve([want("other")]), name="other")
        while not work.asked:
            await asyncio.sleep(0)
        work.left = 1
        await other
        waiting.cancel()
        running.cancel()
    assert len(other.result()[0].calls) == 1


async def test_a_claim_that_never_ends_is_told_of() -> None:
    now, claimed, never = [0.0], asyncio.Event(), asyncio.Event()
    pulses = Pulses(lambda: now[0])

    async def hang(_: CallWant) -> CallGrant | None:
        claimed.set()
        await never.wait()
        return None

    asks = Asks(hang, pulses)
    async with asyncio.timeout(8), asyncio.TaskGroup() as group:
        running = group.create_task(asks.run(), name="asks")
        waiting = group.create_task(asks.serve([want()]), name="waiting")
        await claimed.wait()
        assert pulses.stuck() == []
        now[0] = CLAIM_SECONDS + 1
        assert pulses.stuck() == ["asks"]
        waiting.cancel()
        running.cancel()
