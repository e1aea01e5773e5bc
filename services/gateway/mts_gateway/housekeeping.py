"""Forgetting what nobody may ask for any more: idempotency keys after a day, users' tokens that have expired, failed
logins of past minutes, the rest after `keep_days`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from mts_common import database, dead_letters
from mts_common.database import Pool

PAUSE_SECONDS = 600.0
ROWS = 5000

_log = logging.getLogger(__name__)


class Housekeeping:
    """Deletes in small statements, so that nothing else waits for it."""

    def __init__(self, pool: Pool, sql: Mapping[str, str], keep_days: int) -> None:
        self._pool = pool
        self._sql = sql
        self._keep_days = keep_days

    async def run(self) -> None:
        """Tidy up until cancelled."""
        while True:
            try:
                await self.tidy()
            except database.UNAVAILABLE as error:
                _log.warning("housekeeping: %s, left for the next round", type(error).__name__)
            await asyncio.sleep(PAUSE_SECONDS)

    async def tidy(self) -> None:
        """Forget all that is old enough."""
        await self._repeat("forget_keys")
        await self._repeat("forget_user_tokens")
        await self._repeat("forget_failed_logins")
        await self._repeat("forget_tests", self._keep_days)
        await self._repeat("forget_batches", self._keep_days)
        await dead_letters.forget(self._pool, "gateway", self._keep_days)

    async def _repeat(self, name: str, *arguments: object) -> None:
        while True:
            async with self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
                tag = await connection.execute(self._sql[name], *arguments, ROWS)
            if tag != f"DELETE {ROWS}":
                return
