"""Cancelling: the scheduler decides, because it alone knows what is in a call; the gateway then marks its own rows.

The marks stand before the client is answered, so that the next status shows them. No answer from the scheduler means
that nothing is known; asking again is safe. If nobody asks again, settling does: it is told before the scheduler is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import asyncpg

from mts_common import database, failpoints
from mts_common.database import Pool
from mts_common.messages import CancelReply, CancelTests
from mts_common.requests import NoReply, Requester
from mts_common.topology import CANCELS
from mts_gateway import refusals
from mts_gateway.reading import unknown_batch, unknown_test

ANSWER_SECONDS = 2.0
STATEMENT_SECONDS = 10.0
TESTS_IN_QUESTION = 1000


class Canceller:
    """Cancels tests and batches."""

    def __init__(self, pool: Pool, sql: Mapping[str, str], requester: Requester, settle_seconds: float) -> None:
        self._pool = pool
        self._settle_seconds = max(settle_seconds, 2 * ANSWER_SECONDS)
        self._sql = sql
        self._requester = requester

    async def cancel_test(self, client_id: int, test_id: int) -> None:
        """Remove a client's test if it is pending; a running, finished or removed one stays as it is.

        Raises `Refused`: 400 for a test that is not the client's, 503 without an answer from the scheduler.
        """
        rows = await self._fetch("own_test", test_id, client_id)
        if not rows:
            raise unknown_test(test_id)
        if rows[0]["removed_why"] is None:
            await self._remove([test_id], delete_completed=False)

    async def cancel_batch(self, client_id: int, batch_id: int, *, delete_completed: bool) -> int:
        """Remove the pending tests of a client's batch, and the completed ones if asked to; how many were removed now.

        Raises `Refused`: 400 for a batch that is not the client's, 503 without a full answer from the scheduler.
        """
        rows = await self._fetch("own_batch", batch_id, client_id)
        if not rows:
            raise unknown_batch(batch_id)
        return await self._remove(rows[0]["test_ids"], delete_completed=delete_completed)

    async def _remove(self, test_ids: Sequence[int], *, delete_completed: bool) -> int:
        """Ask about all, mark what was answered even if some of it was not: it is true."""
        questions = [
            CancelTests(test_ids=tuple(test_ids[start : start + TESTS_IN_QUESTION]), delete_completed=delete_completed)
            for start in range(0, len(test_ids), TESTS_IN_QUESTION)
        ]
        await self._fetch("doubt", test_ids, self._settle_seconds)
        replies = await asyncio.gather(*map(self._ask, questions))
        failpoints.reach("gateway.cancelling")
        answered = [reply for reply in replies if reply is not None]
        removed = 0
        for why in ("cancelled", "deleted"):
            ids = [test_id for reply in answered for test_id in getattr(reply, why)]
            removed += len(await self._fetch("remove", ids, why)) if ids else 0
        if len(answered) < len(questions):
            raise refusals.unavailable("the scheduler did not answer: whether anything was cancelled is not known")
        return removed

    async def _ask(self, question: CancelTests) -> CancelReply | None:
        try:
            return await self._requester.ask(CANCELS, question, CancelReply, ANSWER_SECONDS)
        except NoReply:
            return None

    async def _fetch(self, name: str, *arguments: object) -> Sequence[asyncpg.Record]:
        async with (
            asyncio.timeout(STATEMENT_SECONDS),
            self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection,
        ):
            return await connection.fetch(self._sql[name], *arguments)
