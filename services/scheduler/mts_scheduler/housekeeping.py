"""Forgetting what is no longer needed."""

from __future__ import annotations

from mts_common.database import ACQUIRE_SECONDS, Pool
from mts_scheduler.statements import SQL

BATCH = 1000


async def tidy(pool: Pool, keep_days: int) -> None:
    """Remove jobs and calls that ended more than `keep_days` ago, a batch at a time, and quarantines that are over."""
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        for statement in ("forget_jobs", "forget_calls"):
            while len(await connection.fetch(SQL[statement], keep_days, BATCH)) == BATCH:
                pass
        await connection.execute(SQL["forget_quarantines"])
