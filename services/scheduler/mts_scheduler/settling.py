"""No hand-over is trusted: results is asked what has reached it, and told the rest again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import asyncpg

from mts_common import database, failpoints, metrics
from mts_common.database import ACQUIRE_SECONDS, Connection, Pool
from mts_common.messages import (
    FailureKind,
    SettleOutcomes,
    SettleOutcomesReply,
    SettleRequests,
    SettleRequestsReply,
    TestCancelled,
)
from mts_common.requests import Requester
from mts_common.topology import OUTCOME_SETTLES
from mts_scheduler.decide import POLICIES, Repeat
from mts_scheduler.lifecycle import JobState
from mts_scheduler.settings import SchedulerSettings
from mts_scheduler.statements import SQL
from mts_scheduler.verdicts import OUTBOX, finished

ASK_SECONDS = 10.0
BATCH = 1000
MAX_RECALLS = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settling:
    """The server of `SCHEDULER_SETTLES`, and the asker of `OUTCOME_SETTLES`; `changed` is called after each commit."""

    pool: Pool
    settings: SchedulerSettings
    requester: Requester
    changed: Callable[[], None]

    async def requests(self, items: list[SettleRequests]) -> list[SettleRequestsReply]:
        """Which requests have arrived, be it that the test was cancelled before, and which tests are gone."""
        async with self.pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            return [_known(await connection.fetch(SQL["known"], item.test_ids)) for item in items]

    async def settle(self) -> None:
        """Settle every end that was told long enough ago. Raises `requests.NoReply`."""
        while await self._settle_some():
            self.changed()

    async def _settle_some(self) -> bool:
        """Settle some; whether there may be more."""
        async with database.transaction(self.pool) as connection:
            told = await connection.fetch(SQL["take_unsettled"], self.settings.settle_after_seconds, BATCH)
        if not told:
            return False
        question = SettleOutcomes(
            finished=tuple((row["test_id"], row["reported"]) for row in told if row["state"] == JobState.DONE),
            cancelled=tuple(row["test_id"] for row in told if row["state"] == JobState.CANCELLED),
        )
        reply = await self.requester.ask(OUTCOME_SETTLES, question, SettleOutcomesReply, ASK_SECONDS)
        failpoints.reach("scheduler.settling")
        async with database.transaction(self.pool) as connection:
            await self._conclude(connection, told, reply)
        return len(told) == BATCH

    async def _conclude(
        self, connection: Connection, told: Sequence[asyncpg.Record], reply: SettleOutcomesReply
    ) -> None:
        """Act on the reply, for the tests that still stand as they did when they were asked about."""
        asked = {row["test_id"]: (row["state"], row["reported"]) for row in told}
        locked = await connection.fetch(SQL["lock_unsettled"], sorted(asked))
        jobs = [job for job in locked if asked[job["test_id"]] == (job["state"], job["reported"])]
        settled, unreported = set(reply.settled), set(reply.unreported)
        await connection.execute(SQL["settle"], [job["test_id"] for job in jobs if job["test_id"] in settled])
        await self._recall(connection, [job for job in jobs if job["test_id"] in unreported - settled])
        await _tell(connection, [job for job in jobs if job["test_id"] not in settled | unreported])

    async def _recall(self, connection: Connection, jobs: Sequence[asyncpg.Record]) -> None:
        """Try tests again whose report results never got, unless that may do harm or has been done often enough."""
        again = [job["test_id"] for job in jobs if _may_repeat(job)]
        over = [job["test_id"] for job in jobs if not _may_repeat(job)]
        metrics.TOLD_AGAIN.add(len(jobs), {"mts.told": "report"})
        if jobs:
            _log.warning("%d reports were lost: %d tests are tried again", len(jobs), len(again))
        await connection.execute(SQL["recall"], again, self.settings.max_tries)
        rows = await connection.fetch(SQL["end_unreported"], over, "the report of the test was lost")
        await OUTBOX.put(connection, list(map(finished, rows)))


def _known(jobs: Sequence[asyncpg.Record]) -> SettleRequestsReply:
    return SettleRequestsReply(
        known=tuple(job["test_id"] for job in jobs),
        cancelled=tuple(job["test_id"] for job in jobs if job["state"] == JobState.CANCELLED and not job["deleted"]),
        deleted=tuple(job["test_id"] for job in jobs if job["deleted"]),
    )


def _may_repeat(job: asyncpg.Record) -> bool:
    forbidden = job["failure"] is not None and POLICIES[FailureKind(job["failure"])].repeat is Repeat.FORBIDDEN
    return not forbidden and job["recalls"] < MAX_RECALLS


async def _tell(connection: Connection, jobs: Sequence[asyncpg.Record]) -> None:
    metrics.TOLD_AGAIN.add(len(jobs), {"mts.told": "outcome"})
    await OUTBOX.put(connection, [finished(job) for job in jobs if job["state"] == JobState.DONE])
    await OUTBOX.put(
        connection,
        [
            TestCancelled(test_id=job["test_id"], cancelled_at=job["ended_at"])
            for job in jobs
            if job["state"] == JobState.CANCELLED
        ],
    )
