"""Settling: what results says it has, and what it has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import pytest

from mts_common.messages import (
    FailureKind,
    GrantedCall,
    GrantedTest,
    Message,
    Outcome,
    SettleOutcomes,
    SettleOutcomesReply,
    SettleRequests,
    Transport,
)
from mts_common.requests import NoReply, Requester
from mts_common.topology import RequestQueue
from mts_scheduler.housekeeping import tidy
from mts_scheduler.settling import MAX_RECALLS, Settling

if TYPE_CHECKING:
    from conftest import Bench

Reply = TypeVar("Reply", bound=Message)


class Results:
    """Stands in for results at the other end of the requester: what it has, and what it lacks the report of."""

    def __init__(self) -> None:
        self.settled: set[int] = set()
        self.unreported: set[int] = set()
        self.asked: list[SettleOutcomes] = []
        self.away = False

    async def ask(self, queue: RequestQueue, item: Message, reply_model: type[Reply], timeout: float) -> Reply:  # noqa: ASYNC109
        assert isinstance(item, SettleOutcomes)
        self.asked.append(item)
        if self.away:
            raise NoReply("results is away")
        return cast(
            Reply, SettleOutcomesReply(settled=tuple(sorted(self.settled)), unreported=tuple(sorted(self.unreported)))
        )


@pytest.fixture
def results() -> Results:
    return Results()


@pytest.fixture
def settling(bench: Bench, results: Results) -> Settling:
    return Settling(bench.pool, bench.settings, cast(Requester, results), lambda: None)


async def _done(bench: Bench, test_id: int, failure: FailureKind | None = None) -> None:
    await bench.request(test_id)
    await bench.end(await bench.ask_one(), failure)


async def _a_minute_later(bench: Bench, settling: Settling) -> None:
    await bench.elapse(61)
    await settling.settle()


async def test_the_gateway_is_told_which_requests_have_arrived(bench: Bench, settling: Settling) -> None:
    await bench.request_many((1, 2))
    await bench.cancel(2, 3)
    (reply,) = await settling.requests([SettleRequests(test_ids=(1, 2, 3, 4))])
    assert reply.known == (1, 2, 3)


async def test_results_is_asked_only_about_what_was_told_a_minute_ago(
    bench: Bench, settling: Settling, results: Results
) -> None:
    await _done(bench, 1)
    await bench.cancel(2)
    await bench.request(3)
    await settling.settle()
    assert results.asked == []
    await _a_minute_later(bench, settling)
    assert results.asked == [SettleOutcomes(finished=((1, 1),), cancelled=(2,))]


async def test_what_is_settled_is_asked_about_no_more_and_its_terms_are_forgotten(
    bench: Bench, settling: Settling, results: Results
) -> None:
    await _done(bench, 1)
    await bench.cancel(2)
    results.settled = {1, 2}
    await _a_minute_later(bench, settling)
    await _a_minute_later(bench, settling)
    assert len(results.asked) == 1
    assert (await bench.job(1))["terms"] is None


async def test_what_has_not_arrived_is_told_again_until_it_has(
    bench: Bench, settling: Settling, results: Results
) -> None:
    await _done(bench, 1, FailureKind.WRONG_PASSWORD)
    await bench.cancel(2)
    await _a_minute_later(bench, settling)
    await _a_minute_later(bench, settling)
    told = [(item.test_id, item.attempt, item.outcome, item.failure) for item in await bench.finished()]
    assert told == [(1, 1, Outcome.ERROR, FailureKind.WRONG_PASSWORD)] * 3
    assert await bench.cancelled() == [2, 2, 2]


async def test_nothing_is_lost_when_results_does_not_answer(bench: Bench, settling: Settling, results: Results) -> None:
    await _done(bench, 1)
    results.away = True
    with pytest.raises(NoReply):
        await _a_minute_later(bench, settling)
    results.away, results.settled = False, {1}
    await _a_minute_later(bench, settling)
    await _a_minute_later(bench, settling)
    assert len(results.asked) == 2


async def test_a_test_whose_report_was_lost_is_tried_again(bench: Bench, settling: Settling, results: Results) -> None:
    await _done(bench, 1)
    late = bench.attempt_end(await _call_of(bench, 1))
    results.unreported = {1}
    await _a_minute_later(bench, settling)
    assert await bench.state(1) == "held"
    await bench.consumers.attempt_finished([late])
    call = await bench.ask_one()
    assert call.tests[0].password == "sealed"
    await bench.end(call)
    first, second = await bench.finished()
    assert (first.attempt, second.outcome) == (1, Outcome.SUCCESS)
    assert second.attempt == call.tests[0].attempt > 1


async def test_a_test_whose_last_report_was_lost_has_one_more_try(
    bench: Bench, settling: Settling, results: Results
) -> None:
    await bench.request(1)
    for _ in range(3):
        await bench.end(await bench.ask_one(), FailureKind.BUSY)
    results.unreported = {1}
    await _a_minute_later(bench, settling)
    await bench.end(await bench.ask_one(), FailureKind.BUSY)
    assert await bench.ask() == ()
    assert len(await bench.finished()) == 2


async def test_a_wrong_password_whose_report_was_lost_is_not_tried_again(
    bench: Bench, settling: Settling, results: Results
) -> None:
    await _done(bench, 1, FailureKind.WRONG_PASSWORD)
    results.unreported = {1}
    await _a_minute_later(bench, settling)
    assert await bench.ask() == ()
    told = (await bench.finished())[-1]
    assert (told.attempt, told.outcome, told.failure) == (None, Outcome.ERROR, FailureKind.WRONG_PASSWORD)
    assert told.detail == "detail of wrong_password"


async def test_reports_that_are_lost_again_and_again_end_the_test(
    bench: Bench, settling: Settling, results: Results
) -> None:
    await bench.request(1)
    results.unreported = {1}
    for _ in range(MAX_RECALLS + 1):
        await bench.end(await bench.ask_one())
        await _a_minute_later(bench, settling)
    assert await bench.ask() == ()
    told = (await bench.finished())[-1]
    assert (told.attempt, told.outcome, told.detail) == (None, Outcome.ERROR, "the report of the test was lost")


async def test_an_answer_about_what_has_changed_meanwhile_is_not_acted_on(
    bench: Bench, settling: Settling, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _done(bench, 1)
    results.unreported = {1}
    ask = results.ask

    async def ask_and_delete(
        queue: RequestQueue,
        item: Message,
        reply_model: type[Reply],
        timeout: float,  # noqa: ASYNC109
    ) -> Reply:
        await bench.cancel(1, delete=True)
        return await ask(queue, item, reply_model, timeout)

    monkeypatch.setattr(results, "ask", ask_and_delete)
    await _a_minute_later(bench, settling)
    assert await bench.state(1) == "cancelled"


async def test_what_ended_long_ago_is_forgotten_once_it_is_settled(
    bench: Bench, settling: Settling, results: Results
) -> None:
    await _done(bench, 1)
    await _done(bench, 2)
    await bench.request(3)
    results.settled = {1}
    await _a_minute_later(bench, settling)
    await bench.elapse(9 * 86400)
    await tidy(bench.pool, 10)
    assert len(await bench.pool.fetch("SELECT FROM scheduler.job")) == 3
    await bench.elapse(2 * 86400)
    await tidy(bench.pool, 10)
    rows = await bench.pool.fetch("SELECT test_id FROM scheduler.job ORDER BY test_id")
    assert [row["test_id"] for row in rows] == [2, 3]
    assert await bench.pool.fetchval("SELECT count(*) FROM scheduler.call") == 0


async def _call_of(bench: Bench, test_id: int) -> GrantedCall:
    """The call that a test had, as its dialler knows it."""
    job = await bench.job(test_id)
    test = GrantedTest.model_validate(job["terms"] | {"attempt": job["attempt"], "tries": 0})
    return GrantedCall(
        call_id=job["call_id"], remote_address="a:1", canonical_address="a:1", transport=Transport.TCP, tests=(test,)
    )
