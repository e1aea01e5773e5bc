"""Answering what the gateway and the scheduler ask about what they have told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mts_common.database import ACQUIRE_SECONDS, Connection, Pool
from mts_common.messages import SettleOutcomes, SettleOutcomesReply, SettleRequests, SettleRequestsReply
from mts_common.publisher import PublishFailed
from mts_results.statements import SQL


class Settling:
    """The servers of `RESULTS_SETTLES` and `OUTCOME_SETTLES`. Tests that are no longer kept count as settled.

    `reports_waiting` says how many messages with reports are still to be stored. Raises `PublishFailed`.
    """

    def __init__(self, pool: Pool, reports_waiting: Callable[[], Awaitable[int]]) -> None:
        self._pool = pool
        self._reports_waiting = reports_waiting

    async def requests(self, items: list[SettleRequests]) -> list[SettleRequestsReply]:
        """Which of the asked requests have arrived, be it that the test has been cancelled since."""
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            return [
                SettleRequestsReply(known=await _ids(connection, "known_requests", item.test_ids)) for item in items
            ]

    async def outcomes(self, items: list[SettleOutcomes]) -> list[SettleOutcomesReply]:
        """Which of the asked outcomes and cancels are here; `unreported` where only the attempt's report is missing.

        A report is published before the end of its attempt. So it is lost if it is not stored although none waited
        when the question came; while any waits, an outcome without its report is in neither list.
        """
        all_stored = await self._has_stored_all()
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            return [await _settle(connection, item, all_stored=all_stored) for item in items]

    async def _has_stored_all(self) -> bool:
        try:
            return await self._reports_waiting() == 0
        except PublishFailed:
            return False


async def _settle(connection: Connection, asked: SettleOutcomes, *, all_stored: bool) -> SettleOutcomesReply:
    test_ids = [test_id for test_id, _ in asked.finished]
    attempts = [attempt for _, attempt in asked.finished]
    here = await connection.fetch(SQL["settled_outcomes"], test_ids, attempts)
    reported = tuple(row["test_id"] for row in here if row["reported"])
    unreported = tuple(row["test_id"] for row in here if not row["reported"] and all_stored)
    return SettleOutcomesReply(
        settled=reported + await _ids(connection, "settled_cancels", asked.cancelled), unreported=unreported
    )


async def _ids(connection: Connection, statement: str, asked: Sequence[int]) -> tuple[int, ...]:
    return tuple(row["test_id"] for row in await connection.fetch(SQL[statement], asked)) if asked else ()
