"""What operators do reaches the services that own it, through the gateway alone."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator

import aio_pika
import pytest

from mts_client import MtsClient
from mts_common.topology import RESULTS_OUTCOMES
from mts_stack.testing import StackUnderTest


@pytest.fixture(scope="module")
def operator(stack: StackUnderTest) -> Iterator[MtsClient]:
    token, admin_token = stack.services.create_tokens("operators")
    trust = ssl.create_default_context(cafile=stack.services.tls.ca)
    with MtsClient(stack.services.api_url, token, admin_token=admin_token, trust=trust) as client:
        yield client


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_overnight_test_is_held_released_and_called_outside_its_window(
    stack: StackUnderTest, operator: MtsClient
) -> None:
    meter = stack.fleet.meters[0]
    test_id = stack.request(meter, immediate=False)
    until(lambda: operator.hold_tests([test_id]) == (test_id,))
    (job,) = operator.list_waiting_tests(on_hold=True).jobs
    assert (job.test_id, job.remote_address, job.immediate) == (test_id, meter["remoteAddress"], False)
    assert operator.release_tests([test_id], now=True) == (test_id,)
    assert stack.outcome(test_id)["result"] == "SUCCESS"
    assert operator.hold_tests([test_id]) == ()
    assert operator.list_waiting_tests().total_result_count == 0


def test_the_dialler_is_seen_with_its_lines(operator: MtsClient) -> None:
    (dialler,) = operator.list_lines().diallers
    assert (dialler.transport, dialler.lines > 0) == ("tcp", True)


def test_a_dead_letter_is_listed_shown_and_put_back(stack: StackUnderTest, operator: MtsClient) -> None:
    async def publish() -> None:
        async with await aio_pika.connect(stack.amqp_url) as connection:
            channel = await connection.channel()
            await channel.default_exchange.publish(aio_pika.Message(b"[]", type="nobody.knows"), RESULTS_OUTCOMES.name)

    asyncio.run(publish())
    until(lambda: operator.list_dead_letters().total_result_count == 1)
    (letter,) = operator.list_dead_letters().dead_letters
    assert (letter.service, letter.queue) == ("results", RESULTS_OUTCOMES.name)
    assert "has no place here" in letter.reason
    assert operator.show_dead_letter("results", letter.dead_letter_id).text == "[]"
    operator.requeue_dead_letter("results", letter.dead_letter_id)

    def back_again() -> bool:
        found = operator.list_dead_letters(service="results").dead_letters
        return bool(found) and found[0].died_time >= letter.died_time

    until(back_again)
