"""What is sent again, when, and what never is."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from mts_client import (
    AsyncMtsClient,
    BadRequest,
    ConnectFailed,
    ConnectionBroken,
    MeterTest,
    MtsError,
    RateLimited,
    RetryPolicy,
    ServerError,
    ServiceUnavailable,
    TimedOut,
    UnexpectedAnswer,
)
from mts_client.testing import FakeMts

TEST = MeterTest(meter_type="ELSTERA1700", remote_address="07777000000")
POLICY = RetryPolicy(tries=3, first_pause_seconds=1.0, longest_pause_seconds=10.0)


@pytest.mark.parametrize(
    ("failure", "tries_made", "repeatable", "pause"),
    [
        (RateLimited([], 7), 1, False, 7),
        (RateLimited([], 10), 2, True, 10),
        (RateLimited([], 11), 1, True, None),
        (RateLimited([], 7), 3, True, None),
        (ServiceUnavailable([]), 1, True, 1),
        (ServiceUnavailable([]), 2, True, 2),
        (ServiceUnavailable([]), 1, False, None),
        (ConnectFailed(), 1, False, 1),
        (TimedOut(), 1, True, 1),
        (TimedOut(), 1, False, None),
        (ConnectionBroken(), 1, True, 1),
        (ConnectionBroken(), 1, False, None),
        (ServerError([]), 1, True, None),
        (BadRequest([]), 1, True, None),
        (UnexpectedAnswer(), 1, True, None),
    ],
)
def test_the_policy_decides(failure: MtsError, tries_made: int, repeatable: bool, pause: float | None) -> None:
    assert POLICY.pause(failure, tries_made, repeatable=repeatable) == pause


def test_pauses_do_not_grow_for_ever() -> None:
    patient = RetryPolicy(tries=2000, first_pause_seconds=1.0, longest_pause_seconds=10.0)
    assert patient.pause(TimedOut(), 1000, repeatable=True) == 10.0


async def test_a_request_whose_answer_was_lost_is_repeated_under_its_key(
    client: AsyncMtsClient, mts: FakeMts, clock: Any
) -> None:
    mts.scripted.append(httpx.ReadTimeout("no answer"))
    mts.scripted.append(httpx.Response(503, json={"details": ["try later"]}))
    assert await client.test_request(TEST) == 1
    assert len({request.headers["Idempotency-Key"] for request in mts.requests}) == 1
    assert len({request.content for request in mts.requests}) == 1
    assert len(mts.requests) == 3
    assert clock.pauses == [0.5, 1.0]


async def test_too_many_calls_waits_as_long_as_the_server_says(
    client: AsyncMtsClient, mts: FakeMts, clock: Any
) -> None:
    mts.scripted.append(httpx.Response(429, json={"details": ["slow down"], "retryAfter": 33}))
    await client.limits()
    assert clock.pauses == [33]


async def test_a_new_client_or_token_is_never_asked_for_twice(client: AsyncMtsClient, mts: FakeMts, clock: Any) -> None:
    mts.scripted.extend([httpx.ReadTimeout("no answer"), httpx.ReadError("reset")])
    with pytest.raises(TimedOut):
        await client.create_client("Billing")
    with pytest.raises(ConnectionBroken):
        await client.create_token(1)
    assert len(mts.requests) == 2
    assert clock.pauses == []


async def test_tries_run_out_with_the_last_error(make_client: Any, mts: FakeMts) -> None:
    mts.scripted.extend([httpx.ConnectError("refused"), httpx.ConnectError("refused"), httpx.ReadError("reset")])
    with pytest.raises(ConnectionBroken, match="reset"):
        await make_client(retries=POLICY).test_status(1)
    assert len(mts.requests) == 3


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("x"), ConnectFailed),
        (httpx.ConnectTimeout("x"), ConnectFailed),
        (httpx.PoolTimeout("x"), ConnectFailed),
        (httpx.ProxyError("x"), ConnectFailed),
        (httpx.ReadTimeout("x"), TimedOut),
        (httpx.WriteTimeout("x"), TimedOut),
        (httpx.ReadError("x"), ConnectionBroken),
        (httpx.WriteError("x"), ConnectionBroken),
        (httpx.RemoteProtocolError("x"), ConnectionBroken),
        (httpx.DecodingError("x"), ConnectionBroken),
    ],
)
async def test_each_failure_of_the_transport_says_how_far_the_request_got(
    make_client: Any, mts: FakeMts, error: httpx.RequestError, expected: type[MtsError]
) -> None:
    mts.scripted.append(error)
    with pytest.raises(expected) as caught:
        await make_client(retries=RetryPolicy(tries=1)).test_status(1)
    assert caught.value.__cause__ is error


async def test_cancelling_a_wait_leaves_the_client_usable(mts: FakeMts) -> None:
    """Only asyncio can be cancelled from outside."""
    waiting = asyncio.Event()

    async def for_ever(seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    async with AsyncMtsClient("https://mts.test", "mts-token", transport=mts.transport(), sleep=for_ever) as client:
        test_id = await client.test_request(TEST)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            task = group.create_task(client.wait_for_result(test_id, deadline=60), name="wait for a result")
            await waiting.wait()
            task.cancel()
        assert (await client.test_status(test_id)).test_id == test_id
