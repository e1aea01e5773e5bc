"""Settling: no hand-over is trusted. Who was told of a test is asked whether it arrived, until both say so.

A claim puts a test's next question off, so that replicas do not ask about the same tests and a question that failed is
asked again. Only an answer leads to telling again: a silent service has a queue that still holds what it was told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

import asyncpg

from mts_common import database, metrics
from mts_common.amqp import BROKER_AWAY
from mts_common.database import Pool
from mts_common.messages import SettleRequests, SettleRequestsReply, TestRequested
from mts_common.outbox import Outbox
from mts_common.pulse import Pulses
from mts_common.requests import NoReply, Requester
from mts_common.topology import RESULTS_SETTLES, SCHEDULER_SETTLES, RequestQueue

MOST_TESTS = 5000
ANSWER_SECONDS = 5.0
ROUND_SECONDS = 180.0  # more than its statements and its question can take together

_log = logging.getLogger(__name__)


class Settler:
    """Asks about what was told more than `after_seconds` ago; `wake` is called when something is told again."""

    def __init__(
        self,
        pool: Pool,
        sql: Mapping[str, str],
        outbox: Outbox,
        requester: Requester,
        after_seconds: float,
        wake: Callable[[], None],
        pulses: Pulses | None = None,
    ) -> None:
        self._pool = pool
        self._sql = sql
        self._outbox = outbox
        self._requester = requester
        self._pulses = pulses or Pulses()
        self._after_seconds = after_seconds
        self._wake = wake

    async def run(self) -> None:
        """Settle until cancelled, at least once a minute."""
        pause = min(60.0, self._after_seconds)
        with self._pulses.part("settler") as pulse:
            while True:
                pulse.within(ROUND_SECONDS + pause)
                try:
                    more = await self.settle_some()
                except (*database.UNAVAILABLE, *BROKER_AWAY) as error:
                    _log.warning("settling: %s, trying again later", type(error).__name__)
                    more = False
                if not more:
                    await asyncio.sleep(pause)

    async def settle_some(self) -> bool:
        """Ask about up to `MOST_TESTS` tests; whether there may be more at once."""
        async with self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
            rows = await connection.fetch(self._sql["claim_unsettled"], self._after_seconds, MOST_TESTS)
        if not rows:
            return False
        scheduler, results = await asyncio.gather(
            self._ask(SCHEDULER_SETTLES, [row["test_id"] for row in rows if not row["scheduler_knows"]]),
            self._ask(RESULTS_SETTLES, [row["test_id"] for row in rows if not row["results_knows"]]),
        )
        gone = {} if scheduler is None else {"cancelled": scheduler.cancelled, "deleted": scheduler.deleted}
        by_scheduler, by_results = _lost(rows, "scheduler", scheduler), _lost(rows, "results", results)
        lost = by_scheduler | by_results
        async with database.transaction(self._pool) as connection:
            await connection.execute(self._sql["settle"], _known(scheduler), _known(results))
            for why, test_ids in gone.items():
                await connection.execute(self._sql["remove"], sorted(test_ids), why)
            await self._outbox.put(connection, [_told_again(row) for row in rows if row["test_id"] in lost])
        metrics.TOLD_AGAIN.add(len(by_scheduler), {"mts.told": "scheduler"})
        metrics.TOLD_AGAIN.add(len(by_results), {"mts.told": "results"})
        if lost:
            _log.warning("settling: %d tests had not arrived and are told again", len(lost))
            self._wake()
        return len(rows) == MOST_TESTS

    async def _ask(self, queue: RequestQueue, test_ids: Sequence[int]) -> SettleRequestsReply | None:
        """Which of the tests are known there; None without an answer."""
        if not test_ids:
            return SettleRequestsReply(known=())
        try:
            question = SettleRequests(test_ids=tuple(test_ids))
            return await self._requester.ask(queue, question, SettleRequestsReply, ANSWER_SECONDS)
        except NoReply:
            return None


def _known(reply: SettleRequestsReply | None) -> list[int]:
    return [] if reply is None else sorted(reply.known)


def _lost(rows: Sequence[asyncpg.Record], who: str, reply: SettleRequestsReply | None) -> set[int]:
    if reply is None:
        return set()
    return {row["test_id"] for row in rows if not row[f"{who}_knows"]} - set(reply.known)


def _told_again(row: asyncpg.Record) -> TestRequested:
    return TestRequested.model_validate(dict(row))
