"""Forgetting what is no longer needed."""

from __future__ import annotations

from mts_common import dead_letters
from mts_common.database import ACQUIRE_SECONDS, Pool
from mts_scheduler.statements import SQL

BATCH = 1000


async def tidy(pool: Pool, keep_days: int) -> None:
    """Remove jobs, calls and dead letters that ended more than `keep_days` ago, and quarantines that are over."""
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        for statement in ("forget_jobs", "forget_calls"):
            while len(await connection.fetch(SQL[statement], keep_days, BATCH)) == BATCH:
                pass
        await connection.execute(SQL["forget_quarantines"])
    await dead_letters.forget(pool, "scheduler", keep_days)
