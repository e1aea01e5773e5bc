"""What results answers when asked about what it was told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mts_common.database import Pool
from mts_common.messages import SettleOutcomes, SettleOutcomesReply, SettleRequests, SettleRequestsReply
from mts_common.publisher import BrokerUnreachable
from mts_results.ingest import Ingest
from mts_results.partitions import Partitions
from mts_results.settling import Settling

Make = Callable[..., Any]


class Reports:
    """How many messages with reports wait; None = the broker is away."""

    waiting: int | None = 0

    async def __call__(self) -> int:
        if self.waiting is None:
            raise BrokerUnreachable
        return self.waiting


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def settling(pool: Pool, reports: Reports) -> Settling:
    return Settling(pool, reports)


async def test_a_request_is_known_once_it_is_here_or_cancelled(
    ingest: Ingest, settling: Settling, requested: Make, report: Make, cancelled: Make
) -> None:
    await ingest.requests([requested(1), requested(2)])
    await ingest.reports([report(3, 1)])
    await ingest.outcomes([cancelled(2), cancelled(4)])
    asked = [SettleRequests(test_ids=(5, 4, 3, 2, 1)), SettleRequests(test_ids=()), SettleRequests(test_ids=(1,))]
    assert await settling.requests(asked) == [
        SettleRequestsReply(known=(1, 2, 4)),
        SettleRequestsReply(known=()),
        SettleRequestsReply(known=(1,)),
    ]


async def test_an_outcome_is_settled_with_the_report_it_names_and_unreported_without(
    ingest: Ingest, settling: Settling, report: Make, finished: Make
) -> None:
    await ingest.reports([report(1, 1), report(2, 1), report(5, 2)])
    await ingest.outcomes([finished(1, 1), finished(2, 2), finished(3, None), finished(5, 1)])
    asked = SettleOutcomes(finished=((5, 2), (4, 1), (3, None), (2, 2), (1, 1)))
    assert await settling.outcomes([asked]) == [SettleOutcomesReply(settled=(1, 3), unreported=(2,))]


@pytest.mark.parametrize("waiting", [1, None])
async def test_a_report_is_not_lost_while_any_may_still_wait(
    ingest: Ingest, settling: Settling, reports: Reports, report: Make, finished: Make, waiting: int | None
) -> None:
    await ingest.reports([report(1, 1)])
    await ingest.outcomes([finished(1, 1), finished(2, 1)])
    reports.waiting = waiting
    asked = SettleOutcomes(finished=((1, 1), (2, 1)))
    assert await settling.outcomes([asked]) == [SettleOutcomesReply(settled=(1,), unreported=())]


async def test_a_cancel_is_settled_once_it_is_here(ingest: Ingest, settling: Settling, cancelled: Make) -> None:
    await ingest.outcomes([cancelled(1)])
    asked = [SettleOutcomes(cancelled=(1, 2)), SettleOutcomes(finished=((1, 3),)), SettleOutcomes()]
    assert await settling.outcomes(asked) == [
        SettleOutcomesReply(settled=(1,), unreported=()),
        SettleOutcomesReply(settled=(1,), unreported=()),
        SettleOutcomesReply(settled=(), unreported=()),
    ]


async def test_whatever_is_no_longer_kept_is_settled(
    pool: Pool, ingest: Ingest, partitions: Partitions, clock: Any, settling: Settling, requested: Make
) -> None:
    await ingest.requests([requested(1), requested(1000)])
    await partitions.drop_old(clock() + timedelta(seconds=1))
    assert await settling.requests([SettleRequests(test_ids=(1, 2))]) == [SettleRequestsReply(known=(1, 2))]
    asked = SettleOutcomes(finished=((1, 1), (2, None)), cancelled=(3,))
    assert await settling.outcomes([asked]) == [SettleOutcomesReply(settled=(1, 2, 3), unreported=())]
